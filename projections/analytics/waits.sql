-- waits: How long did each delivery wait for its first driver, or waits still?
-- One row: a delivery that became known in the period and became ready.
-- Period: created_at, 7 days
-- By: delivery
-- Columns:
--   delivery_id uuid: its id
--   zone text: of the pickup
--   ready_at timestamptz: since when it waited
--   assigned_at timestamptz: when its first driver got it
--   waited_ms bigint: from ready to the first driver, to the end without one, or until now, milliseconds
--   judged boolean: whether it can be said that it was unassigned for 5 min: it has a driver, or waited so long
--   over_5_min boolean: it was
-- Null: assigned_at where nobody has got it.
-- Caveats: one that was called off within 5 min and before it had a driver is not judged.
SELECT delivery_id, zone, ready_at, assigned_at, round(1000 * extract(epoch FROM waited))::bigint AS waited_ms,
    assigned_at IS NOT NULL OR waited > analytics.lived('5 min') AS judged,
    waited > analytics.lived('5 min') AS over_5_min
FROM (
    SELECT d.delivery_id, d.zone, d.ready_at, a.assigned_at,
        coalesce(a.assigned_at, d.ended_at, now()) - d.ready_at AS waited
    FROM public.deliveries d
    LEFT JOIN public.assignments a ON a.delivery_id = d.delivery_id AND a.assignment_no = 1
        AND a.assigned_at >= analytics.since()
    WHERE d.created_at >= analytics.since() AND d.created_at < analytics.until() AND d.ready_at IS NOT NULL
) ready
