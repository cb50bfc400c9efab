-- availability_by_driver: How long is each driver available, busy, on a break, offline?
-- One row: a driver whose state is known for some of the period.
-- Period: at, 7 days
-- By: driver
-- Columns:
--   driver_id text: whose
--   available_s bigint: seconds AVAILABLE
--   busy_s bigint: seconds BUSY: as many deliveries in hand as they can take
--   on_break_s bigint: seconds ON_BREAK
--   paused_s bigint: seconds PAUSED
--   offline_s bigint: seconds OFFLINE
--   shift_ended_s bigint: seconds SHIFT_ENDED
--   online_s bigint: seconds AVAILABLE or BUSY
--   busy_percent numeric: busy_s of online_s
-- Null: busy_percent of a driver who was never online.
-- Caveats: a state lasts until the next change, the last one until the end of the period; before the first change
--   nothing is known. Seconds are rounded a state.
SELECT driver_id, available_s, busy_s, on_break_s, paused_s, offline_s, shift_ended_s,
    available_s + busy_s AS online_s, analytics.percent(busy_s, available_s + busy_s) AS busy_percent
FROM (
    SELECT driver_id,
        coalesce(sum(lasted_s) FILTER (WHERE state = 'AVAILABLE'), 0)::bigint AS available_s,
        coalesce(sum(lasted_s) FILTER (WHERE state = 'BUSY'), 0)::bigint AS busy_s,
        coalesce(sum(lasted_s) FILTER (WHERE state = 'ON_BREAK'), 0)::bigint AS on_break_s,
        coalesce(sum(lasted_s) FILTER (WHERE state = 'PAUSED'), 0)::bigint AS paused_s,
        coalesce(sum(lasted_s) FILTER (WHERE state = 'OFFLINE'), 0)::bigint AS offline_s,
        coalesce(sum(lasted_s) FILTER (WHERE state = 'SHIFT_ENDED'), 0)::bigint AS shift_ended_s
    FROM (
        SELECT driver_id, state, extract(epoch FROM lead(at, 1, greatest(at, analytics.until()))
            OVER (PARTITION BY driver_id ORDER BY at, version) - at) AS lasted_s
        FROM (
            SELECT driver_id, version, at, to_state AS state FROM public.driver_availability_history
            WHERE at >= analytics.since() AND at < analytics.until()
            UNION ALL
            SELECT d.driver_id, l.version, analytics.since(), l.to_state FROM public.drivers d CROSS JOIN LATERAL (
                SELECT h.version, h.to_state FROM public.driver_availability_history h
                WHERE h.driver_id = d.driver_id AND h.at < analytics.since() ORDER BY h.at DESC, h.version DESC LIMIT 1
            ) l
        ) changes
    ) spells
    GROUP BY driver_id
) drivers
