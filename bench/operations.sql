-- Fills the tables for `python -m bench.operations`.

INSERT INTO deliveries (delivery_id, version, seller_id, seller_order_id, store_name, status, driver_id,
    pickup_lat, pickup_lng, dropoff_lat, dropoff_lng, zone, order_value_minor, delivery_fee_minor, currency,
    prep_s, created_at, updated_at, ended_at, delivery_eta) SELECT md5('d' || n)::uuid, 9, 's' || n % 500,
    'order-' || n, 'Anker', CASE WHEN n > 195000 THEN 'searching' ELSE 'delivered' END, CASE WHEN n > 195000 THEN
    NULL ELSE 'driver-' || n % 1000 END, 48, 7.8, 48, 7.8, 'zone-' || n % 30, 2000, 300, 'EUR', 300, now() -
    (200000 - n) * interval '10 s', now(), CASE WHEN n > 195000 THEN NULL ELSE now() - (200000 - n) * interval '10
    s' END, now() FROM generate_series(1, 200000) n;

INSERT INTO unassigned_orders (delivery_id, queue_status, why, queued_at, changed_at, needs_manual_review,
    left_at) SELECT delivery_id, CASE WHEN ended_at IS NULL THEN 'PENDING' ELSE 'REASSIGNED' END,
    'no_available_drivers', created_at, created_at, ended_at IS NULL AND random() < 0.02, ended_at FROM deliveries
    WHERE ended_at IS NULL OR random() < 0.2;

INSERT INTO drivers (driver_id, version, availability, vehicle, capacity, holds, rating, fence, updated_at)
    SELECT 'driver-' || n, 1, 'AVAILABLE', 'car', 1, 0, 4.5, 1, now() FROM generate_series(0, 999) n;

INSERT INTO driver_performance_metrics SELECT driver_id, now(), random(), 0.8, 0.8, '[]' FROM drivers;

INSERT INTO driver_offers (offer_id, delivery_id, driver_id, fence, outcome, sent_at, notified_by,
    notified_at, expires_at, response_ms, store_name, pickup_lat, pickup_lng, dropoff_lat, dropoff_lng,
    pickup_eta, delivery_eta, pickup_distance_m, total_distance_m, earning_minor, incentive_minor, currency)
    SELECT md5('o' || delivery_id)::uuid, delivery_id, coalesce(driver_id, 'driver-1'), 1, 'ACCEPTED', created_at,
    'socket', created_at, created_at, 900, 'Anker', 48, 7.8, 48, 7.8, now(), now(), 900, 2000, 500, 0, 'EUR' FROM
    deliveries;

INSERT INTO delivery_audit_logs (topic, partition, record_offset, event_id, event, audit_word, delivery_id,
    driver_id, version, at, actor_type, actor_id, causation_id, correlation_id, schema_id, body, prev_hash, hash)
    SELECT 'delivery.events', n % 6, n, md5('e' || n)::uuid, 'DeliveryCreated', (ARRAY['created',
    'driver_assigned', 'delivery_completed'])[1 + n % 3], md5('d' || n / 3)::uuid, 'driver-' || (n / 3) % 1000, n
    % 3, now() - (600000 - n) * interval '3 s', 'driver', 'driver-' || (n / 3) % 1000, md5('c')::uuid, 'x', 1,
    '{}', '', '' FROM generate_series(1, 600000) n;

INSERT INTO zone_health_metrics SELECT 'zone-' || z, date_trunc('minute', now()) - m * interval '1 minute',
    now(), 1, 5, 5, 0, 0, 0, 0, 10, 4, 2, 30, 0.4, 'steady', 9, 60000, 120000, 300, 900, false, 0.5, 3 FROM
    generate_series(0, 29) z, generate_series(0, 1439) m;

INSERT INTO dead_letters SELECT '0-' || n, 0, n, 'orders.inbound', 0, n, now() - (20000 - n) * interval '60
    s', 'BadRecord', NULL, 'x', 'worker-0', 10, 0, '' FROM generate_series(1, 20000) n;

INSERT INTO delivery_costs (delivery_id, seller_id, zone, currency, outcome, settled_at, driver_pay_minor,
    compensation_minor, routing_minor, messages_minor, storage_minor, platform_minor, cost_minor) SELECT
    delivery_id, seller_id, zone, 'EUR', 'delivered', ended_at, 1, 1, 1, 1, 1, 1, 6 FROM deliveries WHERE ended_at
    IS NOT NULL;

INSERT INTO delivery_revenue (delivery_id, seller_id, zone, currency, outcome, settled_at, commission_minor,
    delivery_fee_minor, revenue_minor, net_minor) SELECT delivery_id, seller_id, zone, 'EUR', 'delivered',
    ended_at, 5, 5, 10, 4 FROM deliveries WHERE ended_at IS NOT NULL;

ANALYZE;
