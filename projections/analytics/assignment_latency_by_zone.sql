-- assignment_latency_by_zone: How long do deliveries wait for a driver, by zone?
-- One row: a zone in which a delivery got its first driver.
-- Period: assigned_at, 7 days
-- By: zone
-- Columns:
--   zone text: of the pickup
--   assigned bigint: deliveries that got their first driver
--   p50_ms bigint: half of them waited so long at most, from ready on, milliseconds
--   p95_ms bigint: 95 of 100
--   p99_ms bigint: 99 of 100
--   max_ms bigint: the longest
-- Null: none. Of fewer than 100 the p99 is the longest.
-- Caveats: first drivers only; how long it takes to find another one stands in reassignments_by_reason.
SELECT zone, assigned, p[1] AS p50_ms, p[2] AS p95_ms, p[3] AS p99_ms, max_ms FROM (
    SELECT zone, count(*) AS assigned, max(search_ms) AS max_ms,
        percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY search_ms) AS p
    FROM public.assignments
    WHERE assignment_no = 1 AND assigned_at >= analytics.since() AND assigned_at < analytics.until() GROUP BY 1
) groups
