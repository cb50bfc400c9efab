"""Filled read models: lives of deliveries and drivers as records, folded by the projector's own code."""

import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import psycopg
from test_models import ORDER, TERMS, an_event

from dispatch.contract import codec, identity, topics
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records import system
from dispatch.contract.records.shared import DriverScorePart
from dispatch.core.policy import Policy
from dispatch.inputs.rules import policy_record
from dispatch.log.application import Record
from projections.runtime import Folding, Projection, fold, positions

HOUR_MS = 3_600_000
_OFFSETS = itertools.count()
"""One for all topics: gaps are no matter, repeats would be."""
ENDED = (
    de.DriverAccepted, de.DriverAssigned, de.DeliveryEconomicsEstimated, de.PickupCompleted, de.DeliveryCompleted,
    de.DeliveryEconomicsSettled,
)  # fmt: skip


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def a_life(name: str, at_ms: int, *, ended: bool = True) -> list[Any]:
    """A delivery that was looked for in vain, offered and, if it is `ended`, taken, delivered and settled."""
    delivery_id, offer_id = identity.delivery_id("s1", name), identity.derived(f"offer {name}")
    order = msgspec.structs.replace(ORDER, seller_order_id=name)
    kinds = (
        de.DeliveryCreated, de.AssignmentStarted, de.NoDriverFound, de.DriverCandidatesFound, de.DriverOfferSent,
        *(ENDED if ended else ()),
    )  # fmt: skip
    return [
        an_event(
            kind,
            delivery_id=delivery_id,
            offer_id=offer_id,
            order=order,
            terms=TERMS,
            driver_id="ana",
            version=version,
            at_ms=at_ms + version,
            sent_at_ms=at_ms + version,
            expires_at_ms=at_ms + HOUR_MS,
            event_id=identity.derived(f"{name} {version}"),
            returning=False,
            auto_assigned=False,
            seller_id="s1",
            multiplier_percent=100,
            zone="z1",
        )
        for version, kind in enumerate(kinds, 1)
    ]


def a_driver(name: str, at_ms: int) -> list[Any]:
    kinds = (dr.DriverSignedOn, dr.DriverAvailabilityChanged, dr.DriverZonePreferenceSet)
    return [
        an_event(kind, driver_id=name, version=version, at_ms=at_ms + version, lat=48.0, lng=7.8, zone="z1",
                 event_id=identity.derived(f"{name} {version}"))
        for version, kind in enumerate(kinds, 1)
    ]  # fmt: skip


def noted(at_ms: int) -> list[Record]:
    """A record of each topic whose tables are noted or have the last record."""
    part = DriverScorePart(part="acceptance", good=1, seen=2, value=0.5, weight=1)
    health = an_event(system.ZoneHealth, zone="z1", at_ms=at_ms, trend="steady")
    delivery_id = identity.delivery_id("s1", "noted")
    said: list[tuple[topics.Topic, str, Any]] = [
        (topics.ZONE_HEALTH, "z1", health),
        (topics.DRIVER_SCORES, "ana", an_event(system.DriverScored, driver_id="ana", at_ms=at_ms, score=0.5, mean=0.5,
                                               acceptance_rate=0.5, parts=(part,))),
        (topics.DEAD_LETTERS, "x", an_event(system.DeadLetter, at_ms=at_ms)),
        (topics.DEAD_LETTERS_HANDLED, "0-1", an_event(system.DeadLetterHandled, letter_id="0-1", at_ms=at_ms,
                                                      request_id=identity.derived("r"), act="dropped")),
        (topics.ZONES, "z1", an_event(system.ZonePublished, zone_id="z1", geometry='{"type": "Polygon"}')),
        (topics.ZONES, "", an_event(system.ZonesPublished, at_ms=at_ms)),
        (topics.INCENTIVES, "i1", an_event(system.IncentivePublished, incentive_id="i1", zone="z1", currency="EUR",
                                           at_ms=at_ms, starts_at_ms=at_ms, ends_at_ms=at_ms + HOUR_MS)),
        (topics.PRICES, "z1", an_event(system.ZonePrice, zone="z1", at_ms=at_ms, multiplier_percent=120)),
        (topics.RULES_HISTORY, "f", an_event(system.FeatureFlagToggled, at_ms=at_ms, was_zones=(), zones=())),
        (topics.RULES_HISTORY, "p", policy_record(Policy(), at_ms=at_ms, actor_id="setup")),
        (topics.CONTACTS, delivery_id, system.Contact(subject_id=delivery_id, name="Kim", phone="+49 1", address="A")),
        (topics.CONTACTS, "driver:ana", system.Contact(subject_id="driver:ana", name="Ana", phone="+49", address="")),
        (topics.TRACKING_LINKS, "ab" * 32, system.TrackingLink(
            token_hash="ab" * 32, delivery_id=delivery_id, issued_at_ms=at_ms, issued_by="s1",
            expires_at_ms=at_ms + HOUR_MS, after_s=60)),
    ]  # fmt: skip
    return [Record(topic.name, 0, next(_OFFSETS), at_ms, key.encode(), codec.encode(one)) for topic, key, one in said]


def as_records(events: Iterable[Any]) -> list[Record]:
    """Of deliveries and of drivers, each in their topic."""
    found = []
    for event in events:
        topic = topics.DELIVERY_EVENTS if type(event) in de.AUDIT_WORDS else topics.DRIVER_EVENTS
        found.append(Record(topic.name, 0, next(_OFFSETS), event.at_ms, b"", codec.encode(event)))
    return found


def project(projection: Projection, records: Sequence[Record]) -> Folding:
    """One batch, as a lane writes it."""
    at = positions(projection.connection, {(record.topic, record.partition) for record in records})
    folding = fold(records, at, "")
    projection.write(folding, at)
    return folding


def filled(connection: psycopg.Connection[Any], *moments: str, ended: bool = True) -> Projection:
    """Tables with a delivery at each of these moments, two drivers, and a row in each table that is noted."""
    projection = Projection(connection)
    events = [event for moment in moments for event in a_life(moment, ms(moment), ended=ended)]
    drivers = [event for name in ("ana", "ben") for event in a_driver(name, ms(moments[0]))]
    folding = project(projection, [*as_records([*events, *drivers]), *noted(ms(moments[0]))])
    assert folding.poison == []
    return projection
