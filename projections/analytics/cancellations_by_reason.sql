-- cancellations_by_reason: Why are deliveries called off, and how far did they come?
-- One row: a reason and a stage.
-- Period: created_at, 7 days
-- By: reason and stage
-- Columns:
--   reason text: the word that was given; `in words`: somebody wrote a text, which is not shown
--   stage text: without a driver, with a driver, or after the pickup
--   cancelled bigint: deliveries called off so
--   of_created bigint: all deliveries of the time
--   share_percent numeric: cancelled of of_created
-- Null: none.
-- Caveats: a delivery belongs to the time in which it became known.
SELECT CASE WHEN end_reason ~ '^[a-z][a-z0-9_]{0,39}$' THEN end_reason ELSE 'in words' END AS reason,
    CASE WHEN picked_up_at IS NOT NULL THEN 'after the pickup' WHEN assigned_at IS NOT NULL THEN 'with a driver'
        ELSE 'without a driver' END AS stage,
    count(*) AS cancelled, whole.created AS of_created, analytics.percent(count(*), whole.created) AS share_percent
FROM public.deliveries, LATERAL (
    SELECT count(*) AS created FROM public.deliveries
    WHERE created_at >= analytics.since() AND created_at < analytics.until()
) whole
WHERE status = 'cancelled' AND created_at >= analytics.since() AND created_at < analytics.until()
GROUP BY 1, 2, whole.created
