"""The zones in force, how they are doing, and the incentives: what a decision may know of a place.

Followed from three topics. `zones`: an import takes effect as a whole, with the ZonesPublished that ends it; a record
that cannot be read changes nothing. `incentives`: the last word on each. `zone.health`: the last of each zone, believed
for a short while.
"""

import time

import structlog
from confluent_kafka import KafkaError, Message, TopicPartition

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import IncentivePublished, ZoneHealth, ZonePublished, ZonesPublished
from dispatch.core.facts import ZoneFacts
from dispatch.core.zone_files import ZoneFileError, geometry_text, shape_of
from dispatch.core.zones import Zone, ZoneTable
from dispatch.inputs.follower import Follower
from dispatch.log.reading import watermarks

BELIEVED_MS = 15_000
"""Counts older than this are not known any more."""
RECENT_MS = 60_000
"""So far back health is read at the start."""
VERSION_KEY = b"_version"
logger = structlog.get_logger("dispatch.inputs.zones")


class ZoneBoard:
    """What is known now. Read by deciders, changed by `apply` from one thread: a reader sees the old or the new."""

    def __init__(self, table: ZoneTable | None = None) -> None:
        self.table = table or ZoneTable()
        self.published = ZonesPublished(version=self.table.version, zones=0, at_ms=0, actor_id="nobody")
        self.health: dict[str, ZoneHealth] = {}
        self.incentives: dict[str, tuple[IncentivePublished, ...]] = {}
        """Zone -> those that were set and not removed, whether they run or not."""
        self._staged: dict[str, Zone | None] = {}

    def apply(self, key: bytes | None, value: bytes | None) -> None:
        """Takes one record of any of the topics. Raises ContractError and changes nothing."""
        name = (key or b"").decode(errors="replace")
        if value is None:
            self._staged[name] = None
            return
        match codec.decode_checked(value):
            case ZonePublished() as record:
                self._staged[record.zone_id] = zone_of(record)
            case ZonesPublished() as record:
                self._take_over(record)
            case IncentivePublished() as record:
                self._no_incentive(record.incentive_id)
                others = self.incentives.get(record.zone, ())
                self.incentives = {**self.incentives, record.zone: (*others, record)}
            case ZoneHealth() as record:
                self.health[record.zone] = record
            case other:
                raise ContractError(f"a {type(other).__name__} says nothing of zones")

    def facts(self, zone_id: str, now_ms: int, currency: str = "") -> ZoneFacts:
        """What a decision may know of this zone at this moment, UTC ms."""
        table = self.table
        zone, health = table.zones.get(zone_id), self.health.get(zone_id)
        fresh = health is not None and abs(now_ms - health.at_ms) <= BELIEVED_MS
        bonus_minor, bonus_currency = self.bonus(zone_id, now_ms, currency)
        return ZoneFacts(
            zone=zone_id,
            version=table.version,
            known=zone is not None,
            drivers_online=health.drivers_online if health is not None and fresh else None,
            min_drivers_online=zone.min_drivers_online if zone else 0,
            target_wait_s=zone.target_wait_s if zone else 0,
            pressure=health.pressure if health is not None and fresh else 0,
            incentive_minor=bonus_minor,
            incentive_currency=bonus_currency,
        )

    def bonus(self, zone_id: str, now_ms: int, currency: str) -> tuple[int, str]:
        """The bonus that runs in this currency; without one, one in another, which the offer says does not apply."""
        if zone_id not in self.incentives:
            return 0, ""
        if bonus_minor := self.bonus_minor(zone_id, now_ms, currency):
            return bonus_minor, currency
        others = sorted({one.currency for one in self.incentives.get(zone_id, ())} - {currency})
        return next(
            ((minor, other) for other in others if (minor := self.bonus_minor(zone_id, now_ms, other))), (0, "")
        )

    def bonus_minor(self, zone_id: str, now_ms: int, currency: str) -> int:
        """The highest bonus that runs at this moment in this currency; they do not add up."""
        running = (
            one.bonus_minor
            for one in self.incentives.get(zone_id, ())
            if one.currency == currency and one.starts_at_ms <= now_ms < one.ends_at_ms
        )
        return max(running, default=0)

    def _take_over(self, record: ZonesPublished) -> None:
        zones: dict[str, Zone] = dict(self.table.zones)
        for name, zone in self._staged.items():
            zones.pop(name, None)
            if zone is not None:
                zones[name] = zone
        self._staged = {}
        self.table, self.published = ZoneTable(zones.values(), record.version), record

    def _no_incentive(self, incentive_id: str) -> None:
        for zone, known in self.incentives.items():
            if any(one.incentive_id == incentive_id for one in known):
                rest = tuple(one for one in known if one.incentive_id != incentive_id)
                self.incentives = {**self.incentives, zone: rest}
                return


def zone_of(record: ZonePublished) -> Zone:
    """The zone in a record. Raises ContractError for a geometry that cannot be used."""
    try:
        made = shape_of(codec.document(record.geometry))
    except (ZoneFileError, ContractError) as error:
        raise ContractError(f"zone {record.zone_id}: {error}", "geometry") from error
    return Zone(
        zone_id=record.zone_id,
        name=record.name,
        priority=record.priority,
        min_drivers_online=record.min_drivers_online,
        target_wait_s=record.target_wait_s,
        shape=made,
    )


def zone_record(zone: Zone, version: int) -> ZonePublished:
    """The record that publishes a zone."""
    return ZonePublished(
        zone_id=zone.zone_id,
        name=zone.name,
        priority=zone.priority,
        min_drivers_online=zone.min_drivers_online,
        target_wait_s=zone.target_wait_s,
        version=version,
        geometry=geometry_text(zone),
    )


class ZoneFollower(Follower[ZoneBoard]):
    """Keeps a ZoneBoard true to the topics: zones and incentives whole, health from a minute ago."""

    def __init__(self, brokers: str, namespace: str, board: ZoneBoard) -> None:
        followed = (topics.ZONES, topics.INCENTIVES, topics.ZONE_HEALTH)
        client = {"auto.offset.reset": "earliest", "reconnect.backoff.max.ms": 1_000}
        super().__init__("zones", board, followed, brokers=brokers, namespace=namespace, client=client)
        self._health = namespace + topics.ZONE_HEALTH.name

    def _begin(self) -> tuple[list[TopicPartition], set[str]]:
        """Raises confluent_kafka.KafkaException, too, when a topic is not there."""
        lows_and_ends = {name: watermarks(self._consumer, TopicPartition(name, 0)) for name in self._topics}
        since = TopicPartition(self._health, 0, time.time_ns() // 1_000_000 - RECENT_MS)
        (found,) = self._consumer.offsets_for_times([since], timeout=30)
        first = {name: low for name, (low, _) in lows_and_ends.items()}
        first[self._health] = found.offset if found.offset >= 0 else lows_and_ends[self._health][1]
        behind = {name for name in self._topics if first[name] < lows_and_ends[name][1]}
        return [TopicPartition(name, 0, first[name]) for name in self._topics], behind

    def _apply(self, message: Message) -> None:
        self._known.apply(message.key(), message.value())

    def _unreachable(self, error: KafkaError) -> None:
        logger.warning("zones_unreachable", error=str(error))

    def _refused(self, message: Message, reason: str) -> None:
        logger.error("zones_refused", topic=message.topic(), offset=message.offset(), reason=reason)
