-- audit_lag: How long after its moment was the newest event of each partition in the audit?
-- One row: a partition of the events of deliveries or drivers that has events in the audit.
-- Period: now
-- By: partition
-- Columns:
--   topic text: delivery.events or driver.events
--   partition integer: its number
--   event_at timestamptz: the moment of the newest event in the audit
--   written_at timestamptz: when the last batch of the partition was written
--   lag_ms bigint: from the one to the other, milliseconds
-- Null: none.
-- Caveats: one sample a partition, of the last batch. Where the projector had to catch up, it is long; that
--   remains until the partition has its next event.
SELECT o.topic, o.partition, l.at AS event_at, o.read_at AS written_at,
    greatest(0, round(1000 * extract(epoch FROM o.read_at - l.at)))::bigint AS lag_ms
FROM (
    SELECT CASE WHEN topic ~ '(^|\.)delivery\.events$' THEN 'delivery.events' ELSE 'driver.events' END AS topic,
        partition, read_at
    FROM public.projection_offsets
    WHERE topic ~ '(^|\.)(delivery|driver)\.events$' AND read_at IS NOT NULL
) o
CROSS JOIN LATERAL (
    SELECT a.at FROM public.delivery_audit_logs a WHERE a.topic = o.topic AND a.partition = o.partition
    ORDER BY a.record_offset DESC LIMIT 1
) l
