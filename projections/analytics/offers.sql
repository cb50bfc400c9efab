-- offers: What became of each offer?
-- One row: an offer to one driver. All of them: narrow it by WHERE sent_at.
-- Period: WHERE sent_at
-- By: offer
-- Columns:
--   offer_id uuid: its id
--   delivery_id uuid: of what
--   driver_id text: to whom
--   seller_id text: whose order it is
--   zone text: of the pickup
--   outcome text: PENDING, ACCEPTED, REJECTED, EXPIRED or WITHDRAWN
--   reason text: why it was refused or withdrawn
--   sent_at timestamptz: when it was made
--   ended_at timestamptz: when it was over
--   response_ms bigint: how long the driver took to answer, milliseconds
--   pickup_distance_m integer: from the driver to the store, metres
--   total_distance_m integer: to the customer, metres
--   earning_minor bigint: what it showed as earning, minor units of `currency`
--   incentive_minor bigint: how much of it was the zone's bonus
--   currency text: ISO 4217
-- Null: reason and response_ms where there was no answer.
-- Caveats: no note that a driver wrote.
SELECT o.offer_id, o.delivery_id, o.driver_id, d.seller_id, d.zone, o.outcome, o.reason, o.sent_at, o.ended_at,
    o.response_ms, o.pickup_distance_m, o.total_distance_m, o.earning_minor, o.incentive_minor, o.currency
FROM public.driver_offers o JOIN public.deliveries d ON d.delivery_id = o.delivery_id
