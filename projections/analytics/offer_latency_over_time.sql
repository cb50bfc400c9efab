-- offer_latency_over_time: How long does it take from ready to the first offer?
-- One row: a step of time (baton.step, an hour) in which a delivery became ready that was offered.
-- Period: created_at, 7 days
-- By: time
-- Columns:
--   at timestamptz: the beginning of the step, by ready_at
--   offered bigint: deliveries that were offered and never had to wait for a driver
--   p50_ms bigint: half of them took so long at most, milliseconds
--   p95_ms bigint: 95 of 100
--   p99_ms bigint: 99 of 100
-- Null: none.
-- Caveats: a delivery for which nobody was found at first waits for a driver, not for Baton, and is left out.
SELECT at, offered, p[1] AS p50_ms, p[2] AS p95_ms, p[3] AS p99_ms FROM (
    SELECT analytics.stepped(ready_at) AS at, count(*) AS offered,
        percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY latency_ms) AS p
    FROM analytics.first_offers WHERE NOT waited GROUP BY 1
) steps
