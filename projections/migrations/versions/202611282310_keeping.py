"""Who may do what, which words a column may hold, and how old rows go.

Roles belong to the whole server and outlive any one database: they are made here and never dropped; what they may do
here is granted here, all of it, so that one place says it. `baton setup` lets them log in (projections/keeping/roles).

New checks are NOT VALID: filled tables are not read under a lock. `baton setup` validates them afterwards.
"""

from alembic import context, op

revision = "202611282310"
down_revision = "202611282300"

ACTOR_TYPE = ("UNKNOWN", "driver", "system", "admin", "customer", "order_service")
AVAILABILITY = ("UNKNOWN", "AVAILABLE", "BUSY", "ON_BREAK", "SHIFT_ENDED", "OFFLINE", "PAUSED")
SETTLED_AS = ("UNKNOWN", "delivered", "failed", "returned", "cancelled")
UNASSIGNED = (
    "UNKNOWN", "no_available_drivers", "all_drivers_busy", "distance_exceeded", "redis_timeout", "unknown",
)  # fmt: skip
WORDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("deliveries", "assigned_how"): ("UNKNOWN", "accepted", "auto", "manual", "direct"),
    ("deliveries", "unassigned_reason"): UNASSIGNED,
    ("deliveries", "proof_wanted"): ("UNKNOWN", "none", "photo", "signature", "pin"),
    ("driver_offers", "reason"): (
        "UNKNOWN", "too_far", "no_time", "bad_area", "vehicle", "earning", "other",
        "order_cancelled", "admin_assigned", "admin_reassigned", "driver_unavailable",
    ),
    ("drivers", "availability"): AVAILABILITY,
    ("drivers", "vehicle"): ("UNKNOWN", "any", "bicycle", "scooter", "motorbike", "car", "van"),
    ("delivery_audit_logs", "actor_type"): ACTOR_TYPE,
    ("assignments", "reassign_reason"): (
        "UNKNOWN", "driver_offline", "driver_cancelled", "driver_distance_too_far", "admin_forced",
    ),
    ("driver_availability_history", "from_state"): AVAILABILITY,
    ("driver_availability_history", "to_state"): AVAILABILITY,
    ("driver_availability_history", "actor_type"): ACTOR_TYPE,
    ("driver_zone_preferences", "preference"): ("UNKNOWN", "PREFERRED", "AVAILABLE", "UNAVAILABLE"),
    ("driver_zone_preferences", "actor_type"): ACTOR_TYPE,
    ("delivery_costs", "outcome"): SETTLED_AS,
    ("delivery_revenue", "outcome"): SETTLED_AS,
    ("unassigned_orders", "why"): UNASSIGNED,
    ("unassigned_orders", "left_how"): ("assigned", "delivered", "cancelled", "failed", "returned"),
    ("zone_health_metrics", "trend"): ("UNKNOWN", "rising", "steady", "falling"),
    ("dead_letter_acts", "act"): ("UNKNOWN", "retried", "dropped"),
    ("notices", "audience"): ("UNKNOWN", "customer", "driver", "operations", "support"),
    ("support_tickets", "why"): UNASSIGNED,
    ("webhook_attempts", "outcome"): ("sent", "failed", "dead"),
    ("webhook_changes", "act"): (
        "UNKNOWN", "created", "changed", "deleted", "secret_rotated", "enabled", "disabled",
    ),
    ("webhook_changes", "actor_type"): ACTOR_TYPE,
}  # fmt: skip
"""By table and column. Those of the contract have UNKNOWN: a word of a newer writer is read as that."""
NARROWER = {
    ("drivers", "availability"): AVAILABILITY[1:],
    ("driver_availability_history", "to_state"): AVAILABILITY[1:],
    ("driver_zone_preferences", "preference"): ("PREFERRED", "AVAILABLE", "UNAVAILABLE"),
}
"""What was checked before, without UNKNOWN: such a record would have been set aside."""

_RETENTION = """
ALTER TABLE projection_retention ADD COLUMN column_name text NOT NULL DEFAULT '';
CREATE TABLE projection_retention_history (
    change_no bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, table_name text NOT NULL, was_days int, keep_days int,
    changed_at timestamptz NOT NULL DEFAULT now(), actor_id text NOT NULL, reason text NOT NULL);
CREATE INDEX projection_retention_history_table ON projection_retention_history (table_name, change_no DESC);
"""
_COMMENTED = """    EXECUTE format('COMMENT ON TABLE %I.%I IS %L', room, part,
                   coalesce(obj_description(format('%I.%I', room, parent)::regclass, 'pg_class'),
                            obj_description(to_regclass(format('public.%I', parent)), 'pg_class')));
"""
"""A month says what its table says; in a room beside, what the live table says."""
_BEFORE_IT = "    EXECUTE format('ALTER TABLE %I.%I ATTACH PARTITION"
_OLD = """
CREATE FUNCTION baton_old_months() RETURNS TABLE (
    table_name text, part text, month date, keep_days int, about_rows bigint, bytes bigint, held text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE open boolean; unanchored boolean;
BEGIN
    FOR table_name, part, month, keep_days, about_rows, bytes IN
        SELECT r.table_name, c.relname::text, to_date(right(c.relname, 7), 'YYYY_MM'), r.keep_days,
            greatest(c.reltuples, 0)::bigint, pg_total_relation_size(c.oid)
        FROM public.projection_retention r
        JOIN pg_class p ON p.relname = r.table_name AND p.relnamespace = 'public'::regnamespace AND p.relkind = 'p'
        JOIN pg_inherits i ON i.inhparent = p.oid JOIN pg_class c ON c.oid = i.inhrelid
        WHERE r.keep_days IS NOT NULL AND c.relname ~ '_[0-9]{4}_[0-9]{2}$'
            AND (to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month')::timestamp AT TIME ZONE 'UTC'
                <= now() - make_interval(days => r.keep_days)
        ORDER BY r.table_name, c.relname
    LOOP
        held := '';
        IF EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = format('public.%I', part)::regclass
                   AND a.attname = 'delivery_id' AND NOT a.attisdropped) THEN
            EXECUTE format('SELECT EXISTS (SELECT FROM public.deliveries d WHERE d.ended_at IS NULL'
                ' AND EXISTS (SELECT FROM public.%I m WHERE m.delivery_id = d.delivery_id))', part) INTO open;
            IF open THEN held := 'a delivery of it is still under way'; END IF;
        END IF;
        IF table_name = 'delivery_audit_logs' AND held = '' THEN
            IF to_regclass('public.audit_anchors') IS NULL THEN
                held := 'the audit has no anchors';
            ELSE
                EXECUTE format('SELECT EXISTS (SELECT FROM (SELECT topic, partition, max(record_offset) AS last'
                    ' FROM public.%I GROUP BY 1, 2) m WHERE NOT EXISTS (SELECT FROM public.audit_anchors a'
                    ' WHERE a.topic = m.topic AND a.partition = m.partition AND a.last_offset >= m.last))', part)
                    INTO unanchored;
                IF unanchored THEN held := 'no anchor of the audit lies beyond it'; END IF;
            END IF;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;
COMMENT ON FUNCTION baton_old_months IS 'The months that retention lets go, and what still holds one; changes nothing';

CREATE FUNCTION baton_drop_month(wanted text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE due record;
BEGIN
    PERFORM FROM public.projection_retention FOR SHARE;
    SELECT * INTO due FROM public.baton_old_months() m WHERE m.part = wanted;
    IF NOT FOUND THEN RETURN 'it is not old enough, or not there'; END IF;
    IF due.held <> '' THEN RETURN due.held; END IF;
    PERFORM FROM public.projection_offsets ORDER BY topic COLLATE "C", partition FOR UPDATE;
    EXECUTE format('ALTER TABLE public.%I DETACH PARTITION public.%I', due.table_name, wanted);
    EXECUTE format('DROP TABLE public.%I', wanted);
    UPDATE public.projection_offsets SET generation = generation + 1;
    RETURN '';
END $$;
COMMENT ON FUNCTION baton_drop_month IS
    'Detaches and drops a month that baton_old_months names; gives why not, or nothing. Waits for locks 500 ms';

CREATE FUNCTION baton_drop_rows(wanted text, most int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE kept record; gone int;
BEGIN
    SELECT r.* INTO kept FROM public.projection_retention r
        JOIN pg_class c ON c.relname = r.table_name AND c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
        WHERE r.table_name = wanted AND r.keep_days IS NOT NULL AND r.column_name <> '' FOR SHARE OF r;
    IF NOT FOUND THEN RETURN 0; END IF;
    EXECUTE format('DELETE FROM public.%I WHERE ctid = ANY (ARRAY(SELECT ctid FROM public.%I WHERE %I < $1 LIMIT $2'
        ' FOR UPDATE SKIP LOCKED))', wanted, wanted, kept.column_name)
        USING now() - make_interval(days => kept.keep_days), least(most, 10000);
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;
COMMENT ON FUNCTION baton_drop_rows IS
    'Deletes some of the rows that retention lets go, of a table that is not kept by months; gives how many';

CREATE FUNCTION baton_end_slow(longest_s int) RETURNS int
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT count(*)::int FROM (SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND xact_start < now() - make_interval(secs => longest_s)
            AND (usename = 'baton_analyst' OR usesysid IN (SELECT member FROM pg_auth_members
                WHERE roleid = (SELECT oid FROM pg_roles WHERE rolname = 'baton_analyst')))
            AND usename <> current_user) ended $$;
COMMENT ON FUNCTION baton_end_slow IS
    'Ends transactions of analysts that are older than so many seconds; gives how many';
"""
_ROLES = """
DO $$ DECLARE name text; BEGIN
    FOREACH name IN ARRAY ARRAY['baton_worker', 'baton_notifier', 'baton_webhooks'] LOOP
        BEGIN EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END;
    END LOOP; END $$;
"""
_EXACTLY = """
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM baton_analyst;
REVOKE DELETE ON zone_health_metrics, dead_letters, dead_letter_acts, zone_prices FROM baton_projector;
REVOKE SELECT ON notices, support_tickets FROM baton_gateway;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotent_answers TO baton_gateway;
GRANT SELECT ON projection_retention, projection_retention_history TO baton_projector, baton_gateway;
GRANT SELECT ON drivers TO baton_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON notices TO baton_notifier;
GRANT SELECT, INSERT, UPDATE ON support_tickets TO baton_notifier;
GRANT SELECT ON deliveries, contacts, driver_contacts TO baton_notifier;
GRANT SELECT, UPDATE ON webhook_endpoints TO baton_webhooks;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_deliveries, webhook_lines, webhook_messages TO baton_webhooks;
GRANT SELECT, INSERT ON webhook_attempts TO baton_webhooks;
GRANT SELECT, INSERT, UPDATE ON webhook_changes TO baton_webhooks;
GRANT SELECT ON deliveries TO baton_webhooks;
REVOKE ALL ON FUNCTION baton_old_months, baton_drop_month, baton_drop_rows, baton_end_slow FROM PUBLIC;
GRANT EXECUTE ON FUNCTION baton_old_months, baton_drop_month, baton_drop_rows, baton_end_slow TO baton_projector;
"""
_AS_BEFORE = """
DROP FUNCTION baton_old_months, baton_drop_month, baton_drop_rows, baton_end_slow;
REVOKE ALL ON notices, support_tickets, deliveries, contacts, driver_contacts FROM baton_notifier;
REVOKE ALL ON webhook_endpoints, webhook_deliveries, webhook_lines, webhook_messages, webhook_attempts,
    webhook_changes, deliveries FROM baton_webhooks;
REVOKE ALL ON drivers FROM baton_worker;
REVOKE ALL ON idempotent_answers FROM baton_gateway;
GRANT SELECT ON notices, support_tickets TO baton_gateway;
GRANT DELETE ON zone_health_metrics, dead_letters, dead_letter_acts, zone_prices TO baton_projector;
GRANT SELECT ON notices, support_tickets, delivery_costs, delivery_revenue, unassigned_orders, zone_health_metrics,
    driver_performance_metrics, dead_letters, dead_letter_acts, assignments, eta_accuracy,
    driver_availability_history, driver_zone_preferences, economics_rollup, delivery_zones, zone_imports,
    delivery_incentives, feature_flag_history, policy_history, pricing_rules, zone_prices, projection_retention,
    projection_offsets, audit_anchors, audit_exports TO baton_analyst;
DROP TABLE projection_retention_history;
ALTER TABLE projection_retention DROP COLUMN column_name;
ALTER TABLE support_tickets ALTER COLUMN delivery_id TYPE text;
"""


def _check(column: str, words: tuple[str, ...]) -> str:
    return f"CHECK ({column} IN ({', '.join(repr(word) for word in words)}))"


def _months() -> str:
    """How months were made before: the one text of it, so that no copy grows old."""
    made: str = context.script.get_revision("202611282230").module._MONTHS
    return made.replace("CREATE FUNCTION baton_month", "CREATE OR REPLACE FUNCTION baton_month", 1)


def upgrade() -> None:
    op.execute(_ROLES)
    op.execute(_RETENTION)
    op.execute(_months().replace(_BEFORE_IT, _COMMENTED + _BEFORE_IT, 1))
    op.execute(_OLD)
    for table, column in NARROWER:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_check")
    for (table, column), words in WORDS.items():
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_words {_check(column, words)} NOT VALID")
    op.execute("ALTER TABLE support_tickets ALTER COLUMN delivery_id TYPE uuid USING delivery_id::uuid")
    op.execute(_EXACTLY)


def downgrade() -> None:
    op.execute(_AS_BEFORE)
    for table, column in WORDS:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {table}_{column}_words")
    for (table, column), words in NARROWER.items():
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_check {_check(column, words)} NOT VALID")
    op.execute(_months())
