"""Streams of server-sent events without servers: bounds, slow readers, ids, words."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from dispatch.contract.tracking import TOKEN_BYTES, hashed
from gateways.problems import Problem
from gateways.tracking import words
from gateways.tracking.desk import positions, told
from gateways.tracking.following import position
from gateways.tracking.streams import OF_ONE, EventStream, Readers, Waiting, closed, message

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_reader_for_whom_too_many_messages_wait_is_let_go_with_a_reason_and_its_memory_freed() -> None:
    async def tried() -> None:
        waiting = Waiting(most=3)
        for number in range(3):
            waiting.put(number)
        assert await waiting.some(0) == [0, 1, 2]
        for number in range(10):
            waiting.put(number)
        assert waiting.over == "too_slow"
        assert await waiting.some(5) == []
        waiting.end("gateway_ends")
        assert waiting.over == "too_slow"

    asyncio.run(tried())


def test_a_place_that_was_not_read_makes_room_for_the_next() -> None:
    async def tried() -> None:
        waiting = Waiting(most=1)
        for number in range(1_000):
            waiting.put_place(number)
        assert (waiting.place, waiting.over) == (999, "")

    asyncio.run(tried())


async def answered(stream: EventStream, *, takes: int, gone_after_s: float | None = None) -> list[dict[str, Any]]:
    """What reaches a reader who takes so many messages and then none."""
    taken: list[dict[str, Any]] = []

    async def send(one: Any) -> None:
        if len(taken) >= takes:
            await asyncio.sleep(60)
        taken.append(dict(one))

    async def receive() -> dict[str, str]:
        await asyncio.sleep(60 if gone_after_s is None else gone_after_s)
        return {"type": "http.disconnect"}

    await stream({"type": "http"}, receive, send)
    return taken


def a_stream(source: AsyncIterator[bytes], readers: Readers, waiting: Waiting) -> EventStream:
    stream = EventStream("tracking", source, lambda: "ended", lambda: readers.one_more("link 1", waiting))
    stream.send_s = 0.1
    return stream


@pytest.mark.parametrize("gone_after_s", [None, 0.05], ids=["takes nothing", "is gone"])
def test_a_reader_who_takes_nothing_or_is_gone_holds_no_room(gone_after_s: float | None) -> None:
    ended: list[str] = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield message("delivery_location_updated", {"a": 1})
                await asyncio.sleep(0.001)
        finally:
            ended.append("source")

    async def tried() -> None:
        readers = Readers()
        stream = a_stream(endless(), readers, Waiting())
        taken = await asyncio.wait_for(answered(stream, takes=5, gone_after_s=gone_after_s), 20)
        assert taken[0]["status"] == 200
        assert dict(taken[0]["headers"])[b"content-type"].startswith(b"text/event-stream")
        assert len(taken) <= 5
        assert ended == ["source"]
        for _ in range(OF_ONE):
            readers.check("link 1")

    asyncio.run(tried())


def test_a_stream_that_ends_says_why_and_ends_the_response() -> None:
    async def short() -> AsyncIterator[bytes]:
        yield closed("delivery_ended")

    async def tried() -> list[dict[str, Any]]:
        return await answered(a_stream(short(), Readers(), Waiting()), takes=99)

    taken = asyncio.run(tried())
    assert taken[1]["body"] == b'event: closed\ndata: {"reason":"delivery_ended"}\n\n'
    assert taken[-1] == {"type": "http.response.body", "body": b"", "more_body": False}


def test_one_principal_has_so_many_streams_and_a_gateway_that_ends_opens_none() -> None:
    async def tried() -> None:
        readers, waiting = Readers(), [Waiting() for _ in range(OF_ONE)]
        rooms = [readers.one_more("support eve", one) for one in waiting]
        for room in rooms:
            room.__enter__()
        with pytest.raises(Problem) as caught:
            readers.check("support eve")
        assert (caught.value.status, caught.value.code) == (429, "too_many_streams")
        readers.check("support dan")
        rooms[0].__exit__(None, None, None)
        readers.check("support eve")
        readers.let_all_go()
        assert [one.over for one in waiting[1:]] == ["gateway_ends"] * (OF_ONE - 1)
        with pytest.raises(Problem) as caught:
            readers.check("support dan")
        assert caught.value.status == 503

    asyncio.run(tried())


def test_ids_are_read_back_and_what_is_none_is_told_from_one() -> None:
    ends = {(0, 0): 5, (0, 1): 12, (1, 0): 3, (2, 0): 0, (2, 1): 7, (3, 0): 99}
    assert told(ends) == "5.12-3-0.7-99"
    assert positions(told(ends)) == ends
    for wrong in ("", "1-2-3", "1-2-3-x", "1-2-3-4-5", "-".join(["9" * 30] * 4), "1.-2-3-4"):
        assert positions(wrong) is None
    assert position("12.1") == (12, 1)
    whole = position("12")
    assert whole is not None
    assert whole > (12, 999)
    for wrong in ("", "-1", "1.", "x", "9" * 40, "1.1.1"):
        assert position(wrong) is None


def test_tokens_have_128_random_bits_at_least_and_the_hash_tells_nothing_of_them() -> None:
    assert TOKEN_BYTES * 8 >= 128
    assert "secret" not in hashed("secret")
    assert len(hashed("\ud800")) == 64


def test_phones_are_masked_and_names_cut_short() -> None:
    assert words.masked("+49 (761) 555-0123") == "*********123"
    assert words.masked("12345") is None
    row = {"name": " Ana  Berg ", "phone": "0761 5550123", "rating": 0.0, "vehicle": "car"}
    assert words.driver(row) == {
        "first_name": "Ana", "rating": None, "vehicle": "car", "phone_masked": "********123",
    }  # fmt: skip
    assert words.driver({"name": None, "phone": None, "rating": 4.5, "vehicle": "van"})["first_name"] is None


def test_a_place_has_its_accuracy_and_age_and_is_not_from_the_future() -> None:
    told_at = words.place(48.0, 7.0, 0, AT, AT + timedelta(seconds=7))
    assert told_at == {"lat": 48.0, "lng": 7.0, "accuracy_m": None, "at": "2026-01-02T03:04:05.000Z", "age_s": 7.0}
    assert words.place(48.0, 7.0, 5, AT, AT - timedelta(seconds=7))["age_s"] == 0


@pytest.mark.parametrize(
    ("event", "body", "status", "ends"),
    [
        ("OfferExpired", {"auto_assigned": True}, None, False),
        ("OfferExpired", {"auto_assigned": False}, "searching", False),
        ("DeliveryFailed", {"returning": True}, "failed", False),
        ("DeliveryFailed", {"returning": False}, "failed", True),
        ("DeliveryReturned", {}, "returned", True),
        ("EtaChanged", {}, None, False),
    ],
)
def test_what_an_event_does_to_the_public_status(event: str, body: Any, status: str | None, ends: bool) -> None:
    assert words.status_after(event, body) == status
    assert words.ends(event, body) == ends
    if status is not None:
        assert words.holder_after(event, body, "ana") == ""
    else:
        assert words.holder_after(event, body, "ana") == "ana"


def test_an_assignment_is_told_in_two_messages_without_whoever_took_it() -> None:
    body = {"delivery_id": "d", "version": 7, "at_ms": 0, "driver_id": "ana",
            "terms": {"eta": None, "pickup_eta_ms": 60_000, "delivery_eta_ms": 120_000}}  # fmt: skip
    (first, status), (second, eta) = words.messages("DriverAssigned", body)
    assert (first, second) == ("delivery_status_updated", "delivery_eta_updated")
    assert (status["status"], eta["pickup_eta"]["p50"]) == ("assigned", "1970-01-01T00:01:00.000Z")
    assert b"ana" not in orjson.dumps([status, eta])
