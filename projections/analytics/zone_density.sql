-- zone_density: How long do orders wait and how many drivers are there, by zone?
-- One row: a zone that was counted.
-- Period: minute, 1 day
-- By: zone
-- Columns:
--   zone text: its id
--   minutes bigint: minutes that were counted
--   drivers_online numeric: available and busy drivers, mean
--   drivers_available_min integer: the fewest that were available at once
--   open_searches numeric: orders that waited for a driver at once, mean
--   open_searches_max integer: the most
--   pressure numeric: open searches a driver who is available, mean; with none available, by one
--   pressure_max numeric: the most
--   wait_p50_ms bigint: the longest that half of the orders waited at most, as counted over 10 min, milliseconds
--   wait_p95_ms bigint: the longest of 95 of 100
--   understaffed_minutes bigint: minutes with fewer drivers online than the zone's minimum
--   understaffed_percent numeric: understaffed_minutes of minutes
-- Null: none.
-- Caveats: kept for 30 days; a minute in which the streams process did not run is not counted.
SELECT zone, count(*) AS minutes, round(avg(drivers_online), 1) AS drivers_online,
    min(drivers_available) AS drivers_available_min, round(avg(open_searches), 1) AS open_searches,
    max(open_searches_max) AS open_searches_max, round(avg(pressure)::numeric, 2) AS pressure,
    round(max(pressure_max)::numeric, 2) AS pressure_max, max(wait_p50_ms)::bigint AS wait_p50_ms,
    max(wait_p95_ms)::bigint AS wait_p95_ms, count(*) FILTER (WHERE understaffed) AS understaffed_minutes,
    analytics.percent(count(*) FILTER (WHERE understaffed), count(*)) AS understaffed_percent
FROM public.zone_health_metrics
WHERE minute >= analytics.since('1 day') AND minute < analytics.until()
GROUP BY 1
