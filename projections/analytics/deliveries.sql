-- deliveries: What became of each delivery?
-- One row: a delivery. All of them: narrow it by WHERE created_at, by which they are kept.
-- Period: WHERE created_at
-- By: delivery
-- Columns:
--   delivery_id uuid: its id
--   seller_id text: whose order it is
--   zone text: of the pickup; `none` lies outside every zone
--   status text: as of its last event
--   driver_id text: who has it, had it last, or is asked now
--   assigned_how text: accepted, auto, manual or direct
--   order_value_minor bigint: minor units of `currency`
--   currency text: ISO 4217
--   created_at timestamptz: when its order became known
--   ready_at timestamptz: when it was to be picked up
--   assigned_at timestamptz: when its last driver got it
--   picked_up_at timestamptz: when the goods left the store
--   ended_at timestamptz: when it was over
--   ready_to_end_s bigint: seconds from ready to the end
-- Null: what did not happen yet.
-- Caveats: no place, no name, no text that people wrote.
SELECT delivery_id, seller_id, zone, status, driver_id, assigned_how, order_value_minor, currency, created_at, ready_at,
    assigned_at, picked_up_at, ended_at, extract(epoch FROM ended_at - ready_at)::bigint AS ready_to_end_s
FROM public.deliveries
