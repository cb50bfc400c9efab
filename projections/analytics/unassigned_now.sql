-- unassigned_now: Which orders wait for a driver now, by zone?
-- One row: a zone in which an order is in the queue.
-- Period: now
-- By: zone
-- Columns:
--   zone text: of the pickup
--   orders bigint: how many are in the queue
--   critical bigint: those that people must look at
--   highest_level integer: the highest level of escalation, 0 to 3
--   oldest_queued_at timestamptz: since when the oldest is in the queue
--   oldest_age_s bigint: how long that is, seconds
--   searches bigint: searches that found nobody, of all of them
-- Null: none.
-- Caveats: the queue begins with the first search that found nobody, not when an order becomes ready.
SELECT d.zone, count(*) AS orders, count(*) FILTER (WHERE q.needs_manual_review) AS critical,
    max(q.escalation_level) AS highest_level, min(q.queued_at) AS oldest_queued_at,
    extract(epoch FROM now() - min(q.queued_at))::bigint AS oldest_age_s, sum(q.searches)::bigint AS searches
FROM public.unassigned_orders q JOIN public.deliveries d ON d.delivery_id = q.delivery_id
WHERE q.left_at IS NULL AND d.ended_at IS NULL
GROUP BY 1
