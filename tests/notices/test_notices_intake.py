"""What a batch makes of the notifier's tables: the same as its records one by one; what it does not even decode."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from dispatch.contract import codec, identity
from dispatch.contract.errors import ContractError
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import OfferTerms
from dispatch.contract.records.system import Notice
from dispatch.core.policy import NoticePolicy, Policy
from dispatch.inputs.rules import Rules
from dispatch.log.application import Record
from dispatch.notices import intake
from dispatch.notices.intake import Intake
from projections.migrate import down, up

pytestmark = pytest.mark.servers
NOW_MS = time.time_ns() // 1_000_000
NEVER_QUIET = {"customer_quiet_from_h": 0, "customer_quiet_to_h": 0, "operations_quiet_from_h": 0,
               "operations_quiet_to_h": 0, "driver_quiet_from_h": 0, "driver_quiet_to_h": 0}  # fmt: skip
TERMS = OfferTerms(
    store_name="Anker", pickup_lat=1, pickup_lng=1, dropoff_lat=1, dropoff_lng=1, pickup_eta_ms=1,
    delivery_eta_ms=1, pickup_distance_m=1330, total_distance_m=4000, earning_minor=489, incentive_minor=0,
    currency="EUR",
)  # fmt: skip
SHOWN = (
    "SELECT notice_id::text, channel, recipient, news, state, reason, level, details, at, due_at, stale_at,"
    " ended_at IS NOT NULL FROM notices ORDER BY notice_id, channel"
)


@pytest.fixture
def connection(database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection[Any]]:
    monkeypatch.setattr(intake.time, "time_ns", lambda: NOW_MS * 1_000_000)
    up(database)
    with psycopg.connect(database, autocommit=True) as opened:
        yield opened
    down(database)


def an_intake(names: dict[str, list[str]], **notices: Any) -> Intake:
    rules = Rules()
    rules.policy = Policy(notices=NoticePolicy(**{**NEVER_QUIET, **notices}))
    return Intake(None, "", rules, names)  # type: ignore[arg-type]


def a_notice(audience: Any, kind: str, delivery_id: str = "", **more: Any) -> Record:
    fields: dict[str, Any] = {"notice_id": identity.derived(uuid.uuid4().hex), "at_ms": NOW_MS, "details": {}, **more}
    notice = Notice(audience=audience, kind=kind, delivery_id=delivery_id, **fields)
    return Record("notices", 0, 0, NOW_MS, delivery_id.encode(), codec.encode(notice))


def an_event(kind: type[Any], delivery_id: str, at_ms: int = NOW_MS, **fields: Any) -> Record:
    head: dict[str, Any] = {
        "event_id": identity.derived(f"{kind.__name__} {delivery_id} {at_ms}"), "delivery_id": delivery_id,
        "version": 1, "at_ms": at_ms, "actor_type": "system", "actor_id": "dispatch",
        "causation_id": identity.derived("c"), "correlation_id": delivery_id,
    }  # fmt: skip
    event = kind(**head, **fields)
    return Record("delivery.events", 0, 0, NOW_MS, delivery_id.encode(), codec.encode(event))


def escalated(delivery_id: str, level: int = 1, at_ms: int = NOW_MS) -> Record:
    why = {"why": "no_available_drivers", "waiting_ms": 300_000, "radius_m": 5000}
    return an_event(events.UnassignedEscalated, delivery_id, at_ms, level=level, **why)


def assigned(delivery_id: str, at_ms: int = NOW_MS) -> Record:
    how = {"driver_id": "ana", "offer_id": delivery_id, "how": "auto", "fence": 1, "terms": TERMS, "search_ms": 1}
    return an_event(events.DriverAssigned, delivery_id, at_ms, **how)


def no_letter(_record: Record, error: ContractError) -> None:
    raise error


def rows(connection: psycopg.Connection[Any], statement: str) -> list[Any]:
    return connection.execute(statement.encode()).fetchall()


@pytest.mark.parametrize("names", [{}, {"customer": ["a", "b"], "operations": ["a"], "support": ["a"]}])
def test_a_batch_leaves_the_same_rows_as_its_records_one_by_one(
    connection: psycopg.Connection[Any], names: dict[str, list[str]]
) -> None:
    one, other = (identity.derived(uuid.uuid4().hex) for _ in range(2))
    told = a_notice("customer", "driver_assigned", one, driver_id="ana")
    batch = [
        told, told, a_notice("customer", "driver_assigned", one, driver_id="ana"),
        a_notice("customer", "picked_up", other), a_notice("customer", "picked_up", one),
        a_notice("customer", "delayed", one, details={"delivery_eta_ms": "5", "why": 'the "road" is \\ closed é'}),
        a_notice("customer", "delivered", one), a_notice("customer", "failed", one),
        a_notice("customer", "arriving", other, at_ms=NOW_MS - 700_000), a_notice("customer", "arriving", other),
        *(a_notice("operations", "unassigned", one, level=1, at_ms=NOW_MS + step) for step in (0, 1, 700_000)),
        *(a_notice("operations", "unassigned", identity.derived(str(number))) for number in range(3)),
        a_notice("support", "support_ticket", one, level=1), a_notice("driver", "zone_request", driver_id="ben"),
    ]  # fmt: skip
    taker = an_intake(names, customer_most=3, operations_most=3)
    for record in batch:
        taker.take(connection, [record], no_letter)
    single = rows(connection, SHOWN)
    connection.execute("TRUNCATE notices")
    for _ in range(2):
        taker.take(connection, batch, no_letter)
        assert rows(connection, SHOWN) == single
    reasons = {row[5] for row in single}
    assert reasons == ({"", "repeated", "too_many", "stale", "no_channel"} if names else {"no_channel", "stale"})


def test_tickets_are_opened_and_closed_within_a_batch_and_across_batches(connection: psycopg.Connection[Any]) -> None:
    one, other, third = (identity.derived(uuid.uuid4().hex) for _ in range(3))
    batches = [
        [escalated(one), assigned(one, NOW_MS + 1), assigned(other), escalated(third)],
        [escalated(third, 2, NOW_MS + 1), escalated(one, 1, NOW_MS + 2), assigned(third, NOW_MS + 2)],
        [assigned(other, NOW_MS + 3), assigned(one, NOW_MS + 3)],
    ]
    taker = an_intake({})
    for batch in batches * 2:
        taker.take(connection, batch, no_letter)
    found = rows(connection, "SELECT delivery_id::text, level, closed_why FROM support_tickets ORDER BY opened_at")
    assert sorted(found) == sorted([(one, 1, "assigned"), (third, 1, "assigned"), (one, 1, "assigned")])
    closings = rows(connection, "SELECT delivery_id FROM notices WHERE kind = 'ticket_closed'")
    assert sorted(closings) == sorted([(one,), (one,), (third,)])


def test_what_changes_no_ticket_is_not_decoded_and_what_is_unreadable_is_still_set_aside(
    connection: psycopg.Connection[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = identity.derived(uuid.uuid4().hex)
    lost = an_event(events.DriverLost, one, offer_id=one, driver_id="ana", why="offline", grace_until_ms=1)
    cut = [record._replace(value=(record.value or b"")[:9]) for record in (lost, assigned(one), escalated(one))]
    wrong = [
        lost._replace(value=None), lost._replace(value=b"\0\0\0\xff\xff "), lost._replace(value=b"what"),
        lost._replace(key=None, value=cut[2].value), a_notice("customer", "picked_up", one)._replace(topic="x"),
        lost._replace(topic="notices"),
    ]  # fmt: skip
    read: list[bytes | None] = []
    monkeypatch.setattr(intake.codec, "decode_checked", counted(read))
    letters: list[Record] = []
    an_intake({}).take(
        connection, [*cut, assigned(one)._replace(key=b"\0\xff"), *wrong], lambda record, _error: letters.append(record)
    )
    assert letters == [cut[1], cut[2], *wrong]
    assert len(read) == len(letters)


def counted(read: list[bytes | None]) -> Any:
    decode = codec.decode_checked

    def reading(data: bytes | None) -> Any:
        read.append(data)
        return decode(data)

    return reading
