-- eta_accuracy_by_zone: How good were the promised arrivals, by zone?
-- One row: a zone in which something was delivered.
-- Period: delivered_at, 7 days
-- By: zone
-- Columns:
--   zone text: of the pickup
--   delivered bigint: deliveries that came to the customer
--   banded bigint: those that were promised with a band p10 to p90
--   in_band bigint: those that came within it
--   in_band_percent numeric: in_band of banded; 80 are meant to
--   early bigint: those that came before the band
--   late bigint: those that came after it
--   bias_s numeric: mean of how much later than promised they came, seconds; below zero: earlier
--   error_p50_s bigint: half of them came so near to the promise, seconds
--   error_p90_s bigint: 90 of 100
--   within_5_min bigint: those that came within 5 min of what was promised
--   within_5_min_percent numeric: within_5_min of delivered
--   told_anew numeric: how often the arrival was told anew under way, mean
-- Null: in_band_percent where there was no band. Of fewer than 50 it says little.
-- Caveats: what the last driver's taking it promised is judged, not what was told later; pickups are in the table.
SELECT zone, delivered, banded, in_band, analytics.percent(in_band, banded) AS in_band_percent, early, late, bias_s,
    p[1] AS error_p50_s, p[2] AS error_p90_s, within_5_min,
    analytics.percent(within_5_min, delivered) AS within_5_min_percent, told_anew
FROM (
    SELECT zone, count(*) AS delivered, count(delivery_in_band) AS banded,
        count(*) FILTER (WHERE delivery_in_band) AS in_band,
        count(*) FILTER (WHERE delivered_at < delivery_p10) AS early,
        count(*) FILTER (WHERE delivered_at > delivery_p90) AS late,
        round(avg(delivery_error_s), 1) AS bias_s,
        percentile_disc(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY abs(delivery_error_s)::bigint) AS p,
        count(*) FILTER (WHERE abs(delivery_error_s) <= extract(epoch FROM analytics.lived('5 min'))) AS within_5_min,
        round(avg(changes), 2) AS told_anew
    FROM public.eta_accuracy
    WHERE delivered_at >= analytics.since() AND delivered_at < analytics.until() AND delivery_error_s IS NOT NULL
    GROUP BY 1
) groups
