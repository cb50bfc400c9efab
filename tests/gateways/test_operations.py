"""What operations read and do, on the whole running system: the queue, lists, the audit, analytics, dead letters."""

import csv
import io
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from confluent_kafka import Producer
from whole_system import PLACE, System, an_order, heard, problem

from dispatch.contract import codec, topics
from dispatch.contract.records.driver_commands import SignOn
from dispatch.contract.records.shared import DriverScorePart
from dispatch.contract.records.system import DeadLetter, DeadLetterHandled, DriverScored, ZoneHealth
from dispatch.log.reading import read_all

pytestmark = pytest.mark.servers
QUEUE = "/v2/admin/unassigned-orders"
LETTERS = "/v2/admin/dead-letters"
ACT = {"reason": "customer calls"}


def put(system: System, topic: topics.Topic, key: str, value: bytes, partition: int = -1) -> tuple[int, int]:
    """Writes a record; where it is."""
    places: list[tuple[int, int]] = []
    producer = Producer({"bootstrap.servers": system.settings.kafka, "partitioner": "murmur2_random"})
    more = {"partition": partition} if partition >= 0 else {}
    producer.produce(
        system.settings.namespace + topic.name, value, key.encode(),
        on_delivery=lambda _error, message: places.append((message.partition(), message.offset())), **more,
    )  # fmt: skip
    assert producer.flush(10) == 0
    return places[0]


def values(system: System, topic: topics.Topic) -> list[bytes]:
    return [record.value or b"" for record in read_all(system.settings.kafka, [system.settings.namespace + topic.name])]


def get(system: System, path: str, **parameters: Any) -> Any:
    answer = system.http.get(path, params={name.rstrip("_"): value for name, value in parameters.items()})
    assert answer.status_code == 200, answer.text
    return answer.json()


def waiting(system: System, **changes: Any) -> str:
    """An order for which there is nobody, in the queue."""
    seller = f"q{uuid.uuid4().hex[:8]}"
    answer = system.post("/v2/orders/ready", an_order(seller_id=seller, **changes))
    assert answer.status_code == 201, answer.text
    name: str = answer.json()["delivery_id"]
    system.until(lambda: any(row["delivery_id"] == name for row in queue(system)), "in the queue")
    return name


def queue(system: System, **parameters: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = get(system, QUEUE, **parameters)["orders"]
    return rows


def row_of(system: System, name: str, **parameters: Any) -> dict[str, Any]:
    return next((row for row in queue(system, limit=1000, **parameters) if row["delivery_id"] == name), {})


@pytest.fixture(scope="module")
def waits(system: System) -> Iterator[list[str]]:
    """Three orders that wait far from every driver."""
    far = {"name": '=HYPERLINK("http://x")', "lat": 10.0, "lng": 10.0}
    names = [waiting(system, pickup=far) for _ in range(3)]
    yield names
    for name in names:
        system.post(f"{QUEUE}/{name}/cancel", ACT)


def test_the_queue_says_who_waits_why_and_how_long(system: System, waits: list[str]) -> None:
    row = row_of(system, waits[0])
    assert (row["status"], row["zone"], row["delivery_status"], row["driver_id"]) == (
        "PENDING",
        "none",
        "searching",
        None,
    )
    assert row["why"] in ("no_available_drivers", "distance_exceeded")
    assert row["searches"] >= 1
    assert row["age_s"] > 0
    assert [name for name in (each["delivery_id"] for each in queue(system, sort="oldest")) if name in waits] == waits
    newest = [each["delivery_id"] for each in queue(system, sort="newest")]
    assert [name for name in newest if name in waits] == waits[::-1]
    assert not queue(system, zone="elsewhere")
    assert not queue(system, min_age_s=3600)
    assert {each["delivery_id"] for each in queue(system, reason=row["why"], zone="none", level=0)} >= {waits[0]}
    zones = get(system, QUEUE, group_by="zone")["zones"]
    (none,) = [zone for zone in zones if zone["zone"] == "none"]
    assert none["waiting"] >= 3
    assert {order["delivery_id"] for order in none["orders"]} >= set(waits)


def test_the_queue_as_csv_runs_no_formula(system: System, waits: list[str]) -> None:
    answer = system.http.get(QUEUE, headers={"accept": "text/csv"})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = {row["delivery_id"]: row for row in csv.DictReader(io.StringIO(answer.text, newline=""))}
    assert rows[waits[0]]["store_name"] == '\'=HYPERLINK("http://x")'
    assert rows[waits[0]]["status"] == "PENDING"
    again = system.http.get(QUEUE, params={"format": "csv", "limit": 1})
    assert len(again.text.splitlines()) == 2
    assert system.http.get(QUEUE, params={"format": "json"}, headers={"accept": "text/csv"}).json()["orders"]
    following = system.http.get(QUEUE, params={"format": "csv", "cursor": again.headers["x-next-cursor"]})
    assert following.status_code == 200


def test_pages_neither_repeat_nor_lose_a_row_while_others_come(system: System, waits: list[str]) -> None:
    for path, name, more in (
        (QUEUE, "orders", {"sort": "newest"}),
        ("/v2/admin/deliveries", "deliveries", {"zone": "none"}),
        ("/v2/admin/audit-logs", "events", {"type": "created"}),
    ):
        before = get(system, path, limit=1000, **more)[name]
        seen: list[str] = []
        cursor, first = None, True
        while first or cursor:
            page = get(system, path, limit=1, **more, **({"cursor": cursor} if cursor else {}))
            seen += [row["delivery_id"] for row in page[name]]
            cursor = page["next_cursor"]
            if first:
                waits.append(waiting(system, pickup={"name": "Far", "lat": 10.0, "lng": 10.0}))
            first = False
        assert seen == [row["delivery_id"] for row in before], path


def test_escalated_reassigned_and_cancelled_by_hand_with_a_reason(system: System) -> None:
    far = {"name": "Far", "lat": 30.0, "lng": 10.0}
    name = waiting(system, pickup=far)
    assert system.post(f"{QUEUE}/{name}/escalate", ACT, **{"x-actor-id": "olga"}).status_code == 200
    system.until(lambda: row_of(system, name).get("status") == "NOTIFIED", "notified")
    assert row_of(system, name)["escalation_level"] == 1
    assert queue(system, sort="level")[0]["delivery_id"] == name
    assert system.post(f"{QUEUE}/{name}/reassign", {**ACT, "note": "again"}).status_code == 200
    said = {"driver_id": "far-ana", "vehicle": "car", "capacity": 1, "rating": 4.5}
    there = {**said, "lat": 30.0, "lng": 10.0}
    there.pop("driver_id")
    assert system.post("/v2/drivers/far-ana/sign-on", there).status_code == 200
    system.until(
        lambda: system.post(f"{QUEUE}/{name}/reassign", {**ACT, "driver_id": "far-ana"}).status_code == 200, "named"
    )
    system.until(lambda: row_of(system, name, status="REASSIGNED"), "reassigned")
    left = row_of(system, name, status="REASSIGNED")
    assert (left["left_how"], left["driver_id"]) == ("assigned", "far-ana")
    assert not row_of(system, name)
    other = waiting(system, pickup=far)
    assert system.post(f"{QUEUE}/{other}/cancel", ACT).json()["status"] == "cancelled"
    system.until(lambda: row_of(system, other, status="CANCELLED"), "cancelled")
    events = get(system, "/v2/admin/audit-logs", delivery_id=name, actor="olga")["events"]
    assert [event["type"] for event in events] == ["unassigned_escalated"]
    for act in ("escalate", "reassign", "cancel"):
        problem(system.post(f"{QUEUE}/{name}/{act}", {}), 422, "invalid")
        problem(system.post(f"{QUEUE}/{name}/{act}", {"reason": "  "}), 422, "invalid")
    problem(system.post(f"{QUEUE}/{uuid.uuid4()}/escalate", ACT), 404, "unknown_order")
    problem(system.post(f"{QUEUE}/{name}/escalate", ACT), 409, "not_allowed_now")
    system.post(f"/v2/admin/deliveries/{name}/cancel", {"reason": "end"})


def test_what_was_delivered_is_found_told_and_reckoned(system: System) -> None:
    system.sign_on("op-ben")
    order = an_order(seller_id="op-seller", seller_order_id=f"A%{uuid.uuid4().hex[:6]}".replace("%", "."))
    with system.socket("op-ben") as socket:
        time.sleep(0.5)
        assert system.post("/v2/orders/ready", order).status_code == 201
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        name = offer["delivery_id"]
        assert system.post(f"/v2/drivers/op-ben/offers/{offer['offer_id']}/accept").status_code == 200
        for step in ("picked_up", "delivered"):
            done = system.post(
                f"/v2/drivers/op-ben/deliveries/{name}/progress", {"offer_id": offer["offer_id"], "step": step}
            )
            assert done.status_code == 200, done.text
    path = "/v2/admin/deliveries"
    system.until(lambda: get(system, path, status="delivered", driver_id="op-ben")["deliveries"], "delivered")
    (row,) = get(system, path, seller_id="op-seller", q="A.")["deliveries"]
    assert (row["delivery_id"], row["order_value"]) == (name, {"amount_minor": 2000, "currency": "EUR"})
    assert not get(system, path, seller_id="op-seller", q="A_")["deliveries"]
    assert not get(system, path, status="searching", seller_id="op-seller")["deliveries"]
    story = get(system, f"{path}/{name}/story")["story"]
    assert any("op-ben" in line["text"] for line in story)
    problem(system.http.get(f"{path}/{uuid.uuid4()}/story"), 404, "unknown_order")
    groups = {by: get(system, "/v2/admin/analytics/economics", by=by, seller_id="op-seller") for by in
              ("zone", "hour", "seller", "driver")}  # fmt: skip
    assert {by: group["groups"][0]["deliveries"] for by, group in groups.items()} == dict.fromkeys(groups, 1)
    assert groups["driver"]["groups"][0]["key"] == "op-ben"
    money = groups["seller"]["total"][0]
    assert money["net"]["amount_minor"] == money["revenue"]["amount_minor"] - money["cost"]["amount_minor"]
    part = DriverScorePart(part="acceptance", good=9, seen=10, value=0.9, weight=1)
    scored = DriverScored(driver_id="op-ben", at_ms=now_ms(), score=0.9, mean=0.8, acceptance_rate=0.9, parts=(part,))
    put(system, topics.DRIVER_SCORES, "op-ben", codec.encode(scored))
    performance = "/v2/admin/analytics/driver-performance"

    def told() -> dict[str, Any]:
        (found,) = get(system, performance, driver_id="op-ben")["drivers"]
        return dict(found)

    system.until(lambda: told()["score"] == 0.9, "scored")
    assert told()["parts"][0]["part"] == "acceptance"
    assert (told()["offers"]["accepted"], told()["deliveries"]["delivered"]) == (1, 1)
    assert told()["earned"][0]["amount_minor"] == money["driver_pay"]["amount_minor"]
    assert get(system, performance, sort="score")["drivers"][0]["driver_id"] == "op-ben"
    history = get(system, "/v2/admin/drivers/op-ben/availability-history")["changes"]
    assert {"AVAILABLE", "BUSY"} <= {change["to_state"] for change in history}
    problem(system.http.get("/v2/admin/drivers/nobody/availability-history"), 404, "unknown_driver")
    assert "op-ben" in {
        driver["driver_id"] for driver in get(system, "/v2/admin/drivers", state="AVAILABLE")["drivers"]
    }
    assert not get(system, "/v2/admin/drivers", zone="elsewhere")["drivers"]
    assert not get(system, "/v2/admin/drivers", prefers_zone="elsewhere")["drivers"]
    seen, cursor = [], {}
    while cursor is not None:
        page = get(system, "/v2/admin/drivers", zone="none", limit=1, **cursor)
        seen += [driver["driver_id"] for driver in page["drivers"]]
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else None
    assert seen == sorted(seen)
    assert "op-ben" in seen


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def test_zones_are_told_as_they_are_and_as_they_were(system: System) -> None:
    at_ms = now_ms() // 60_000 * 60_000 - 120_000
    whole = dict.fromkeys(ZoneHealth.__struct_fields__, 0) | {"zone": "opera", "trend": "steady", "understaffed": True}
    for after_ms, pressure in ((0, 1.0), (10_000, 3.0), (20_000, 2.0), (60_000, 0.5)):
        health = ZoneHealth(**{**whole, "at_ms": at_ms + after_ms, "pressure": pressure, "open_searches": 2})
        put(system, topics.ZONE_HEALTH, "opera", codec.encode(health))
    path = "/v2/admin/analytics/zone-health"
    system.until(lambda: len(get(system, path, zone="opera", step_s="60")["series"]) == 2, "two minutes")
    body = get(system, path, zone="opera", step_s="60")
    first, second = body["series"]
    assert (first["pressure"], first["pressure_max"], first["understaffed_minutes"]) == (2.0, 3.0, 1)
    assert (second["pressure"], body["zones"][0]["pressure"]) == (0.5, 0.5)
    whole_hour = get(system, path, zone="opera", step_s="3600")["series"]
    assert sum(step["minutes"] for step in whole_hour) == 2
    assert not get(system, path, zone="elsewhere")["series"]


@pytest.mark.parametrize(
    ("path", "parameters", "code"),
    [
        (QUEUE, {"cursor": "x"}, "bad_cursor"),
        (QUEUE, {"status": "WAITING"}, "invalid"),
        (QUEUE, {"zones": "a"}, "invalid"),
        (QUEUE, {"limit": 1001}, "invalid"),
        (QUEUE, {"min_age_s": "nan"}, "invalid"),
        (QUEUE, {"min_age_s": 5, "max_age_s": 4}, "bad_range"),
        ("/v2/admin/deliveries", {"cursor": "AAAAAAAAAAA"}, "bad_cursor"),
        ("/v2/admin/deliveries", {"from": "2026-01-02", "to": "2026-01-01"}, "bad_range"),
        ("/v2/admin/deliveries", {"from": "9999-12-31T23:59:59-23:00"}, "invalid"),
        ("/v2/admin/deliveries", {"q": "a\x00"}, "invalid"),
        ("/v2/admin/audit-logs", {"delivery_id": "x"}, "invalid"),
        ("/v2/admin/audit-logs", {"cursor": ""}, "bad_cursor"),
        ("/v2/admin/analytics/economics", {"from": "2026-01-01", "to": "2026-06-01"}, "range_too_long"),
        ("/v2/admin/analytics/zone-health", {"from": "2026-01-01", "to": "2026-01-20", "step_s": "60"},
         "range_too_long"),
        ("/v2/admin/analytics/driver-performance", {"cursor": "%%%"}, "bad_cursor"),
        (LETTERS, {"status": "gone"}, "invalid"),
        (f"{LETTERS}/x", {}, "invalid"),
    ],
    ids=lambda value: str(value).replace("\x00", "NUL") if not isinstance(value, dict) else "-".join(value) or "plain",
)  # fmt: skip
def test_what_cannot_be_asked_is_a_422(system: System, path: str, parameters: dict[str, Any], code: str) -> None:
    problem(system.http.get(path, params=parameters), 422, code)


def a_letter(system: System, topic: topics.Topic, value: bytes | None, place: tuple[int, int], **more: Any) -> str:
    """Sets a record aside, as a worker does; the letter's id once it is listed."""
    letter = DeadLetter(
        source_topic=system.settings.namespace + topic.name, partition=place[0], offset=place[1], value=value,
        error="BadRecord", reason="not yet", place="field", at_ms=now_ms(), worker="worker-0", **more,
    )  # fmt: skip
    name = "{}-{}".format(*put(system, topics.DEAD_LETTERS, letter.source_topic, codec.encode(letter)))
    system.until(lambda: system.http.get(f"{LETTERS}/{name}").status_code == 200, "listed")
    return name


def a_sign_on(name: str) -> SignOn:
    return SignOn(
        command_id=str(uuid.uuid4()), driver_id=name, at_ms=now_ms(), actor_type="driver", actor_id=name,
        correlation_id=name, vehicle="car", capacity=1, rating=4.5, **PLACE,
    )  # fmt: skip


def test_a_dead_letter_is_retried_once_whoever_asks(system: System) -> None:
    value = codec.encode(a_sign_on("late-dan"))
    name = a_letter(system, topics.DRIVER_COMMANDS, value, (0, 10**6), key=b"late-dan", value_bytes=len(value))
    shown = get(system, f"{LETTERS}/{name}")
    assert (shown["status"], shown["source_topic"], shown["retryable"]) == ("open", "driver.commands", True)
    assert shown["content"]["fields"]["driver_id"] == "late-dan"
    answers: list[httpx.Response] = []
    keys = ["one", "one", "two", "three"]
    asking = [
        threading.Thread(
            target=lambda key=key: answers.append(
                system.post(f"{LETTERS}/{name}/retry", ACT, **{"idempotency-key": f"{name}-{key}-key"})
            )
        )
        for key in keys
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join(60)
    assert {answer.status_code for answer in answers} <= {200, 409}
    system.until(lambda: system.http.get("/v2/drivers/late-dan").status_code == 200, "signed on after all")
    system.until(lambda: get(system, f"{LETTERS}/{name}")["status"] == "retried", "told so")
    assert values(system, topics.DRIVER_COMMANDS).count(value) == 1
    done = [codec.decode(each) for each in values(system, topics.DEAD_LETTERS_HANDLED)]
    assert sum(isinstance(each, DeadLetterHandled) and each.letter_id == name for each in done) == 1
    problem(system.post(f"{LETTERS}/{name}/drop", ACT), 409, "already_handled")
    assert name in {row["letter_id"] for row in get(system, LETTERS, status="retried")["dead_letters"]}
    assert name not in {row["letter_id"] for row in get(system, LETTERS, status="open")["dead_letters"]}


def test_of_an_order_that_was_set_aside_nothing_is_shown_and_the_record_itself_is_retried(system: System) -> None:
    value = b"\x00no order of Clara Q."
    place = put(system, topics.ORDERS_INBOUND, "k", value)

    def of_the_order() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = get(system, LETTERS, topic="orders.inbound", status="open")["dead_letters"]
        return [row for row in rows if row["source_offset"] == place[1] and row["source_partition"] == place[0]]

    system.until(of_the_order, "set aside by the worker")
    (row,) = of_the_order()
    answer = system.http.get(f"{LETTERS}/{row['letter_id']}")
    assert "Clara" not in answer.text
    assert (answer.json()["content"], answer.json()["reason"], answer.json()["retryable"]) == (None, None, True)
    retried = system.post(f"{LETTERS}/{row['letter_id']}/retry", ACT, **{"x-actor-id": "olga"})
    assert (retried.status_code, retried.json()["by"]) == (200, "olga")
    system.until(lambda: values(system, topics.ORDERS_INBOUND).count(value) == 2, "retried, and marked as committed")
    rows = get(system, LETTERS, topic="orders.inbound")["dead_letters"]
    assert "Clara" not in str(rows)


def test_what_was_said_once_is_dropped_and_not_said_again(system: System) -> None:
    name = a_letter(system, topics.DELIVERY_EVENTS, b"\x00x", (0, 0), value_bytes=2)
    shown = get(system, f"{LETTERS}/{name}")
    assert (shown["retryable"], shown["content"]) == (False, None)
    assert "not written twice" in shown["not_retryable_why"]
    problem(system.post(f"{LETTERS}/{name}/retry", ACT), 409, "not_retryable")
    gone = a_letter(system, topics.DRIVER_COMMANDS, None, (0, 10**9), value_bytes=7)
    problem(system.post(f"{LETTERS}/{gone}/retry", ACT), 409, "not_retryable")
    problem(system.post(f"{LETTERS}/{name}/drop", {}), 422, "invalid")
    assert system.post(f"{LETTERS}/{name}/drop", {"reason": "a test"}).json()["status"] == "dropped"
    system.until(lambda: get(system, f"{LETTERS}/{name}")["handled_why"] == "a test", "told so")
    problem(system.post(f"{LETTERS}/0-999999/drop", ACT), 404, "unknown_dead_letter")
    problem(system.http.get(f"{LETTERS}/0-999999"), 404, "unknown_dead_letter")
