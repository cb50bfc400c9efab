-- offline_by_driver: How often does each driver go offline?
-- One row: a driver whose state is known for some of the period.
-- Period: at, 7 days
-- By: driver
-- Columns:
--   driver_id text: who
--   online_s bigint: seconds AVAILABLE or BUSY
--   went_offline bigint: how often they became OFFLINE
--   while_busy bigint: how often of it while BUSY
--   shifts_ended bigint: how often they ended their shift
--   offline_per_hour numeric: went_offline an hour online
-- Null: offline_per_hour of a driver who was never online. Of less than an hour online it says little.
-- Caveats: who is not heard of for long is made OFFLINE by Baton; the view does not tell that from who said so.
SELECT a.driver_id, a.online_s, coalesce(h.went_offline, 0) AS went_offline, coalesce(h.while_busy, 0) AS while_busy,
    coalesce(h.shifts_ended, 0) AS shifts_ended,
    round(3600.0 * coalesce(h.went_offline, 0) / nullif(a.online_s, 0), 2) AS offline_per_hour
FROM analytics.availability_by_driver a
LEFT JOIN (
    SELECT driver_id, count(*) FILTER (WHERE to_state = 'OFFLINE') AS went_offline,
        count(*) FILTER (WHERE to_state = 'OFFLINE' AND from_state = 'BUSY') AS while_busy,
        count(*) FILTER (WHERE to_state = 'SHIFT_ENDED') AS shifts_ended
    FROM public.driver_availability_history
    WHERE at >= analytics.since() AND at < analytics.until()
    GROUP BY 1
) h ON h.driver_id = a.driver_id
