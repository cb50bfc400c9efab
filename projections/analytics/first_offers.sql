-- first_offers: When was each delivery first offered to a driver, and what came of that offer?
-- One row: a delivery that became known in the period and was offered to somebody.
-- Period: created_at, 7 days
-- By: delivery
-- Columns:
--   delivery_id uuid: its id
--   zone text: of the pickup
--   created_at timestamptz: when its order became known
--   ready_at timestamptz: when it was to be picked up
--   sent_at timestamptz: when the first offer was made
--   outcome text: of that offer: PENDING, ACCEPTED, REJECTED, EXPIRED or WITHDRAWN
--   latency_ms bigint: from ready to the offer, milliseconds
--   waited boolean: the delivery was in the queue of unassigned orders at some time
-- Null: none; a delivery is ready before it is offered.
-- Caveats: latency_ms compares two moments as the log has them; until the offer reaches the driver it takes longer.
SELECT d.delivery_id, d.zone, d.created_at, d.ready_at, o.sent_at, o.outcome,
    greatest(0, round(1000 * extract(epoch FROM o.sent_at - d.ready_at)))::bigint AS latency_ms,
    u.delivery_id IS NOT NULL AS waited
FROM public.deliveries d
JOIN (
    SELECT DISTINCT ON (delivery_id) delivery_id, sent_at, outcome FROM public.driver_offers
    WHERE sent_at >= analytics.since() ORDER BY delivery_id, sent_at, offer_id
) o ON o.delivery_id = d.delivery_id
LEFT JOIN public.unassigned_orders u ON u.delivery_id = d.delivery_id
WHERE d.created_at >= analytics.since() AND d.created_at < analytics.until() AND d.ready_at IS NOT NULL
