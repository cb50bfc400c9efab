"""feature_flag_history, policy_history, pricing_rules: every change of the rules, and what they price by."""

from collections.abc import Iterator
from typing import Any

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import FeatureFlagToggled, PolicyPublished
from dispatch.log.application import Record
from projections.models.model import Row, moment
from projections.models.noted import Noted

EVERYWHERE = "*"
"""The zone of prices that hold where a zone has none of its own."""
_FLAG = ("flag", "version", "was_enabled", "enabled", "was_rollout_percent", "rollout_percent", "actor_id", "reason")
_PRICES = {
    "pay": ("currency", "base_minor", "per_km_minor", "per_minute_minor"),
    "pricing": ("fee_base_minor", "fee_per_km_minor", "free_pressure", "percent_per_pressure", "max_percent"),
    "cost": ("commission_percent", "platform_minor"),
}


def _flag(record: Record) -> Row | None:
    toggled = codec.decode_checked(record.value)
    if not isinstance(toggled, FeatureFlagToggled):
        return None
    row = {name: getattr(toggled, name) for name in _FLAG}
    row |= {"was_zones": list(toggled.was_zones), "zones": list(toggled.zones), "at": moment(toggled.at_ms)}
    return row | {"record_offset": record.offset}


def _policy(record: Record) -> Row | None:
    published = codec.decode_checked(record.value)
    if not isinstance(published, PolicyPublished):
        return None
    row = {name: getattr(published, name) for name in ("version", "actor_id", "reason", "document")}
    return row | {"record_offset": record.offset, "at": moment(published.at_ms)}


def _prices(record: Record) -> list[Row] | None:
    published = codec.decode_checked(record.value)
    return list(_priced(published)) if isinstance(published, PolicyPublished) else None


def _priced(published: PolicyPublished) -> Iterator[Row]:
    """A row for everywhere, and one for each zone whose chapters of money differ."""
    try:
        document: dict[str, Any] = codec.document(published.document)
        by_zone = document.get("by_zone") or {}
        for zone in (EVERYWHERE, *(zone for zone, own in by_zone.items() if own.keys() & _PRICES.keys())):
            row: Row = {"policy_version": published.version, "zone": zone, "at": moment(published.at_ms)}
            for chapter, names in _PRICES.items():
                fields = document[chapter] | (by_zone.get(zone) or {}).get(chapter, {})
                row |= {name: fields[name] for name in names}
            yield row
    except (KeyError, TypeError, AttributeError) as error:
        raise ContractError(
            f"policy {published.version} tells no prices: {type(error).__name__}", "document"
        ) from error


FEATURE_FLAG_HISTORY = Noted(
    topic=topics.RULES_HISTORY,
    table="feature_flag_history",
    columns=("record_offset", *_FLAG, "was_zones", "zones", "at"),
    read=_flag,
    merge="(record_offset) DO NOTHING",
)
POLICY_HISTORY = Noted(
    topic=topics.RULES_HISTORY,
    table="policy_history",
    columns=("record_offset", "version", "at", "actor_id", "reason", "document"),
    read=_policy,
    merge="(record_offset) DO NOTHING",
)
PRICING_RULES = Noted(
    topic=topics.RULES_HISTORY,
    table="pricing_rules",
    columns=("policy_version", "zone", "at", *(name for names in _PRICES.values() for name in names)),
    read=_prices,
    merge="(policy_version, zone) DO NOTHING",
)
