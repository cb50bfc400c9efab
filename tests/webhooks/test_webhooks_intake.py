"""What the webhooks' intake makes of a batch: what it does not decode, and what an endpoint made later hears."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from dispatch.contract import codec, identity
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import Order
from dispatch.log.application import Record
from dispatch.webhooks import intake
from dispatch.webhooks.intake import Intake
from projections.migrate import down, up

pytestmark = pytest.mark.servers
Connection = psycopg.Connection[Any]
ORDER = Order(
    seller_id="anker", seller_order_id="o-17", store_name="Anker", pickup_lat=1, pickup_lng=1, dropoff_lat=1,
    dropoff_lng=1, order_value_minor=1, delivery_fee_minor=1, currency="EUR", placed_at_ms=1,
)  # fmt: skip


@pytest.fixture
def connection(database: str) -> Iterator[Connection]:
    up(database)
    with psycopg.connect(database, autocommit=True) as opened:
        yield opened
    down(database)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes | None]:
    """What is decoded."""
    seen, decode = list[bytes | None](), codec.decode_checked

    def reading(data: bytes | None) -> Any:
        seen.append(data)
        return decode(data)

    monkeypatch.setattr(intake.codec, "decode_checked", reading)
    return seen


def an_event(kind: type[Any], delivery_id: str, **fields: Any) -> Record:
    head: dict[str, Any] = {
        "event_id": identity.derived(f"{kind.__name__} {delivery_id}"), "delivery_id": delivery_id, "version": 1,
        "at_ms": time.time_ns() // 1_000_000, "actor_type": "system", "actor_id": "dispatch",
        "causation_id": identity.derived("c"), "correlation_id": delivery_id,
    }  # fmt: skip
    return Record("delivery.events", 0, 0, 0, delivery_id.encode(), codec.encode(kind(**head, **fields)))


def created(delivery_id: str) -> Record:
    return an_event(events.DeliveryCreated, delivery_id, order=ORDER, order_digest="d" * 64, remember_ms=1)


def picked_up(delivery_id: str) -> Record:
    return an_event(events.PickupCompleted, delivery_id, offer_id=delivery_id, driver_id="ana")


def accepted(delivery_id: str) -> Record:
    return an_event(events.DriverAccepted, delivery_id, offer_id=delivery_id, driver_id="ana", response_ms=1)


def an_endpoint(connection: Connection) -> None:
    connection.execute(
        "INSERT INTO webhook_endpoints (endpoint_id, seller_id, url, event_types, description, state, secret)"
        " VALUES (gen_random_uuid(), 'anker', 'https://a.example', '{}', '', 'enabled', '')"
    )


def taken(connection: Connection, *records: Record) -> tuple[int, list[Record]]:
    """How many messages, and what was set aside."""
    aside: list[Record] = []
    count = Intake(None, "").take(connection, records, lambda record, _error: aside.append(record))  # type: ignore[arg-type]
    return count, aside


def test_without_an_endpoint_only_whose_delivery_it_is_is_read(connection: Connection, read: list[Any]) -> None:
    ours = [created(str(uuid.uuid4())) for _ in range(3)]
    steps = [picked_up((one.key or b"").decode()) for one in ours]
    assert taken(connection, *ours, *steps, ours[0]) == (0, [])
    assert read == [one.value for one in (*ours, ours[0])]
    noted = connection.execute("SELECT delivery_id::text, seller_id, seller_order_id FROM webhook_deliveries")
    assert sorted(noted) == sorted(((one.key or b"").decode(), "anker", "o-17") for one in ours)


def test_an_event_of_the_millisecond_in_which_an_endpoint_was_made_is_told(connection: Connection) -> None:
    name = str(uuid.uuid4())
    assert taken(connection, created(name)) == (0, [])
    an_endpoint(connection)
    after = an_event(events.DeliveryReturned, name)
    at_ms = codec.decode(after.value).at_ms
    connection.execute("UPDATE webhook_endpoints SET created_at = to_timestamp(%s)", ((at_ms + 0.7) / 1000,))
    assert taken(connection, after) == (1, [])


def test_an_endpoint_made_later_hears_of_deliveries_that_were_created_before(connection: Connection) -> None:
    name = str(uuid.uuid4())
    before = [created(name), picked_up(name)]
    assert taken(connection, *before) == (0, [])
    an_endpoint(connection)
    after = an_event(events.DeliveryReturned, name)
    assert taken(connection, *before, after, after) == (2, [])
    told = connection.execute("SELECT event_type, body::json->'data'->>'seller_order_id' FROM webhook_messages")
    assert told.fetchall() == [("delivery.returned", "o-17")]


@pytest.mark.parametrize("heard", [False, True])
def test_what_is_never_told_is_not_decoded_and_what_is_unreadable_is_set_aside(
    connection: Connection, read: list[Any], heard: bool
) -> None:
    if heard:
        an_endpoint(connection)
    name = str(uuid.uuid4())
    first, never = created(name), accepted(name)
    wrong = [
        first._replace(value=(first.value or b"")[:30]), never._replace(value=None), never._replace(value=b"what"),
        never._replace(value=b"\0\0\0\xff\xff "),
    ]  # fmt: skip
    cut = picked_up(name)._replace(value=(picked_up(name).value or b"")[:30])
    count, aside = taken(connection, never._replace(value=(never.value or b"")[:9]), *wrong, cut, first, never)
    assert (count, aside) == (int(heard), [*wrong, cut] if heard else wrong)
    assert len(read) == len(aside) + 1
