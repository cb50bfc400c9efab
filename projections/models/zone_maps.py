"""delivery_zones, zone_imports, delivery_incentives, zone_prices: map, bonuses and prices, as they were told."""

from dispatch.contract import codec, topics
from dispatch.contract.records.system import IncentivePublished, ZonePrice, ZonePublished, ZonesPublished
from dispatch.log.application import Record
from projections.models.model import Row, moment
from projections.models.noted import Noted, replaced

_ZONE = ("zone_id", "version", "name", "priority", "min_drivers_online", "target_wait_s")


def _zone(record: Record) -> Row | None:
    zone = codec.decode_checked(record.value) if record.value is not None else None
    if not isinstance(zone, ZonePublished):
        return None
    return {name: getattr(zone, name) for name in _ZONE} | {"geometry": zone.geometry}


def _import(record: Record) -> Row | None:
    made = codec.decode_checked(record.value) if record.value is not None else None
    if not isinstance(made, ZonesPublished):
        return None
    return {name: getattr(made, name) for name in ("version", "zones", "actor_id", "note")} | {"at": moment(made.at_ms)}


def _incentive(record: Record) -> Row | None:
    bonus = codec.decode_checked(record.value) if record.value is not None else None
    if not isinstance(bonus, IncentivePublished):
        return None
    row = {name: getattr(bonus, name) for name in ("incentive_id", "zone", "bonus_minor", "currency", "actor_id")}
    row |= {"note": bonus.note, "changed_at": moment(bonus.at_ms)}
    return row | {"starts_at": moment(bonus.starts_at_ms), "ends_at": moment(bonus.ends_at_ms)}


def _price(record: Record) -> Row | None:
    price = codec.decode_checked(record.value) if record.value is not None else None
    if not isinstance(price, ZonePrice):
        return None
    names = ("zone", "multiplier_percent", "pressure", "smoothed_pressure", "policy_version")
    return {name: getattr(price, name) for name in names} | {"at": moment(price.at_ms)}


_LAST_ONLY = "its topic keeps the last record of each key"
_ZONE_COLUMNS = (*_ZONE, "geometry")
DELIVERY_ZONES = Noted(
    topic=topics.ZONES,
    table="delivery_zones",
    columns=_ZONE_COLUMNS,
    read=_zone,
    merge=replaced(("zone_id", "version"), _ZONE_COLUMNS),
    not_again=_LAST_ONLY,
)
ZONE_IMPORTS = Noted(
    topic=topics.ZONES,
    table="zone_imports",
    columns=("version", "zones", "at", "actor_id", "note"),
    read=_import,
    merge="(version) DO NOTHING",
    not_again=_LAST_ONLY,
)
_INCENTIVE_COLUMNS = (
    "incentive_id", "zone", "bonus_minor", "currency", "starts_at", "ends_at", "changed_at", "actor_id", "note",
)  # fmt: skip
DELIVERY_INCENTIVES = Noted(
    topic=topics.INCENTIVES,
    table="delivery_incentives",
    columns=_INCENTIVE_COLUMNS,
    read=_incentive,
    merge=replaced(("incentive_id",), _INCENTIVE_COLUMNS),
)
ZONE_PRICES = Noted(
    topic=topics.PRICES,
    table="zone_prices",
    columns=("zone", "at", "multiplier_percent", "pressure", "smoothed_pressure", "policy_version"),
    read=_price,
    merge="(zone, at) DO NOTHING",
    not_again=_LAST_ONLY,
)
