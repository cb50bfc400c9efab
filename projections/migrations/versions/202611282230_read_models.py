"""Tables that grow are partitioned by month; the read models that analysts know by name; who stands where in the log.

A month's partition is made by `baton_month`, which the projector may call though it owns nothing: it makes an empty
table and attaches it, which does not hold up readers of the others.
"""

from alembic import op

revision = "202611282230"
down_revision = "0013"

PARTED = {
    "deliveries": ("delivery_id", "created_at"),
    "driver_offers": ("offer_id", "sent_at"),
    "zone_health_metrics": ("zone, minute", "minute"),
    "delivery_audit_logs": ("topic, partition, record_offset, at", "at"),
}
"""By table: its key, and the column whose month a row belongs to."""
_MONTHS = """
CREATE FUNCTION baton_month(room text, parent text, month date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE first date := date_trunc('month', month); part text := parent || to_char(first, '_YYYY_MM');
BEGIN
    IF NOT EXISTS (SELECT FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
                   WHERE c.relname = parent AND c.relnamespace = room::regnamespace) THEN
        RAISE EXCEPTION '%.% is not kept by months', room, parent;
    END IF;
    IF to_regclass(format('%I.%I', room, part)) IS NOT NULL THEN RETURN false; END IF;
    PERFORM pg_advisory_xact_lock(hashtext('baton_month'), hashtext(room || parent));
    PERFORM FROM pg_class WHERE relname = part AND relnamespace = room::regnamespace;
    IF FOUND THEN RETURN false; END IF;  -- made while this one waited; to_regclass might remember that it was not
    EXECUTE format('CREATE TABLE %I.%I (LIKE %I.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
                   room, part, room, parent);
    EXECUTE format('ALTER TABLE %I.%I ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)',
                   room, parent, room, part, first::timestamp AT TIME ZONE 'UTC',
                   (first + interval '1 month') AT TIME ZONE 'UTC');
    IF parent = 'delivery_audit_logs' THEN
        EXECUTE format('CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON %I.%I FOR EACH STATEMENT'
                       ' EXECUTE FUNCTION public.refuse_change()', room, part);
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION baton_month IS 'Makes the partition of a month, unless it is there; true: it was made';
REVOKE ALL ON FUNCTION baton_month FROM PUBLIC;
GRANT EXECUTE ON FUNCTION baton_month TO baton_projector;
"""
_OFFSETS = """
ALTER TABLE projection_offsets ADD COLUMN generation bigint NOT NULL DEFAULT 0, ADD COLUMN read_at timestamptz;
COMMENT ON COLUMN projection_offsets.generation IS
    'Rises when tables were put in place by a rebuild: a projector that remembers rows forgets them';
COMMENT ON COLUMN projection_offsets.read_at IS 'When the last batch of the partition was written';
"""
_MONEY_UP = """
ALTER TABLE {table} ADD COLUMN created_at timestamptz;
UPDATE {table} t SET created_at = coalesce((SELECT d.created_at FROM deliveries d
    WHERE d.delivery_id = t.delivery_id), t.estimated_at, t.settled_at, now());
ALTER TABLE {table} ALTER COLUMN created_at SET NOT NULL;
"""
_NEW = """
CREATE TABLE assignments (
    delivery_id uuid NOT NULL, assignment_no int NOT NULL, offer_id uuid NOT NULL, driver_id text NOT NULL,
    seller_id text NOT NULL, zone text NOT NULL,
    how text NOT NULL CHECK (how IN ('accepted','auto','manual','direct','UNKNOWN')),
    assigned_at timestamptz NOT NULL, search_ms bigint NOT NULL, pickup_distance_m int NOT NULL,
    total_distance_m int NOT NULL, earning_minor bigint NOT NULL, incentive_minor bigint NOT NULL,
    currency text NOT NULL, picked_up_at timestamptz, ended_at timestamptz,
    ended_as text CHECK (ended_as IN ('delivered','failed','returned','cancelled','reassigned')),
    reassign_reason text, note text, compensation_minor bigint, PRIMARY KEY (delivery_id, assignment_no, assigned_at)
) PARTITION BY RANGE (assigned_at);
COMMENT ON TABLE assignments IS 'One row each time that a driver got a delivery, and how it ended with them';
CREATE INDEX assignments_driver ON assignments (driver_id, assigned_at);
CREATE INDEX assignments_at ON assignments (assigned_at);

CREATE TABLE eta_accuracy (
    delivery_id uuid NOT NULL, created_at timestamptz NOT NULL, seller_id text NOT NULL, zone text NOT NULL,
    driver_id text, promised_at timestamptz, source text,
    promised_pickup timestamptz, pickup_p10 timestamptz, pickup_p90 timestamptz,
    promised_delivery timestamptz, delivery_p10 timestamptz, delivery_p90 timestamptz,
    last_told_delivery timestamptz, changes int NOT NULL DEFAULT 0,
    picked_up_at timestamptz, delivered_at timestamptz, pickup_error_s int, delivery_error_s int,
    pickup_in_band boolean, delivery_in_band boolean, PRIMARY KEY (delivery_id, created_at)
) PARTITION BY RANGE (created_at);
COMMENT ON TABLE eta_accuracy IS 'One row a delivery: what was promised when its driver took it, and what came true';
CREATE INDEX eta_accuracy_delivered ON eta_accuracy (delivered_at) WHERE delivered_at IS NOT NULL;

CREATE TABLE driver_availability_history (
    driver_id text NOT NULL, version bigint NOT NULL, at timestamptz NOT NULL,
    from_state text NOT NULL, to_state text NOT NULL CHECK (to_state IN
        ('AVAILABLE','BUSY','ON_BREAK','SHIFT_ENDED','OFFLINE','PAUSED')),
    reason text NOT NULL, until timestamptz, actor_type text NOT NULL, actor_id text NOT NULL,
    PRIMARY KEY (driver_id, version, at)) PARTITION BY RANGE (at);
COMMENT ON TABLE driver_availability_history IS 'One row a change of a driver''s availability: from, to, why, by whom';
CREATE INDEX driver_availability_at ON driver_availability_history (at);
CREATE INDEX driver_availability_driver ON driver_availability_history (driver_id, at);

CREATE TABLE driver_zone_preferences (
    driver_id text NOT NULL, zone text NOT NULL,
    preference text NOT NULL CHECK (preference IN ('PREFERRED','AVAILABLE','UNAVAILABLE')),
    set_at timestamptz NOT NULL, actor_type text NOT NULL, actor_id text NOT NULL, PRIMARY KEY (driver_id, zone));
COMMENT ON TABLE driver_zone_preferences IS 'What each driver last said of each zone';
CREATE INDEX driver_zone_preferences_zone ON driver_zone_preferences (zone, preference);

CREATE TABLE economics_rollup (
    by text NOT NULL CHECK (by IN ('zone','seller','driver')), key text NOT NULL, at timestamptz NOT NULL,
    currency text NOT NULL, deliveries bigint NOT NULL, delivered bigint NOT NULL,
    driver_pay_minor bigint NOT NULL, compensation_minor bigint NOT NULL, routing_minor bigint NOT NULL,
    messages_minor bigint NOT NULL, storage_minor bigint NOT NULL, platform_minor bigint NOT NULL,
    cost_minor bigint NOT NULL, commission_minor bigint NOT NULL, delivery_fee_minor bigint NOT NULL,
    revenue_minor bigint NOT NULL, net_minor bigint NOT NULL,
    lost_cost_minor bigint NOT NULL, lost_revenue_minor bigint NOT NULL, estimated bigint NOT NULL,
    estimated_net_minor bigint NOT NULL, compared_net_minor bigint NOT NULL, PRIMARY KEY (by, at, key, currency));
COMMENT ON TABLE economics_rollup IS
    'Settled money summed: by zone and hour, by seller and day, by driver and day (UTC)';

CREATE TABLE delivery_zones (
    zone_id text NOT NULL, version bigint NOT NULL, name text NOT NULL, priority int NOT NULL,
    min_drivers_online int NOT NULL, target_wait_s int NOT NULL, geometry jsonb NOT NULL,
    PRIMARY KEY (zone_id, version));
COMMENT ON TABLE delivery_zones IS 'One row a zone and version of the map; which versions were in force: zone_imports';
CREATE TABLE zone_imports (
    version bigint PRIMARY KEY, zones int NOT NULL, at timestamptz NOT NULL, actor_id text NOT NULL,
    note text NOT NULL);
COMMENT ON TABLE zone_imports IS 'One row a version of the map: since when it is in force, and by whom';

CREATE TABLE delivery_incentives (
    incentive_id text PRIMARY KEY, zone text NOT NULL, bonus_minor bigint NOT NULL, currency text NOT NULL,
    starts_at timestamptz NOT NULL, ends_at timestamptz NOT NULL, changed_at timestamptz NOT NULL,
    actor_id text NOT NULL, note text NOT NULL);
COMMENT ON TABLE delivery_incentives IS 'One row a bonus a delivery: where, how much, from when to when';
CREATE INDEX delivery_incentives_zone ON delivery_incentives (zone, ends_at);

CREATE TABLE feature_flag_history (
    record_offset bigint PRIMARY KEY, flag text NOT NULL, version bigint NOT NULL, at timestamptz NOT NULL,
    was_enabled boolean NOT NULL, enabled boolean NOT NULL, was_rollout_percent int NOT NULL,
    rollout_percent int NOT NULL, was_zones text[] NOT NULL, zones text[] NOT NULL, actor_id text NOT NULL,
    reason text NOT NULL);
COMMENT ON TABLE feature_flag_history IS 'One row a change of a flag: from what, to what, by whom, why';
CREATE INDEX feature_flag_history_flag ON feature_flag_history (flag, at);

CREATE TABLE policy_history (
    record_offset bigint PRIMARY KEY, version bigint NOT NULL, at timestamptz NOT NULL, actor_id text NOT NULL,
    reason text NOT NULL, document jsonb NOT NULL);
COMMENT ON TABLE policy_history IS 'One row a policy that was put in force: the whole document, by whom, why';
CREATE INDEX policy_history_version ON policy_history (version);

CREATE TABLE pricing_rules (
    policy_version bigint NOT NULL, zone text NOT NULL, at timestamptz NOT NULL, currency text NOT NULL,
    base_minor bigint NOT NULL, per_km_minor bigint NOT NULL, per_minute_minor bigint NOT NULL,
    fee_base_minor bigint NOT NULL, fee_per_km_minor bigint NOT NULL, free_pressure double precision NOT NULL,
    percent_per_pressure int NOT NULL, max_percent int NOT NULL, commission_percent int NOT NULL,
    platform_minor bigint NOT NULL, PRIMARY KEY (policy_version, zone));
COMMENT ON TABLE pricing_rules IS
    'What drivers are paid and customers charged, a row a policy version and zone; zone *: the others';

CREATE TABLE zone_prices (
    zone text NOT NULL, at timestamptz NOT NULL, multiplier_percent int NOT NULL, pressure double precision NOT NULL,
    smoothed_pressure double precision NOT NULL, policy_version bigint NOT NULL, PRIMARY KEY (zone, at));
COMMENT ON TABLE zone_prices IS 'One row each time that a zone''s dynamic price was told';
CREATE INDEX zone_prices_at ON zone_prices (at);

CREATE TABLE projection_retention (
    table_name text PRIMARY KEY, keep_days int CHECK (keep_days > 0), changed_at timestamptz NOT NULL DEFAULT now(),
    actor_id text NOT NULL DEFAULT 'setup', reason text NOT NULL DEFAULT 'start value');
COMMENT ON TABLE projection_retention IS 'For how many days each table is kept; null: for ever. baton projections keep';
"""
_GRANTS = """
GRANT SELECT, INSERT, UPDATE ON assignments, eta_accuracy, driver_availability_history, driver_zone_preferences,
    economics_rollup, delivery_zones, zone_imports, delivery_incentives, feature_flag_history, policy_history,
    pricing_rules TO baton_projector;
GRANT SELECT, INSERT, UPDATE, DELETE ON zone_prices TO baton_projector;
GRANT SELECT ON projection_retention TO baton_projector;
GRANT SELECT ON assignments, eta_accuracy, driver_availability_history, driver_zone_preferences, economics_rollup,
    delivery_zones, zone_imports, delivery_incentives, feature_flag_history, policy_history, pricing_rules, zone_prices,
    projection_retention, projection_offsets TO baton_gateway, baton_analyst;
"""
_FRESH = ("assignments", "eta_accuracy", "driver_availability_history", "driver_zone_preferences", "economics_rollup",
          "delivery_zones", "zone_imports", "delivery_incentives", "feature_flag_history", "policy_history",
          "pricing_rules", "zone_prices", "projection_retention")  # fmt: skip
_FILLED = """
INSERT INTO driver_availability_history SELECT DISTINCT ON (driver_id, version, at) driver_id, version, at,
    body ->> 'from_availability', body ->> 'to_availability', body ->> 'reason',
    to_timestamp((body ->> 'until_ms')::bigint / 1000.0), actor_type, actor_id
    FROM delivery_audit_logs WHERE event = 'DriverAvailabilityChanged';
"""
_REREAD = "DELETE FROM projection_offsets WHERE topic ~ '(^|\\.)(rules\\.history|zones|incentives|prices)$'"
"""Topics that are read from now on; kept whole by Kafka, they are read from their beginning."""


def _parted(table: str, key: str, column: str) -> str:
    """Makes a table one of months, with its rows, indexes, triggers, comments and grants."""
    return f"""
DO $$ DECLARE made text[]; acl record; note text; month date; BEGIN
    SELECT array_agg(pg_get_indexdef(indexrelid)) INTO made FROM pg_index
        WHERE indrelid = '{table}'::regclass AND NOT indisprimary;
    note := obj_description('{table}'::regclass);
    ALTER TABLE {table} RENAME TO old_{table};
    EXECUTE 'ALTER INDEX {table}_pkey RENAME TO old_{table}_pkey';
    CREATE TABLE {table} (LIKE old_{table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS)
        PARTITION BY RANGE ({column});
    ALTER TABLE {table} ADD PRIMARY KEY ({key});
    FOR month IN SELECT DISTINCT date_trunc('month', {column} AT TIME ZONE 'UTC')::date FROM old_{table} LOOP
        PERFORM baton_month('public', '{table}', month);
    END LOOP;
    INSERT INTO {table} SELECT * FROM old_{table};
    FOR acl IN SELECT grantee, string_agg(privilege_type, ', ') AS rights FROM information_schema.role_table_grants
            WHERE table_schema = 'public' AND table_name = 'old_{table}' AND grantee LIKE 'baton%' GROUP BY grantee LOOP
        EXECUTE format('GRANT %s ON {table} TO %I', acl.rights, acl.grantee);
    END LOOP;
    EXECUTE format('COMMENT ON TABLE {table} IS %L', note);
    DROP TABLE old_{table};
    FOR n IN 1 .. coalesce(array_length(made, 1), 0) LOOP
        EXECUTE replace(made[n], 'public.old_{table}', 'public.{table}');
    END LOOP;
END $$;
"""


def _whole(table: str, key: str) -> str:
    """The way back: one table again."""
    return f"""
DO $$ DECLARE made text[]; acl record; note text; BEGIN
    SELECT array_agg(replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')) INTO made FROM pg_index
        WHERE indrelid = '{table}'::regclass AND NOT indisprimary;
    note := obj_description('{table}'::regclass);
    ALTER TABLE {table} RENAME TO old_{table};
    EXECUTE 'ALTER INDEX {table}_pkey RENAME TO old_{table}_pkey';
    CREATE TABLE {table} (LIKE old_{table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS);
    ALTER TABLE {table} ADD PRIMARY KEY ({key});
    INSERT INTO {table} SELECT * FROM old_{table};
    FOR acl IN SELECT grantee, string_agg(privilege_type, ', ') AS rights FROM information_schema.role_table_grants
            WHERE table_schema = 'public' AND table_name = 'old_{table}' AND grantee LIKE 'baton%' GROUP BY grantee LOOP
        EXECUTE format('GRANT %s ON {table} TO %I', acl.rights, acl.grantee);
    END LOOP;
    EXECUTE format('COMMENT ON TABLE {table} IS %L', note);
    DROP TABLE old_{table};
    FOR n IN 1 .. coalesce(array_length(made, 1), 0) LOOP
        EXECUTE replace(made[n], 'public.old_{table}', 'public.{table}');
    END LOOP;
END $$;
"""


_TRIGGERS = """
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON delivery_audit_logs
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON delivery_audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""


def upgrade() -> None:
    op.execute(_MONTHS)
    op.execute(_OFFSETS)
    for table in ("delivery_costs", "delivery_revenue"):
        op.execute(_MONEY_UP.format(table=table))
    op.execute("DROP INDEX audit_event, audit_actor")
    for table, (key, column) in PARTED.items():
        key = key if column in key else f"{key}, {column}"
        op.execute(_parted(table, key, column))
    for table in ("delivery_costs", "delivery_revenue"):
        op.execute(_parted(table, "delivery_id, created_at", "created_at"))
    op.execute(_TRIGGERS)
    op.execute(_NEW)
    op.execute(_GRANTS)
    op.execute(_FILLED_MONTHS)
    op.execute(_FILLED)
    op.execute(_REREAD)


_FILLED_MONTHS = """
SELECT baton_month('public', 'driver_availability_history', month) FROM (SELECT DISTINCT
    date_trunc('month', at AT TIME ZONE 'UTC')::date AS month FROM delivery_audit_logs
    WHERE event = 'DriverAvailabilityChanged') months;
"""


def downgrade() -> None:
    op.execute(f"DROP TABLE {', '.join(_FRESH)}")
    for table in ("delivery_costs", "delivery_revenue"):
        op.execute(_whole(table, "delivery_id"))
        op.execute(f"ALTER TABLE {table} DROP COLUMN created_at")
    for table, (key, _column) in PARTED.items():
        op.execute(_whole(table, "topic, partition, record_offset" if table == "delivery_audit_logs" else key))
    op.execute(_TRIGGERS)
    op.execute("CREATE INDEX audit_event ON delivery_audit_logs (event_id)")
    op.execute("CREATE INDEX audit_actor ON delivery_audit_logs (actor_type, actor_id, at)")
    op.execute("ALTER TABLE projection_offsets DROP COLUMN generation, DROP COLUMN read_at")
    op.execute("REVOKE ALL ON projection_offsets FROM baton_gateway, baton_analyst")
    op.execute("DROP FUNCTION baton_month")
    op.execute(_REREAD)
