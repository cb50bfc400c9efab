-- acceptance_by_driver: How many of the offers made to them do drivers take?
-- One row: a driver to whom an offer was made.
-- Period: sent_at, 7 days
-- By: driver
-- Columns:
--   driver_id text: to whom
--   sent bigint: offers made
--   accepted bigint: taken
--   rejected bigint: refused
--   expired bigint: not answered in time, also where the driver then got the delivery all the same
--   withdrawn bigint: taken back before an answer
--   answered bigint: accepted, rejected and expired together
--   acceptance_percent numeric: accepted of answered
-- Null: acceptance_percent where nothing was answered. Of fewer than 20 answered the percentage says little.
-- Caveats: what was withdrawn says nothing of a driver and is in no percentage; open offers are in `sent` only.
SELECT driver_id,
    count(*) AS sent,
    count(*) FILTER (WHERE outcome = 'ACCEPTED') AS accepted,
    count(*) FILTER (WHERE outcome = 'REJECTED') AS rejected,
    count(*) FILTER (WHERE outcome = 'EXPIRED') AS expired,
    count(*) FILTER (WHERE outcome = 'WITHDRAWN') AS withdrawn,
    count(*) FILTER (WHERE outcome IN ('ACCEPTED', 'REJECTED', 'EXPIRED')) AS answered,
    analytics.percent(count(*) FILTER (WHERE outcome = 'ACCEPTED'),
        count(*) FILTER (WHERE outcome IN ('ACCEPTED', 'REJECTED', 'EXPIRED'))) AS acceptance_percent
FROM public.driver_offers
WHERE sent_at >= analytics.since() AND sent_at < analytics.until()
GROUP BY 1
