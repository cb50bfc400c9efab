"""Which connection lives, what an id says, what is kept for those who come back, and tokens that end."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any, cast

import pytest
from fastapi import WebSocket
from hypothesis import given
from hypothesis import strategies as st

from gateways.access.principal import Principal
from gateways.problems import Problem
from gateways.reads import Reads
from gateways.sockets import Sockets, Terms, hub
from gateways.sockets.connection import QUEUE, Connection
from gateways.sockets.positions import HEARD, NOTHING, Position, position
from gateways.sockets.recent import Heard, Recent
from gateways.sockets.sessions import Session, Sessions, superseded

TOPICS = range(len(HEARD))


def a_session(name: str, device: str, opened_at_ms: int) -> Session:
    return Session(name, device, opened_at_ms, opened_at_ms, 0)


def test_of_a_device_the_newest_connection_lives_and_of_devices_so_many() -> None:
    phone, phone_again, tablet = a_session("a", "phone", 1), a_session("b", "phone", 3), a_session("c", "tablet", 2)
    assert superseded([phone, phone_again], 1) == ["a"]
    assert superseded([phone_again, tablet], 2) == []
    assert superseded([phone_again, tablet], 1) == ["c"]
    assert sorted(superseded([phone, tablet, phone_again], 2)) == ["a"]


def test_of_two_connections_within_a_millisecond_the_later_is_the_newest() -> None:
    sessions = Sessions("", "", 0, 1, lambda _driver, _connection: None)

    async def opened() -> list[int]:
        at_once = await asyncio.gather(*(sessions.opened_ms() for _ in range(100)))
        return [*at_once, *[await sessions.opened_ms() for _ in range(100)]]

    stamps = asyncio.run(opened())
    assert stamps == sorted(set(stamps))


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 9)), max_size=8), st.integers(1, 3))
def test_whoever_looks_sees_the_same_connections_end(opened: list[tuple[str, int]], devices: int) -> None:
    sessions = [a_session(str(number), device, at) for number, (device, at) in enumerate(opened)]
    gone = set(superseded(sessions, devices))
    assert gone == set(superseded(reversed(sessions), devices))
    live = [one for one in sessions if one.connection_id not in gone]
    assert len({one.device for one in live}) == len(live) <= devices
    assert superseded(live, devices) == []


@given(st.integers(0, 1023), st.lists(st.integers(NOTHING, 10**15), min_size=len(HEARD), max_size=len(HEARD)))
def test_an_id_says_the_position_again(partition: int, told: list[int]) -> None:
    where = Position(partition, tuple(told))
    assert position(str(where)) == where


@pytest.mark.parametrize(
    "text", ["", "x", "1-2-3", "2-0-1-1-1", "1-0-1-1-1-1", "1-0--1-1-1", "1-0-1-1-1\n", "1-٣-1-1-1"]
)
def test_what_is_no_id_is_none(text: str) -> None:
    assert position(text) is None


@given(st.lists(st.tuples(st.sampled_from(TOPICS), st.sampled_from("abc")), max_size=60), st.integers(0, 60), st.data())
def test_two_gateways_that_read_the_topics_in_another_order_lose_and_repeat_nothing(
    records: list[tuple[int, str]], cut: int, data: st.DataObject
) -> None:
    """The first tells up to a cut, the second everything after it, whatever order it read in."""
    log = [(topic, sum(1 for other, _ in records[:at] if other == topic), name)
           for at, (topic, name) in enumerate(records)]  # fmt: skip
    by_topic: dict[int, list[tuple[int, int, str]]] = {
        topic: [one for one in log if one[0] == topic] for topic in TOPICS
    }
    order = data.draw(st.permutations([topic for topic, _, _ in log]))
    other = [by_topic[topic].pop(0) for topic in order]
    where, heard = Position(0, (NOTHING,) * len(HEARD)), []
    for topic, offset, name in log[:cut]:
        if name == "a":
            where = where.after(topic, offset)
            heard.append((topic, offset))
    missed = kept(other).after("a", where)
    assert missed is not None
    heard += [(one.topic, one.offset) for one in missed]
    assert sorted(heard) == sorted((topic, offset) for topic, offset, name in log if name == "a")


def kept(log: Iterable[tuple[int, int, str]], most: int = 1_000) -> Recent:
    recent = Recent(most)
    recent.begin({(topic, 0): 0 for topic in TOPICS}, 1)
    for topic, offset, name in log:
        recent.add(Heard(topic, 0, offset, name, b""))
        recent.reached({(topic, 0): offset})
    return recent


def test_a_gap_that_reaches_into_what_was_forgotten_is_known_as_one() -> None:
    recent = kept([(0, offset, "ab"[offset % 2]) for offset in range(10)], most=4)
    start = Position(0, (NOTHING,) * len(HEARD))
    assert recent.after("a", start) is None
    assert recent.after("a", start.after(0, 4)) is None
    missed = recent.after("a", start.after(0, 5))
    assert missed is not None
    assert [one.offset for one in missed] == [6, 8]
    assert recent.after("a", start.after(0, 10)) is None, "that was never told"
    assert recent.after("a", Position(1, start.told)) is None, "that is another's"
    assert recent.after("nobody", start.after(0, 9)) == []


class Wire:
    """Stands for a socket: says what it is given, and remembers what it hears."""

    def __init__(self, *says: dict[str, Any]) -> None:
        self.says = [json.dumps(one) for one in says]
        self.heard: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self._gone = asyncio.Event()

    async def accept(self, _subprotocol: str | None) -> None:
        return

    async def receive(self) -> dict[str, str]:
        if self.says:
            return {"type": "websocket.receive", "text": self.says.pop(0)}
        await self._gone.wait()
        return {"type": "websocket.disconnect"}

    async def send_text(self, text: str) -> None:
        self.heard.append(json.loads(text))

    async def close(self, code: int, reason: str) -> None:
        self.closed = code, reason
        self._gone.set()


class Tables:
    """Stands for empty read models."""

    async def offers(self, _driver_id: str, *, open_only: bool) -> list[Any]:
        return [] if open_only else [1]

    async def assignments(self, _driver_id: str) -> list[Any]:
        return []

    async def as_of(self, _delivery_ids: list[str]) -> dict[str, int]:
        return {}

    async def driver(self, _driver_id: str) -> dict[str, Any]:
        raise Problem(404, "unknown_driver", "")


def lived(wire: Wire, who: Principal, monkeypatch: pytest.MonkeyPatch, renewed: Principal | None = None) -> Wire:
    """One connection until the gateway ends it."""
    monkeypatch.setattr(hub, "_TURN_S", 0.01)

    async def renew(token: str) -> Principal:
        if token != "good" or renewed is None:
            raise Problem(401, "token_refused", "The token is not taken.")
        return renewed

    async def whole() -> None:
        sockets = Sockets(cast(Reads, Tables()), Terms(), renew)
        sockets.start()
        async with asyncio.timeout(15):
            await sockets.serve(cast(WebSocket, wire), who.subject, who)
        await sockets.stop()

    asyncio.run(whole())
    return wire


def a_driver(name: str, ends_in_ms: int) -> Principal:
    return Principal("driver", name, expires_at_ms=hub.now_ms() + ends_in_ms)


def test_before_its_token_ends_an_app_is_told_and_then_closed_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    wire = lived(Wire(), a_driver("ana", 400), monkeypatch)
    assert {message["type"] for message in wire.heard} == {"READY", "TOKEN_EXPIRING"}
    assert wire.closed == (4401, "the token has expired")


def test_a_new_token_of_the_same_driver_is_taken_and_others_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    says = [{"type": "TOKEN", "token": word} for word in ("bad", "good", 7)]
    soon, later = a_driver("ana", 100), a_driver("ana", 900)
    wire = lived(Wire(*says), soon, monkeypatch, later)
    answers = [message for message in wire.heard if message["type"] in ("REFUSED", "TOKEN_TAKEN")]
    assert [answer.get("code", "taken") for answer in answers] == ["token_refused", "taken", "invalid"]
    assert wire.closed == (4401, "the token has expired")
    assert later.expires_at_ms is not None
    assert hub.now_ms() >= later.expires_at_ms
    foreign = lived(Wire(says[1]), a_driver("ana", 300), monkeypatch, a_driver("ben", 90_000))
    assert next(message for message in foreign.heard if message["type"] == "REFUSED")["code"] == "other_driver"
    analyst = lived(Wire(says[1]), a_driver("ana", 300), monkeypatch, Principal("analyst", "ana"))
    assert next(message for message in analyst.heard if message["type"] == "REFUSED")["code"] == "other_driver"
    assert foreign.closed == (4401, "the token has expired")


def test_a_drivers_second_connection_ends_the_first_also_without_redis_and_whoever_looks_on_ends_nobodys() -> None:
    older, looking, newer = Wire(), Wire(), Wire()

    async def begun(sockets: Sockets, wire: Wire, who: Principal) -> "asyncio.Task[None]":
        serving = asyncio.create_task(sockets.serve(cast(WebSocket, wire), "ana", who))
        while not wire.heard:
            await asyncio.sleep(0.01)
        return serving

    async def whole() -> None:
        sockets = Sockets(cast(Reads, Tables()), Terms(valkey="redis://127.0.0.1:1"))
        async with asyncio.timeout(15):
            first = await begun(sockets, older, Principal("driver", "ana"))
            second = await begun(sockets, looking, Principal("ops", "olga"))
            third = await begun(sockets, newer, Principal("driver", "ana"))
            await first
            sockets.go()
            await asyncio.gather(second, third)

    asyncio.run(whole())
    assert [wire.closed and wire.closed[0] for wire in (older, looking, newer)] == [4409, 1012, 1012]


def test_a_connection_that_is_closed_as_its_last_message_was_sent_is_closed() -> None:
    """Between the end of the task that sends and what follows it."""

    class Sent(Wire):
        async def send_text(self, text: str) -> None:
            await super().send_text(text)
            if len(self.heard) == 1:
                asyncio.get_running_loop().call_soon(connection.close, 1012, "the gateway restarts")

    wire = Sent()
    connection: Connection

    async def whole() -> None:
        nonlocal connection
        connection = Connection(cast(WebSocket, wire), "ana", "", "c", NOTHING)
        connection.tell({"type": "X"})
        async with asyncio.timeout(2):
            await wire.receive()

    asyncio.run(whole())
    assert wire.closed == (1012, "the gateway restarts")


def test_a_reader_who_takes_nothing_is_dropped_with_the_reason() -> None:
    class Stuck(Wire):
        async def send_text(self, text: str) -> None:
            await super().send_text(text)
            await asyncio.sleep(0.05 if len(self.heard) < 3 else 0.5)

    wire = Stuck()

    async def whole() -> None:
        sockets = Sockets(cast(Reads, Tables()))
        served = asyncio.create_task(sockets.serve(cast(WebSocket, wire), "ana"))
        while not wire.heard:
            await asyncio.sleep(0.01)
        (connection,) = sockets._open["ana"]
        for number in range(QUEUE + 2):
            connection.tell({"type": "X", "number": number})
        async with asyncio.timeout(10):
            await served
        assert not sockets.listens("ana")

    asyncio.run(whole())
    assert wire.closed == (4008, "too slow a reader")
