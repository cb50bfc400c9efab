"""Changing zones and incentives, and asking drivers to come: what is there is read, what shall be is written at once.

An import is one transaction on the topic `zones`: every zone of the new version, a tombstone for each that is gone, and
at the end the ZonesPublished with which it takes effect. Writers share one transactional id: of two at a time one is
refused. What is refused changes nothing.
"""

import getpass
import re
import time
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec
from confluent_kafka import KafkaException, Producer

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import IncentivePublished, ZoneDriversRequested, ZoneHealth, ZonesPublished
from dispatch.core.zones import NOWHERE, Zone
from dispatch.inputs.changes import ChangedMeanwhile, NotReached, TooSoon, UnknownName, overtaken
from dispatch.inputs.zones import VERSION_KEY, ZoneBoard, zone_record
from dispatch.log.connecting import kafka_client
from dispatch.log.errors import Misconfigured
from dispatch.log.reading import read_all

LONGEST_BONUS_H, FARTHEST_S, LONGEST_NOTE = 24 * 31, 366 * 86_400, 200
_WAIT_S = 20.0
_ID = re.compile(r"[A-Za-z0-9_.:@|-]{1,128}")
_Records = list[tuple[topics.Topic, bytes, bytes | None]]


def whoever_this_is() -> str:
    """The user of this terminal, as an actor's id."""
    return re.sub(r"[^A-Za-z0-9_.:@|-]", "_", getpass.getuser())[:128] or "somebody"


def board_now(brokers: str, namespace: str, *, health: bool = False) -> ZoneBoard:
    """Everything as it stands in the topics. A record that cannot be read is passed over, as its followers do."""
    board = ZoneBoard()
    wanted = (topics.ZONES, topics.INCENTIVES, *((topics.ZONE_HEALTH,) if health else ()))
    for record in read_all(brokers, [namespace + topic.name for topic in wanted]):
        try:
            board.apply(record.key, record.value)
        except ContractError:
            continue  # every process that follows the zones has refused it, and said so in its log
    return board


def import_zones(brokers: str, namespace: str, zones: Sequence[Zone], actor_id: str, note: str = "") -> ZonesPublished:
    """Makes these the zones, as the next version; gives what ends the import. Raises Misconfigured."""
    _check_actor(actor_id)
    producer = _opened(brokers, namespace)
    board = board_now(brokers, namespace)
    version = max(board.published.version, board.table.version) + 1
    published = ZonesPublished(
        version=version, zones=len(zones), at_ms=time.time_ns() // 1_000_000, actor_id=actor_id, note=note[:200]
    )
    gone = sorted(set(board.table.zones) - {zone.zone_id for zone in zones})
    records: _Records = [
        (topics.ZONES, zone.zone_id.encode(), codec.encode(zone_record(zone, version))) for zone in zones
    ]
    records += [(topics.ZONES, zone_id.encode(), None) for zone_id in gone]
    records.append((topics.ZONES, VERSION_KEY, codec.encode(published)))
    _write(producer, namespace, records)
    return published


def set_incentive(brokers: str, namespace: str, incentive: IncentivePublished) -> None:
    """Puts a bonus in force, or ends it sooner. Raises Misconfigured for a zone that is not there."""
    _check_actor(incentive.actor_id)
    producer = _opened(brokers, namespace)
    known_zone(board_now(brokers, namespace), incentive.zone)
    _write(producer, namespace, [(topics.INCENTIVES, incentive.incentive_id.encode(), codec.encode(incentive))])


def end_incentive(brokers: str, namespace: str, incentive_id: str, actor_id: str, note: str = "") -> IncentivePublished:
    """Ends a bonus now; gives it as it then is, with the note if there is one.

    Raises UnknownName, or Misconfigured for one that is over.
    """
    _check_actor(actor_id)
    producer = _opened(brokers, namespace)
    now_ms = time.time_ns() // 1_000_000
    known = {one.incentive_id: one for one in listed(board_now(brokers, namespace))}
    if incentive_id not in known:
        raise UnknownName(
            "incentive", f"there is no incentive {incentive_id[:60]!r}; `baton incentives list` names them"
        )
    found = known[incentive_id]
    if found.ends_at_ms <= now_ms:
        raise Misconfigured(f"incentive {incentive_id} is over already")
    ended = msgspec.structs.replace(
        found, starts_at_ms=min(found.starts_at_ms, now_ms), ends_at_ms=now_ms, at_ms=now_ms, actor_id=actor_id,
        note=note or found.note,
    )  # fmt: skip
    _write(producer, namespace, [(topics.INCENTIVES, incentive_id.encode(), codec.encode(ended))])
    return ended


def incentive(  # noqa: PLR0913 - the fields of a bonus
    zone: str,
    *,
    bonus_minor: int,
    currency: str,
    hours: float,
    starts_ms: int | None,
    name: str,
    note: str,
    actor_id: str,
) -> IncentivePublished:
    """A bonus a delivery, in minor units, checked. `starts_ms` None: from now; `name` empty: one is made.

    Raises Misconfigured, with the field's name first.
    """
    now_ms = time.time_ns() // 1_000_000
    starts_ms = now_ms if starts_ms is None else starts_ms
    if not 0 < hours <= LONGEST_BONUS_H:
        raise Misconfigured(f"hours is {hours:g}; more than 0 and at most {LONGEST_BONUS_H} is wanted")
    if len(currency) != 3 or not (currency.isascii() and currency.isalpha() and currency.isupper()):
        raise Misconfigured(f"currency is {currency[:20]!r}; three capital letters such as EUR are wanted")
    if not 0 <= starts_ms <= now_ms + FARTHEST_S * 1000:
        raise Misconfigured("start is not within a year from now")
    ends_ms = starts_ms + round(hours * 3_600_000)
    if ends_ms <= now_ms:
        raise Misconfigured(
            f"it would have ended at {datetime.fromtimestamp(ends_ms / 1000, UTC):%Y-%m-%d %H:%M:%S} already"
        )
    incentive_id = name or f"{zone}-{datetime.fromtimestamp(starts_ms / 1000, UTC):%Y%m%dT%H%M%S}"
    if not is_id(incentive_id):
        raise Misconfigured(f"id is {incentive_id[:40]!r}; 1 to 128 letters, digits or _.:@|- are wanted")
    return IncentivePublished(
        incentive_id=incentive_id, zone=zone, bonus_minor=bonus_minor, currency=currency, starts_at_ms=starts_ms,
        ends_at_ms=ends_ms, at_ms=now_ms, actor_id=actor_id, note=checked_note(note),
    )  # fmt: skip


def checked_note(note: str) -> str:
    """The note. Raises Misconfigured for one that is too long or not printable."""
    if len(note) > LONGEST_NOTE or not note.isprintable():
        raise Misconfigured(f"the note has {len(note)} characters; at most {LONGEST_NOTE} printable ones are taken")
    return note


def request_drivers(
    brokers: str, namespace: str, zone_id: str, *, note: str, actor_id: str, every_s: float
) -> ZoneDriversRequested:
    """Asks the drivers near a zone to come. Raises Misconfigured when they were asked less than `every_s` ago."""
    _check_actor(actor_id)
    producer = _opened(brokers, namespace)
    known_zone(board_now(brokers, namespace), zone_id)
    now_ms = time.time_ns() // 1_000_000
    records = read_all(brokers, [namespace + topics.ZONE_REQUESTS.name])
    before = [codec.decode(record.value) for record in records if record.key == zone_id.encode()]
    last_ms = max((request.at_ms for request in before if isinstance(request, ZoneDriversRequested)), default=0)
    wait_s = every_s - (now_ms - last_ms) / 1000
    if wait_s > 0:
        raise TooSoon(
            f"drivers were asked to come to {zone_id} {(now_ms - last_ms) / 1000:.0f} s ago; once in {every_s:g} s is"
            f" allowed, so again in {wait_s:.0f} s",
            wait_s,
        )
    request = ZoneDriversRequested(
        request_id=str(uuid.uuid4()), zone=zone_id, note=note, at_ms=now_ms, actor_id=actor_id
    )
    _write(producer, namespace, [(topics.ZONE_REQUESTS, zone_id.encode(), codec.encode(request))])
    return request


def listed(board: ZoneBoard) -> list[IncentivePublished]:
    """Every incentive that is known, by its start."""
    every = (one for known in board.incentives.values() for one in known)
    return sorted(every, key=lambda one: (one.starts_at_ms, one.incentive_id))


def known_zone(board: ZoneBoard, zone_id: str) -> None:
    """Raises Misconfigured, with the zones there are, for one that is not."""
    if zone_id not in board.table.zones and zone_id != NOWHERE:
        names = ", ".join(list(board.table.zones)[:10]) or "none yet; `baton zones import FILE` makes them"
        raise UnknownName("zone", f"there is no zone {zone_id[:60]!r}; there are {names}")


def healths(board: ZoneBoard) -> Iterable[tuple[str, ZoneHealth | None]]:
    """Every zone with the last that is known of it."""
    for zone_id in board.table.zones:
        yield zone_id, board.health.get(zone_id)


def is_id(text: str) -> bool:
    """Whether it has the form of an id."""
    return _ID.fullmatch(text) is not None


def _check_actor(actor_id: str) -> None:
    if not is_id(actor_id):
        raise Misconfigured(f"the actor is {actor_id[:40]!r}; 1 to 128 letters, digits or _.:@|- are wanted")


def _opened(brokers: str, namespace: str) -> Producer:
    """A producer that fences whoever writes zones at the same time. Raises Misconfigured."""
    producer = Producer(
        {
            **kafka_client(brokers, "zones"),
            "transactional.id": f"{namespace}zones",
            "transaction.timeout.ms": 30_000,
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 20_000,
            "message.max.bytes": 4_000_000,
            "log_level": 0,
        }
    )
    try:
        producer.init_transactions(_WAIT_S)
    except KafkaException as error:
        raise NotReached(f"Kafka does not open a transaction: {error.args[0].str()}") from error
    return producer


def _write(producer: Producer, namespace: str, records: _Records) -> None:
    try:
        producer.begin_transaction()
        for topic, key, value in records:
            producer.produce(namespace + topic.name, value, key)
            producer.poll(0)
        producer.commit_transaction(_WAIT_S)
    except BufferError as error:
        raise NotReached(f"Kafka did not take it: {error}") from error
    except KafkaException as error:
        said = error.args[0].str()
        if overtaken(error):
            raise ChangedMeanwhile(
                f"somebody else changed it at the same time, and nothing was changed here: {said}"
            ) from error
        raise NotReached(f"Kafka did not take it: {said}") from error
