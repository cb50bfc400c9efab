-- rejection_reasons: Why do drivers refuse offers?
-- One row: a reason that a driver gave.
-- Period: sent_at, 7 days
-- By: reason
-- Columns:
--   reason text: too_far, no_time, bad_area, vehicle, earning, other
--   rejected bigint: offers refused for it
--   of_rejected bigint: offers refused for any reason
--   share_percent numeric: rejected of of_rejected
--   drivers bigint: how many drivers gave it
--   response_p50_ms bigint: how long half of them took at most, milliseconds
-- Null: none.
-- Caveats: silence is no refusal; it is `expired` in the views of acceptance.
SELECT coalesce(reason, 'UNKNOWN') AS reason, count(*) AS rejected, (sum(count(*)) OVER ())::bigint AS of_rejected,
    analytics.percent(count(*), sum(count(*)) OVER ()) AS share_percent, count(DISTINCT driver_id) AS drivers,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY response_ms) AS response_p50_ms
FROM public.driver_offers
WHERE outcome = 'REJECTED' AND sent_at >= analytics.since() AND sent_at < analytics.until()
GROUP BY 1
