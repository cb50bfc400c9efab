"""Whether the triggers that keep the audit append only are there and on."""

from typing import Any

import psycopg

from projections.audit.findings import Finding

WANTED = {
    "delivery_audit_logs": ("audit_append_only", "audit_no_truncate"),
    "audit_anchors": ("anchors_append_only", "anchors_no_truncate"),
    "audit_exports": ("exports_append_only", "exports_no_truncate"),
}
_THERE = (
    "SELECT c.relname, t.tgname, t.tgenabled IN ('O', 'A') FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
    " JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_namespace n ON n.oid = c.relnamespace"
    " WHERE p.proname IN ('refuse_change', 'refuse_audit_change') AND n.nspname = current_schema()"
)


def missing(connection: psycopg.Connection[Any]) -> list[Finding]:
    """Triggers that are off or gone, also of single months."""
    there = {(table, trigger): on for table, trigger, on in connection.execute(_THERE).fetchall()}
    off = [place for place, on in there.items() if not on]
    gone = [(table, name) for table, names in WANTED.items() for name in names if (table, name) not in there]
    return [_finding(table, f"the trigger {name} is switched off") for table, name in sorted(off)] + [
        _finding(table, f"the trigger {name} is gone") for table, name in gone
    ]


def _finding(table: str, what: str) -> Finding:
    text = f"{what}: rows of {table} can be changed"
    return Finding(kind="guard", topic=table, partition=0, offset=-1, text=text)
