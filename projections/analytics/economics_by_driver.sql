-- economics_by_driver: What do deliveries cost and bring, by driver?
-- One row: a driver and a currency.
-- Period: at, 28 days
-- By: driver and currency
-- Columns:
--   driver_id text: who had it at the end; empty: nobody
--   currency text: ISO 4217; each is summed by itself
--   deliveries bigint: settled ones
--   delivered bigint: those that came to the customer
--   revenue_minor bigint: commission and delivery fee, minor units
--   cost_minor bigint: all cost, minor units
--   driver_pay_minor bigint: how much of it went to drivers
--   net_minor bigint: revenue less cost
--   margin_percent numeric: net of revenue
--   lost_minor bigint: net of those that were not delivered
-- Null: margin_percent without revenue. Of fewer than 5 deliveries it says little.
-- Caveats: whole days in UTC: the one in which the period begins is in it from its beginning, and so is the last.
--   To the second, for the time that a delivery was settled: GET /v2/admin/analytics/economics, `baton money report`.
SELECT key AS driver_id, currency, sum(deliveries)::bigint AS deliveries, sum(delivered)::bigint AS delivered,
    sum(revenue_minor)::bigint AS revenue_minor, sum(cost_minor)::bigint AS cost_minor,
    sum(driver_pay_minor)::bigint AS driver_pay_minor, sum(net_minor)::bigint AS net_minor,
    analytics.percent(sum(net_minor), sum(revenue_minor)) AS margin_percent,
    sum(lost_revenue_minor - lost_cost_minor)::bigint AS lost_minor
FROM public.economics_rollup
WHERE by = 'driver' AND at >= date_trunc('day', analytics.since('28 days'), 'UTC') AND at < analytics.until()
GROUP BY 1, 2
