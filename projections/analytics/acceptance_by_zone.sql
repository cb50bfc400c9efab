-- acceptance_by_zone: How many of the offers do drivers take, by zone?
-- One row: a zone in which an offer was made.
-- Period: sent_at, 7 days
-- By: zone
-- Columns:
--   zone text: of the pickup; `none` lies outside every zone
--   sent bigint: offers made
--   accepted bigint: taken
--   rejected bigint: refused
--   expired bigint: not answered in time, also where the driver then got the delivery all the same
--   withdrawn bigint: taken back before an answer
--   answered bigint: accepted, rejected and expired together
--   acceptance_percent numeric: accepted of answered
-- Null: acceptance_percent where nothing was answered. Of fewer than 20 answered the percentage says little.
-- Caveats: what was withdrawn says nothing of a driver and is in no percentage; open offers are in `sent` only.
SELECT zone,
    count(*) AS sent,
    count(*) FILTER (WHERE outcome = 'ACCEPTED') AS accepted,
    count(*) FILTER (WHERE outcome = 'REJECTED') AS rejected,
    count(*) FILTER (WHERE outcome = 'EXPIRED') AS expired,
    count(*) FILTER (WHERE outcome = 'WITHDRAWN') AS withdrawn,
    count(*) FILTER (WHERE outcome IN ('ACCEPTED', 'REJECTED', 'EXPIRED')) AS answered,
    analytics.percent(count(*) FILTER (WHERE outcome = 'ACCEPTED'),
        count(*) FILTER (WHERE outcome IN ('ACCEPTED', 'REJECTED', 'EXPIRED'))) AS acceptance_percent
FROM analytics.offers
WHERE sent_at >= analytics.since() AND sent_at < analytics.until()
GROUP BY 1
