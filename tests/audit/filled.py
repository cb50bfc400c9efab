"""A filled audit: two partitions of deliveries and one of drivers, with holes where transactions end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from cryptography.hazmat.primitives import serialization

from dispatch.contract import codec, identity
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.shared import Candidate, Order
from dispatch.log.application import Record
from projections.audit.anchors import anchor_all, anchor_place
from projections.audit.keys import Known, Signer
from projections.audit.verify import Asked, Report, verify
from projections.runtime import Projection, fold, positions

AT_MS = 1_790_000_000_000
PLACES = (("delivery.events", 0), ("delivery.events", 1), ("driver.events", 0))
ONE = ("delivery.events", 0)
_GUARDED = ("delivery_audit_logs", "audit_anchors", "audit_exports")
_CANDIDATE = Candidate(
    driver_id="ana", distance_m=900, travel_s=130, orders=0, capacity=1, rating=4.7, vehicle="car",
    availability="AVAILABLE", score=2.1666666666666665, travel_min=2.1666666666666665, rating_min=-0.0,
    fairness_min=-0.1, load_min=0.0, source="valkey",
)  # fmt: skip


def delivery(number: int) -> str:
    """The id of one of the deliveries."""
    return identity.delivery_id("s1", f"o{number}")


def header(delivery_id: str, version: int, begun_ms: int, actor: str = "system") -> dict[str, Any]:
    """What every event of a delivery has."""
    return {
        "event_id": identity.derived(f"{delivery_id}{version}"), "delivery_id": delivery_id, "version": version,
        "at_ms": begun_ms + 1000 * version, "actor_type": actor, "actor_id": "test",
        "causation_id": identity.derived("c"), "correlation_id": f"corr-{version}",
    }  # fmt: skip


def story(number: int, begun_ms: int = AT_MS) -> list[Any]:
    """A delivery that is cancelled after a search: three events, one with a zero below nothing."""
    name = delivery(number)
    order = Order(
        seller_id="s1", seller_order_id=f"o{number}", store_name="Änker", pickup_lat=48.1, pickup_lng=7.8,
        dropoff_lat=48.012, dropoff_lng=7.861, order_value_minor=2181, delivery_fee_minor=1, currency="EUR",
        placed_at_ms=AT_MS,
    )  # fmt: skip
    found = de.DriverCandidatesFound(
        **header(name, 2, begun_ms), search_no=1, radius_m=5000, source="valkey", redis_ok=True,
        policy_version=1, zone="none", free_in_radius=1, busy_in_radius=0, candidates=(_CANDIDATE,),
    )  # fmt: skip
    return [
        de.DeliveryCreated(
            **header(name, 1, begun_ms, "order_service"), order=order, order_digest="d" * 64, remember_ms=1
        ),
        found,
        de.DeliveryCancelled(**header(name, 3, begun_ms, "customer"), reason="no longer wanted", note="sorry"),
    ]


def duty(number: int, begun_ms: int = AT_MS) -> Any:
    """A driver's event."""
    name = f"driver-{number}"
    head = {**header(name, 1, begun_ms, "driver"), "driver_id": name}
    del head["delivery_id"]
    return dr.DriverSignedOn(**head, vehicle="car", capacity=1, rating=4.5, lat=48.0, lng=7.8, offline_at_ms=AT_MS)


def records(deliveries: int, begun: Callable[[int], int] = lambda _number: AT_MS) -> list[Record]:
    """Records as Kafka has them: every fourth offset marks the end of a transaction. `begun`: when each begins."""
    made: dict[tuple[str, int], list[Any]] = {place: [] for place in PLACES}
    for number in range(deliveries):
        made["delivery.events", number % 2] += story(number, begun(number))
        made["driver.events", 0].append(duty(number, begun(number)))
    return [
        Record(*place, position + position // 3, 0, b"", codec.encode(event))
        for place, events in made.items()
        for position, event in enumerate(events)
    ]


def project(connection: psycopg.Connection[Any], given: list[Record]) -> None:
    """As the projector does, several batches."""
    projection = Projection(connection)
    for start in range(0, len(given), 50):
        at = positions(connection, PLACES)
        batch = given[start : start + 50]
        projection.write(fold(batch, at, ""), at)


def anchor(dsn: str, signer: Signer, rows: int) -> None:
    """Stretches of so many rows, over all there is."""
    with psycopg.connect(dsn) as connection:
        for place in PLACES:
            anchor_place(connection, signer, place, rows=rows)
    assert anchor_all(dsn, signer) == []


@contextmanager
def as_the_owner(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """Whoever may switch the triggers off, and on again."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for table in _GUARDED:
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER".encode())
        yield connection
        for table in _GUARDED:
            connection.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER".encode())


def private_pem(signer: Signer) -> bytes:
    """The key as a file has it."""
    form = serialization.PrivateFormat.PKCS8
    return signer._private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


SAVED = (*_GUARDED, "projection_offsets")


def save(dsn: str) -> None:
    """Keeps the tables as they are."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for table in SAVED:
            connection.execute(f"CREATE TABLE IF NOT EXISTS saved_{table} AS TABLE {table}".encode())


def restore(dsn: str) -> None:
    """The tables as they were kept."""
    with as_the_owner(dsn) as connection:
        for table in SAVED:
            connection.execute(f"DELETE FROM {table}".encode())
            connection.execute(f"INSERT INTO {table} TABLE saved_{table}".encode())


def look(dsn: str, *signers: Signer, **asked: Any) -> Report:
    """What verification finds."""
    return verify(dsn, Asked(known=Known(*(signer.public for signer in signers)), **asked))
