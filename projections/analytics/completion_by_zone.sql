-- completion_by_zone: How many deliveries are completed, by zone?
-- One row: a zone in which a delivery became known.
-- Period: created_at, 7 days
-- By: zone
-- Columns:
--   zone text: of the pickup
--   created bigint: deliveries whose order became known
--   still_open bigint: those that are not over
--   ended bigint: those that are
--   delivered bigint: ended at the customer
--   failed bigint: ended as failed
--   returned bigint: brought back to the store
--   cancelled bigint: called off
--   completion_percent numeric: delivered of ended
--   ready_to_end_p50_s bigint: half of the delivered took so long at most from ready on, seconds
-- Null: completion_percent where nothing ended; ready_to_end_p50_s where nothing was delivered.
-- Caveats: a delivery belongs to the time in which it became known, whenever it ended; the latest are still open.
SELECT zone, count(*) AS created,
    count(*) FILTER (WHERE ended_at IS NULL) AS still_open, count(ended_at) AS ended,
    count(*) FILTER (WHERE status = 'delivered') AS delivered,
    count(*) FILTER (WHERE status = 'failed' AND ended_at IS NOT NULL) AS failed,
    count(*) FILTER (WHERE status = 'returned') AS returned,
    count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
    analytics.percent(count(*) FILTER (WHERE status = 'delivered'), count(ended_at)) AS completion_percent,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM ended_at - ready_at)::bigint)
        FILTER (WHERE status = 'delivered') AS ready_to_end_p50_s
FROM public.deliveries
WHERE created_at >= analytics.since() AND created_at < analytics.until()
GROUP BY 1
