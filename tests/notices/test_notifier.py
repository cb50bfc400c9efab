"""The notifier on real servers: told once whatever is killed, retried, given up in sight, tickets opened and closed."""

import json
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from receiving import SECRET, Receiver, Town, until
from standardwebhooks import Webhook

from deploy.local import Addresses
from dispatch.contract import codec, identity, topics
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import OfferTerms
from dispatch.contract.records.system import DeadLetter
from dispatch.log.reading import read_all
from projections.migrate import down, up

pytestmark = pytest.mark.servers
Founded = Callable[..., Town]


def slow_at_first(number: int) -> int:
    """Takes a second for each of the first eight."""
    if number <= 8:
        time.sleep(1.0)
    return 200


@pytest.fixture
def town(servers: Addresses, database: str, namespace: str, tmp_path: Path) -> Iterator[Founded]:
    founded: list[Town] = []

    def found(**notices: Any) -> Town:
        up(database)
        founded.append(Town(servers, database, namespace, tmp_path, **notices))
        return founded[0]

    yield found
    for one in founded:
        one.close()
    down(database)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def dead_letters(town: Town) -> list[DeadLetter]:
    records = read_all(town.settings.kafka, [town.settings.namespace + topics.DEAD_LETTERS.name])
    return [letter for record in records if isinstance(letter := codec.decode(record.value), DeadLetter)]


def test_a_customer_is_told_in_their_language_and_the_webhook_is_signed(town: Founded, receiver: Receiver) -> None:
    here = town(time_zone="Europe/Berlin")
    german, unknown = here.order("de"), here.order("xx")
    here.notifier(BATON_NOTIFY_CUSTOMER=receiver.url, BATON_WEBHOOK_SECRET=SECRET)
    notice = here.tell("customer", "driver_assigned", german, driver_id="ana")
    here.tell("customer", "arriving", unknown)
    until(lambda: len(receiver.requests) == 2)
    headers, body = next(one for one in receiver.requests if one[0]["webhook-id"] == notice.notice_id)
    said = Webhook(SECRET).verify(body, headers)
    assert said["data"]["text"] == (
        "Hallo Clara Q., ein Kurier hat Ihre Bestellung von Anker übernommen. Ankunft gegen 19:40 Uhr."
    )
    assert said["data"]["to"] == {"name": "Clara Q.", "phone": "+49 761 5550123"}
    assert {one["data"]["language"] for one in receiver.bodies()} == {"de", "en"}
    until(lambda: here.rows() == [("sent", "", 1)] * 2)
    kept = json.dumps(here.rows("SELECT row_to_json(notices) FROM notices"), default=str) + here.log()
    assert "Clara" not in kept
    assert "5550123" not in kept


@pytest.mark.parametrize("step", ["taken", "claimed", "sending", "sent", "reported"])
def test_killed_at_any_step_the_receiver_counts_one(town: Founded, receiver: Receiver, step: str) -> None:
    here = town()
    order = here.order()
    notice = here.tell("customer", "picked_up", order)
    mortal = here.notifier(step, BATON_NOTIFY_CUSTOMER=receiver.url)
    assert mortal.wait(30) == -9
    here.notifier(BATON_NOTIFY_CUSTOMER=receiver.url)
    until(lambda: [row[0] for row in here.rows()] == ["sent"])
    last = here.tell("customer", "delivered", order)
    until(lambda: last.notice_id in receiver.counted())
    assert set(receiver.counted()) == {notice.notice_id, last.notice_id}
    assert receiver.counted()[notice.notice_id] == (2 if step == "sent" else 1)


@pytest.mark.parametrize(("step", "came", "state"), [("sent", 1, "unknown"), ("sending", 0, "unknown")])
def test_where_no_key_can_be_given_an_interrupted_sending_is_not_repeated(
    town: Founded, receiver: Receiver, step: str, came: int, state: str
) -> None:
    here = town()
    sms = f"json://127.0.0.1:{receiver.port}/{{phone}}"
    here.tell("customer", "picked_up", here.order())
    assert here.notifier(step, BATON_NOTIFY_CUSTOMER=sms).wait(30) == -9
    here.notifier(BATON_NOTIFY_CUSTOMER=sms)
    until(lambda: [row[0] for row in here.rows()] == [state])
    assert here.rows() == [("unknown", "interrupted", 1)]
    assert len(receiver.requests) == came


def test_apprise_s_address_is_filled_in_and_what_may_have_arrived_is_not_repeated(town: Founded) -> None:
    here = town()
    silent = Receiver(lambda _number: 0)
    here.notifier(BATON_NOTIFY_CUSTOMER=f"json://127.0.0.1:{silent.port}/{{phone}}")
    here.tell("customer", "picked_up", here.order(phone="12345"))
    until(lambda: [row[0] for row in here.rows()] == ["unknown"])
    (request,) = silent.requests
    assert "Clara" in request[1].decode()
    assert "12345" not in here.log()
    silent.close()


def test_what_fails_is_tried_again_across_a_restart_and_then_given_up_in_sight(town: Founded) -> None:
    here = town(send_attempts=4)
    failing = Receiver(lambda _number: 503)
    notice = here.tell("operations", "manual_review", here.order(), level=3, details={"why": "driver_lost"})
    first = here.notifier(BATON_NOTIFY_OPERATIONS=failing.url)
    until(lambda: len(failing.requests) >= 2)
    first.kill()
    here.notifier(BATON_NOTIFY_OPERATIONS=failing.url)
    until(lambda: here.rows("SELECT state, reason FROM notices") == [("dead", "answered 503")])
    assert 3 <= failing.counted()[notice.notice_id] <= 4
    (letter,) = dead_letters(here)
    assert (letter.error, letter.reason) == ("NoticeDead", f"{notice.notice_id}: answered 503")
    assert codec.decode(letter.value) == notice
    failing.close()


def test_what_is_refused_for_good_is_not_tried_again(town: Founded) -> None:
    here = town()
    refusing = Receiver(lambda _number: 410)
    here.notifier(BATON_NOTIFY_OPERATIONS=refusing.url)
    here.tell("operations", "unassigned", here.order(), level=1)
    until(lambda: here.rows() == [("dead", "answered 410", 1)])
    assert len(refusing.requests) == 1
    refusing.close()


def test_repeats_and_floods_are_dropped_and_said_to_be(town: Founded, receiver: Receiver) -> None:
    here = town(customer_most=2)
    order = here.order()
    here.notifier(BATON_NOTIFY_CUSTOMER=receiver.url)
    first = here.tell("customer", "driver_assigned", order, driver_id="ana")
    here.send(topics.NOTICES, order, first)
    here.tell("customer", "driver_assigned", order, driver_id="ana")
    here.tell("customer", "picked_up", order)
    here.tell("customer", "delivered", order)
    here.tell("customer", "failed", order)
    until(lambda: len(here.rows()) == 5 and all(row[0] not in ("pending", "claimed") for row in here.rows()))
    kinds = dict(here.rows("SELECT kind || ' ' || state, reason FROM notices"))
    assert kinds == {
        "driver_assigned sent": "", "driver_assigned dropped": "repeated", "picked_up sent": "",
        "delivered dropped": "too_many", "failed sent": "",
    }  # fmt: skip
    assert len(receiver.requests) == 3


def test_operations_hear_of_an_order_whose_row_comes_later_and_without_it_if_it_never_comes(
    town: Founded, receiver: Receiver
) -> None:
    here = town(send_retry_first_s=3, send_retry_max_s=3)
    later, never = (identity.derived(uuid.uuid4().hex) for _ in range(2))
    here.notifier(BATON_NOTIFY_OPERATIONS=receiver.url)
    here.tell("operations", "unassigned", later)
    until(lambda: here.rows("SELECT FROM notices WHERE attempts = 1 AND reason LIKE 'its order%'"))
    here.order(name=later)
    here.tell("operations", "unassigned", never)
    until(lambda: len(receiver.requests) == 2)
    said = [body["data"]["text"] for body in receiver.bodies()]
    assert ["Order o-17 of Anker" in text for text in said] == [True, False]
    assert dict(here.rows("SELECT delivery_id::text, attempts FROM notices")) == {later: 2, never: 3}


def test_two_notifiers_share_the_work_and_one_that_was_frozen_repeats_nothing(town: Founded) -> None:
    here = town(send_claim_s=3)
    slow = Receiver(slow_at_first)
    pair = [here.notifier(BATON_NOTIFY_CUSTOMER=slow.url) for _ in range(2)]
    told = [here.tell("customer", "picked_up", here.order()) for _ in range(40)]
    until(lambda: len(slow.requests) >= 8)
    pair[0].send_signal(signal.SIGSTOP)
    time.sleep(4.5)
    pair[0].send_signal(signal.SIGCONT)
    until(lambda: [row[0] for row in here.rows()] == ["sent"] * 40)
    assert set(slow.counted()) == {notice.notice_id for notice in told}
    assert max(slow.counted().values()) <= 2  # by the one that was frozen, under the key that tells a repeat
    slow.close()


def test_what_cannot_be_read_or_has_no_kind_is_a_dead_letter_and_the_rest_goes_on(
    town: Founded, receiver: Receiver
) -> None:
    here = town()
    order = here.order()
    here.tell("customer", "serenade", order)
    here.tell("customer", "arriving", order)
    here.notifier(BATON_NOTIFY_CUSTOMER=receiver.url)
    until(lambda: len(receiver.requests) == 1)
    until(lambda: dead_letters(here))  # it is flushed after the rows are committed
    (letter,) = dead_letters(here)
    assert "serenade is no kind of notice" in letter.reason


def test_a_ticket_is_opened_by_the_first_escalation_and_closed_when_a_driver_has_it(
    town: Founded, receiver: Receiver
) -> None:
    here = town()
    order = here.order()
    here.notifier(BATON_NOTIFY_SUPPORT=receiver.url)
    escalated = _event(
        events.UnassignedEscalated, order, level=1, why="no_available_drivers", waiting_ms=300_000, radius_m=5000
    )
    for _ in range(2):
        here.send(topics.DELIVERY_EVENTS, order, escalated)
    here.tell("support", "support_ticket", order, level=1, details={"why": "no_available_drivers"})
    until(lambda: here.rows("SELECT delivery_id::text, closed_why FROM support_tickets") == [(order, None)])
    until(lambda: len(receiver.requests) == 1)
    assert "nobody near by" in receiver.bodies()[0]["data"]["text"]
    assigned = _event(
        events.DriverAssigned, order, driver_id="ana", offer_id=order, how="auto", fence=1, terms=TERMS, search_ms=1
    )
    here.send(topics.DELIVERY_EVENTS, order, assigned)
    until(lambda: here.rows("SELECT closed_by, closed_why FROM support_tickets") == [("dispatch", "assigned")])
    until(lambda: len(receiver.requests) == 2)
    assert receiver.bodies()[1]["data"]["kind"] == "ticket_closed"


TERMS = OfferTerms(
    store_name="Anker", pickup_lat=1, pickup_lng=1, dropoff_lat=1, dropoff_lng=1, pickup_eta_ms=1,
    delivery_eta_ms=1, pickup_distance_m=1330, total_distance_m=4000, earning_minor=489, incentive_minor=0,
    currency="EUR",
)  # fmt: skip


def _event(kind: type[Any], delivery_id: str, **fields: Any) -> Any:
    at_ms = time.time_ns() // 1_000_000
    head: dict[str, Any] = {
        "event_id": identity.derived(f"{kind.__name__} {delivery_id}"), "delivery_id": delivery_id, "version": 1,
        "at_ms": at_ms, "actor_type": "system", "actor_id": "dispatch", "causation_id": identity.derived("c"),
        "correlation_id": delivery_id,
    }  # fmt: skip
    return kind(**head, **fields)
