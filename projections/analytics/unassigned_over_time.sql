-- unassigned_over_time: How many orders are without a driver for more than 5 min, from hour to hour?
-- One row: a step of time (baton.step, an hour) in which a delivery became ready.
-- Period: created_at, 7 days
-- By: time
-- Columns:
--   at timestamptz: the beginning of the step
--   ready bigint: deliveries that became ready
--   judged bigint: those that have got a driver, or waited for more than 5 min
--   over_5_min bigint: those that were without a driver for more than 5 min
--   over_5_min_percent numeric: over_5_min of judged
--   waiting bigint: those that have had no driver and are not over
-- Null: over_5_min_percent where none can be judged. Of fewer than 20 it says little.
-- Caveats: the first driver counts; who is lost later stands in reassignments_by_reason.
SELECT analytics.stepped(w.ready_at) AS at, count(*) AS ready, count(*) FILTER (WHERE w.judged) AS judged,
    count(*) FILTER (WHERE w.over_5_min) AS over_5_min,
    analytics.percent(count(*) FILTER (WHERE w.over_5_min), count(*) FILTER (WHERE w.judged)) AS over_5_min_percent,
    count(*) FILTER (WHERE w.assigned_at IS NULL AND d.ended_at IS NULL) AS waiting
FROM analytics.waits w JOIN public.deliveries d ON d.delivery_id = w.delivery_id
GROUP BY 1
