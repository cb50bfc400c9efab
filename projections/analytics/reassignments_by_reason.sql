-- reassignments_by_reason: Why do drivers lose deliveries, and is another one found?
-- One row: a reason for which a driver who had a delivery lost it to another.
-- Period: assigned_at, 7 days
-- By: reason
-- Columns:
--   reason text: driver_offline, driver_cancelled, driver_distance_too_far or admin_forced
--   reassigned bigint: assignments that ended so
--   found_again bigint: after which another driver got the delivery
--   still_open bigint: after which it is still searched for one
--   success_percent numeric: found_again of those that are not open
--   again_p50_ms bigint: half of the others were found within, milliseconds
--   again_p95_ms bigint: 95 of 100
-- Null: success_percent where all are open; again_* where nobody was found.
-- Caveats: the time is that of the assignment that was lost.
SELECT coalesce(a.reassign_reason, 'UNKNOWN') AS reason, count(*) AS reassigned, count(n.delivery_id) AS found_again,
    count(*) FILTER (WHERE n.delivery_id IS NULL AND d.ended_at IS NULL) AS still_open,
    analytics.percent(count(n.delivery_id),
        count(*) - count(*) FILTER (WHERE n.delivery_id IS NULL AND d.ended_at IS NULL)) AS success_percent,
    percentile_disc(0.5) WITHIN GROUP (
        ORDER BY round(1000 * extract(epoch FROM n.assigned_at - a.ended_at))::bigint) AS again_p50_ms,
    percentile_disc(0.95) WITHIN GROUP (
        ORDER BY round(1000 * extract(epoch FROM n.assigned_at - a.ended_at))::bigint) AS again_p95_ms
FROM public.assignments a
JOIN public.deliveries d ON d.delivery_id = a.delivery_id
LEFT JOIN public.assignments n ON n.delivery_id = a.delivery_id AND n.assignment_no = a.assignment_no + 1
    AND n.assigned_at >= analytics.since()
WHERE a.ended_as = 'reassigned' AND a.assigned_at >= analytics.since() AND a.assigned_at < analytics.until()
GROUP BY 1
