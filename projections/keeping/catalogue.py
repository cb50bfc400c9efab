"""For how long each table is kept unless somebody says otherwise, and by which column its rows grow old.

What is folded from the log can be folded again, for the log keeps deliveries' and drivers' events for ever; that is why
most tables may be shortened without loss, and why none is by itself.
"""

from dataclasses import dataclass

LEAST_DAYS = 7
"""Shorter is not kept: a delivery may take days, and its last events come after its end."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One table. `days`: the start value; None: for ever. Rows whose column is null stay."""

    table: str
    column: str
    days: int | None
    why: str


CATALOGUE: tuple[Kept, ...] = (
    Kept("deliveries", "created_at", None, "what analysts and the doors for operations ask"),
    Kept("driver_offers", "sent_at", None, "what analysts ask"),
    Kept("assignments", "assigned_at", None, "what analysts ask, and what drivers were promised"),
    Kept("eta_accuracy", "created_at", None, "what analysts ask"),
    Kept("delivery_costs", "created_at", None, "books"),
    Kept("delivery_revenue", "created_at", None, "books"),
    Kept("driver_availability_history", "at", None, "what drivers' hours are judged by"),
    Kept("delivery_audit_logs", "at", None, "the audit; a month goes only when an anchor lies beyond it"),
    Kept("zone_health_metrics", "minute", 30, "a row a zone and minute; its topic keeps an hour"),
    Kept("zone_prices", "at", 400, "a year and a month, to compare with the year before"),
    Kept("dead_letters", "at", 35, "a little longer than the topic keeps the letters"),
    Kept("dead_letter_acts", "at", None, "who did what; few"),
    Kept("unassigned_orders", "left_at", None, "what the queue was like; those in it have no such moment"),
    Kept("support_tickets", "closed_at", None, "what support did; open ones have no such moment"),
    Kept("tracking_links", "expires_at", 35, "a link that has expired opens nothing"),
)
ELSEWHERE: dict[str, str] = {
    "notices": "the notifier deletes what ended 14 days ago",
    "webhook_messages": "the webhooks process deletes what is 30 days old",
    "webhook_attempts": "gone with their messages",
    "webhook_lines": "the webhooks process deletes idle ones after 60 days",
    "webhook_deliveries": "the webhooks process deletes what is 60 days old",
    "idempotent_answers": "the gateway deletes what is a day old",
    "contacts": "erased by a tombstone in the topic, and only so",
    "driver_contacts": "erased by a tombstone in the topic, and only so",
    "audit_anchors": "append only: a row some thousand events",
    "audit_exports": "append only: a row an export",
    "alembic_version": "one row",
    "projection_offsets": "a row a partition",
    "projection_retention": "a row a table",
    "projection_retention_history": "a row a change",
    "drivers": "a row a driver",
    "driver_zone_preferences": "a row a driver and zone",
    "driver_performance_metrics": "a row a driver",
    "economics_rollup": "sums, which do not grow with the deliveries",
    "delivery_zones": "a row a zone and version of the map",
    "zone_imports": "a row a version of the map",
    "delivery_incentives": "a row a bonus",
    "feature_flag_history": "a row a change",
    "policy_history": "a row a change",
    "pricing_rules": "a row a change and zone",
    "webhook_endpoints": "sellers delete them",
    "webhook_changes": "a row a change",
}
"""Tables that the keeper leaves alone, and why."""
