-- first_attempt_by_zone: How often does it go well at the first attempt, by zone?
-- One row: a zone in which a delivery became known.
-- Period: created_at, 7 days
-- By: zone
-- Columns:
--   zone text: of the pickup
--   asked bigint: deliveries whose first offer was accepted, refused or not answered
--   first_accepted bigint: those whose first offer was accepted
--   first_accepted_percent numeric: first_accepted of asked
--   delivered bigint: deliveries that were delivered
--   by_first_driver bigint: those that their first driver delivered
--   by_first_driver_percent numeric: by_first_driver of delivered
-- Null: a percentage of nothing. Of fewer than 20 it says little.
-- Caveats: a delivery given without an offer (flag driver_offers off, or by hand) is not in `asked`.
SELECT d.zone,
    count(*) FILTER (WHERE f.outcome IN ('ACCEPTED', 'REJECTED', 'EXPIRED')) AS asked,
    count(*) FILTER (WHERE f.outcome = 'ACCEPTED') AS first_accepted,
    analytics.percent(count(*) FILTER (WHERE f.outcome = 'ACCEPTED'),
        count(*) FILTER (WHERE f.outcome IN ('ACCEPTED', 'REJECTED', 'EXPIRED'))) AS first_accepted_percent,
    count(*) FILTER (WHERE d.status = 'delivered') AS delivered,
    count(*) FILTER (WHERE d.status = 'delivered' AND again.delivery_id IS NULL) AS by_first_driver,
    analytics.percent(count(*) FILTER (WHERE d.status = 'delivered' AND again.delivery_id IS NULL),
        count(*) FILTER (WHERE d.status = 'delivered')) AS by_first_driver_percent
FROM public.deliveries d
LEFT JOIN analytics.first_offers f ON f.delivery_id = d.delivery_id
LEFT JOIN public.assignments again ON again.delivery_id = d.delivery_id AND again.assignment_no = 2
    AND again.assigned_at >= analytics.since()
WHERE d.created_at >= analytics.since() AND d.created_at < analytics.until()
GROUP BY 1
