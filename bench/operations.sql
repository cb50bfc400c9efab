-- Fills the tables for `python -m bench.operations`: 1,000,000 deliveries of 30 days, one every 2.592 s.

SELECT baton_month('public', t, m::date) FROM unnest(ARRAY['deliveries', 'driver_offers', 'delivery_costs',
    'delivery_revenue', 'assignments', 'eta_accuracy', 'zone_health_metrics', 'delivery_audit_logs',
    'driver_availability_history']) t, generate_series(date_trunc('month', now() AT TIME ZONE 'UTC') - interval
    '1 month', now() AT TIME ZONE 'UTC', interval '1 month') m;

INSERT INTO deliveries (delivery_id, version, seller_id, seller_order_id, store_name, status, driver_id,
    pickup_lat, pickup_lng, dropoff_lat, dropoff_lng, zone, order_value_minor, delivery_fee_minor, currency,
    prep_s, created_at, ready_at, assigned_at, picked_up_at, updated_at, ended_at, end_reason, delivery_eta) SELECT
    md5('d' || n)::uuid, 9, 's' || n % 500, 'order-' || n, 'Anker', CASE WHEN n > 995000 THEN 'searching' WHEN n % 25
    = 0 THEN 'cancelled' ELSE 'delivered' END, CASE WHEN n > 995000 OR n % 25 = 0 THEN NULL ELSE 'driver-' || n % 1000
    END, 48, 7.8, 48, 7.8, 'zone-' || n % 30, 2000, 300, 'EUR', 300, at, at, CASE WHEN n <= 995000 AND n % 25 <> 0 THEN
    at + interval '40 s' END, NULL, now(), CASE WHEN n > 995000 THEN NULL ELSE at + interval '25 min' END, CASE WHEN n
    % 25 = 0 THEN 'out_of_stock' END, at + interval '24 min' FROM (SELECT n, now() - (1000000 - n) * interval '2.592 s'
    AS at FROM generate_series(1, 1000000) n) made;

INSERT INTO unassigned_orders (delivery_id, queue_status, why, queued_at, changed_at, needs_manual_review,
    left_at) SELECT delivery_id, CASE WHEN ended_at IS NULL THEN 'PENDING' ELSE 'REASSIGNED' END,
    'no_available_drivers', created_at, created_at, ended_at IS NULL AND random() < 0.02, ended_at FROM deliveries
    WHERE ended_at IS NULL OR random() < 0.2;

INSERT INTO drivers (driver_id, version, availability, vehicle, capacity, holds, rating, fence, updated_at)
    SELECT 'driver-' || n, 1, 'AVAILABLE', 'car', 1, 0, 4.5, 1, now() FROM generate_series(0, 999) n;

INSERT INTO driver_performance_metrics SELECT driver_id, now(), random(), 0.8, 0.8, '[]' FROM drivers;

INSERT INTO driver_availability_history SELECT 'driver-' || d, h, now() - (720 - h) * interval '1 h', 'AVAILABLE',
    (ARRAY['AVAILABLE', 'BUSY', 'OFFLINE'])[1 + (d + h) % 3], 'word', NULL, 'driver', 'driver-' || d FROM
    generate_series(0, 999) d, generate_series(0, 719, 3) h;

INSERT INTO driver_offers (offer_id, delivery_id, driver_id, fence, outcome, reason, sent_at, notified_by,
    notified_at, expires_at, response_ms, store_name, pickup_lat, pickup_lng, dropoff_lat, dropoff_lng,
    pickup_eta, delivery_eta, pickup_distance_m, total_distance_m, earning_minor, incentive_minor, currency)
    SELECT md5('o' || delivery_id)::uuid, delivery_id, coalesce(driver_id, 'driver-1'), 1, CASE WHEN status =
    'delivered' THEN 'ACCEPTED' ELSE 'REJECTED' END, CASE WHEN status <> 'delivered' THEN 'too_far' END, created_at +
    interval '0.1 s', 'socket', created_at, created_at, 900, 'Anker', 48, 7.8, 48, 7.8, now(), now(), 900, 2000, 500,
    0, 'EUR' FROM deliveries;

INSERT INTO assignments SELECT delivery_id, 1, md5('o' || delivery_id)::uuid, driver_id, seller_id, zone, 'accepted',
    assigned_at, 40000 + (random() * 30000)::int, 900, 2000, 500, 0, 'EUR', NULL, ended_at, 'delivered' FROM deliveries
    WHERE assigned_at IS NOT NULL;

INSERT INTO eta_accuracy SELECT delivery_id, created_at, seller_id, zone, driver_id, assigned_at, 'distance', ready_at,
    ready_at, ready_at, delivery_eta, delivery_eta - interval '4 min', delivery_eta + interval '4 min', delivery_eta, 1,
    NULL, ended_at, 0, 60, true, true FROM deliveries WHERE status = 'delivered';

INSERT INTO delivery_audit_logs (topic, partition, record_offset, event_id, event, audit_word, delivery_id,
    driver_id, version, at, actor_type, actor_id, causation_id, correlation_id, schema_id, body, prev_hash, hash)
    SELECT 'delivery.events', n % 6, n, md5('e' || n)::uuid, 'DeliveryCreated', (ARRAY['created',
    'driver_assigned', 'delivery_completed'])[1 + n % 3], md5('d' || n / 3)::uuid, 'driver-' || (n / 3) % 1000, n
    % 3, now() - (600000 - n) * interval '3 s', 'driver', 'driver-' || (n / 3) % 1000, md5('c')::uuid, 'x', 1,
    '{}', '', '' FROM generate_series(1, 600000) n;

INSERT INTO projection_offsets (topic, partition, next_offset, read_at) SELECT 'delivery.events', n, 600000, now()
    FROM generate_series(0, 5) n;

INSERT INTO zone_health_metrics SELECT 'zone-' || z, date_trunc('minute', now()) - m * interval '1 minute',
    now(), 1, 5, 5, 0, 0, 0, 0, 10, 4, 2, 30, 0.4, 'steady', 9, 60000, 120000, 300, 900, false, 0.5, 3 FROM
    generate_series(0, 29) z, generate_series(0, 30 * 1440 - 1) m;

INSERT INTO dead_letters SELECT '0-' || n, 0, n, 'orders.inbound', 0, n, now() - (20000 - n) * interval '60
    s', 'BadRecord', NULL, 'x', 'worker-0', 10, 0, '' FROM generate_series(1, 20000) n;

INSERT INTO delivery_costs (delivery_id, seller_id, zone, currency, outcome, settled_at, created_at, driver_id,
    driver_pay_minor, compensation_minor, routing_minor, messages_minor, storage_minor, platform_minor, cost_minor)
    SELECT delivery_id, seller_id, zone, 'EUR', status, ended_at, created_at, coalesce(driver_id, ''), 1, 1, 1, 1, 1, 1, 6
    FROM deliveries WHERE ended_at IS NOT NULL;

INSERT INTO delivery_revenue (delivery_id, seller_id, zone, currency, outcome, settled_at, created_at,
    commission_minor, delivery_fee_minor, revenue_minor, net_minor, estimated_net_minor) SELECT delivery_id, seller_id,
    zone, 'EUR', status, ended_at, created_at, 5, 5, 10, 4, 4 FROM deliveries WHERE ended_at IS NOT NULL;

INSERT INTO economics_rollup SELECT g.by, g.key, g.at, c.currency, count(*), count(*) FILTER (WHERE c.outcome =
    'delivered'), sum(c.driver_pay_minor), sum(c.compensation_minor), sum(c.routing_minor), sum(c.messages_minor),
    sum(c.storage_minor), sum(c.platform_minor), sum(c.cost_minor), sum(r.commission_minor), sum(r.delivery_fee_minor),
    sum(r.revenue_minor), sum(r.net_minor), coalesce(sum(c.cost_minor) FILTER (WHERE c.outcome <> 'delivered'), 0),
    coalesce(sum(r.revenue_minor) FILTER (WHERE c.outcome <> 'delivered'), 0), count(*), sum(r.net_minor),
    sum(r.net_minor) FROM delivery_costs c JOIN delivery_revenue r USING (delivery_id, created_at) JOIN deliveries d
    USING (delivery_id, created_at), LATERAL (VALUES ('zone', c.zone, date_trunc('hour', c.settled_at, 'UTC')),
    ('seller', c.seller_id, date_trunc('day', c.settled_at, 'UTC')), ('driver', coalesce(d.driver_id, ''),
    date_trunc('day', c.settled_at, 'UTC'))) g (by, key, at) GROUP BY 1, 2, 3, 4;

VACUUM ANALYZE;
