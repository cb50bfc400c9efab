"""What a driver's socket tells when the read model is behind, and what the log client does not read."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from fastapi import WebSocket

from dispatch.contract import codec, identity
from dispatch.contract.errors import ContractError
from dispatch.contract.records.driver_events import DriverReservationReleased
from dispatch.contract.records.offers import AssignmentEnded, DeliveryAssigned, OfferCreated
from dispatch.contract.records.shared import OfferTerms
from dispatch.contract.records.system import Notice
from gateways.problems import Problem, unreachable
from gateways.reads import Reads, handed_over
from gateways.sockets import Sockets
from gateways.sockets.feed import for_drivers
from gateways.sockets.recent import Heard

AT_MS = 1_790_000_000_000
ONE, TWO = identity.derived("one"), identity.derived("two")
CLARA = {"name": "Clara Q.", "phone": "1", "address": "Basler Str. 1", "note": "", "lat": 48.012345, "lng": 7.86}
TERMS = OfferTerms(
    store_name="Anker", pickup_lat=1, pickup_lng=1, dropoff_lat=48.012, dropoff_lng=7.86, pickup_eta_ms=AT_MS,
    delivery_eta_ms=AT_MS, pickup_distance_m=1330, total_distance_m=4000, earning_minor=489, incentive_minor=0,
    currency="EUR",
)  # fmt: skip


class Tables:
    """Stands for the read models: contacts that come after a while."""

    def __init__(
        self, contact: Any = None, after: Callable[[], bool] = lambda: True, as_of_ms: int | None = None
    ) -> None:
        self.known, self.after, self.as_of_ms = contact, after, as_of_ms

    async def contact(self, _delivery_id: str) -> Any:
        while not self.after():
            await asyncio.sleep(0.005)
        return self.known

    async def offers(self, _driver_id: str, *, open_only: bool) -> list[Any]:
        assert open_only
        return []

    async def assignments(self, _driver_id: str) -> list[Any]:
        return []

    async def as_of(self, delivery_ids: list[str]) -> dict[str, int]:
        return {} if self.as_of_ms is None else dict.fromkeys(delivery_ids, self.as_of_ms)

    async def driver(self, _driver_id: str) -> dict[str, Any]:
        return {"availability": "AVAILABLE"}


class Wire:
    """Stands for a driver's connection."""

    def __init__(self, **query: str) -> None:
        self.query_params = query
        self.heard: list[dict[str, Any]] = []
        self.gone = asyncio.Event()
        self.closed = 0

    async def accept(self, _subprotocol: str | None) -> None:
        return

    async def receive(self) -> dict[str, str]:
        await self.gone.wait()
        return {"type": "websocket.disconnect"}

    async def close(self, code: int, _why: str) -> None:
        self.closed = code
        self.gone.set()

    async def send_text(self, text: str) -> None:
        self.heard.append(json.loads(text))

    def told(self) -> list[dict[str, Any]]:
        return [message for message in self.heard if message["type"] != "READY"]


def tell(sockets: Sockets, *records: Any) -> None:
    """From the log, one after the other."""
    for record in records:
        offset = sockets._recent.present(record.driver_id).told[0] + 1
        heard = Heard(0, 0, offset, record.driver_id, codec.encode(record), record)
        sockets.take([heard], {(0, 0): offset})


def an_assignment(driver_id: str = "ana") -> DeliveryAssigned:
    return DeliveryAssigned(
        offer_id=ONE, delivery_id=ONE, driver_id=driver_id, terms=TERMS, at_ms=AT_MS, how="accepted"
    )


def an_offer() -> OfferCreated:
    return OfferCreated(
        offer_id=ONE, delivery_id=ONE, driver_id="ana", terms=TERMS, at_ms=AT_MS, expires_at_ms=AT_MS
    )  # fmt: skip


def an_end(driver_id: str = "ana", offer_id: str = ONE) -> AssignmentEnded:
    return AssignmentEnded(offer_id=offer_id, delivery_id=ONE, driver_id=driver_id, at_ms=AT_MS, why="completed")


def a_notice(kind: str) -> Notice:
    return Notice(notice_id=ONE, audience="driver", kind=kind, driver_id="ana", at_ms=AT_MS, details={"zone": "Mitte"})


def played(tables: Tables, play: Callable[[Sockets, dict[str, Wire]], Awaitable[None]]) -> dict[str, Wire]:
    """Ana and Ben connect, something happens, and they leave."""

    async def whole() -> dict[str, Wire]:
        sockets = Sockets(cast(Reads, tables))
        wires = {name: Wire() for name in ("ana", "ben")}
        served = [asyncio.create_task(sockets.serve(cast(WebSocket, wire), name)) for name, wire in wires.items()]
        await asyncio.sleep(0.02)
        await play(sockets, wires)
        for wire in wires.values():
            wire.gone.set()
        await asyncio.gather(*served)
        assert not sockets.listens("ana")
        return wires

    return asyncio.run(whole())


async def until(true: Callable[[], bool], limit_s: float = 20) -> None:
    async with asyncio.timeout(limit_s):
        while not true():
            await asyncio.sleep(0.005)


def test_an_assignment_waits_for_its_contact_before_this_drivers_next_message_and_no_other_drivers() -> None:
    known = list[bool]()

    async def play(sockets: Sockets, wires: dict[str, Wire]) -> None:
        tell(sockets, an_assignment(), an_offer(), an_end("ben", TWO))
        await until(lambda: bool(wires["ben"].told()))
        assert wires["ana"].told() == []
        known.append(True)
        await until(lambda: len(wires["ana"].told()) == 2)

    wires = played(Tables(CLARA, after=lambda: bool(known)), play)
    assigned, offered = wires["ana"].told()
    assert (assigned["type"], offered["type"]) == ("DELIVERY_ASSIGNED", "DELIVERY_OFFERED_V2")
    assert assigned["contact"] == {"name": "Clara Q.", "phone": "1", "address": "Basler Str. 1", "note": ""}
    assert assigned["dropoff"] == {"lat": 48.012345, "lng": 7.86}


@pytest.mark.parametrize(("as_of_ms", "told"), [(None, 1), (AT_MS - 1, 1), (AT_MS, 1), (AT_MS + 1, 0)])
def test_who_comes_back_is_not_told_of_an_assignment_whose_end_only_the_tables_know(
    as_of_ms: int | None, told: int
) -> None:
    again = Wire(device="another")

    async def play(sockets: Sockets, wires: dict[str, Wire]) -> None:
        tell(sockets, an_assignment())
        await until(lambda: len(wires["ana"].told()) == 1)
        serving = asyncio.create_task(sockets.serve(cast(WebSocket, again), "ana"))
        await until(lambda: any(message["type"] == "READY" for message in again.heard))
        again.gone.set()
        await serving

    played(Tables(CLARA, as_of_ms=as_of_ms), play)
    assert [message["contact"]["name"] for message in again.told()] == ["Clara Q."] * told


def test_an_assignment_that_has_ended_waits_for_no_contact_and_lets_the_next_offer_through() -> None:
    async def play(sockets: Sockets, wires: dict[str, Wire]) -> None:
        tell(sockets, an_assignment(), an_end(), an_offer())
        await until(lambda: len(wires["ana"].told()) == 3)  # long before the contact

    assigned, ended, offered = played(Tables(CLARA, after=lambda: False), play)["ana"].told()
    assert [assigned["type"], ended["type"]] == ["DELIVERY_ASSIGNED", "ASSIGNMENT_ENDED"]
    assert offered["type"] == "DELIVERY_OFFERED_V2"
    assert assigned["contact"] is None
    assert assigned["dropoff"] == {"lat": 48.012, "lng": 7.86}


def test_a_messages_id_goes_on_in_topics_that_have_nothing_for_the_driver() -> None:
    async def play(sockets: Sockets, wires: dict[str, Wire]) -> None:
        sockets.take([], {(1, 0): 7_000, (2, 0): 900})
        tell(sockets, an_end())
        await until(lambda: bool(wires["ana"].told()))

    (ended,) = played(Tables(None), play)["ana"].told()
    assert ended["id"] == "1-0-0-7000-900"


def test_without_its_contact_an_assignment_is_told_all_the_same_and_says_so() -> None:
    async def play(sockets: Sockets, wires: dict[str, Wire]) -> None:
        tell(sockets, an_assignment())
        await until(lambda: bool(wires["ana"].told()))

    (assigned,) = played(Tables(None), play)["ana"].told()
    assert assigned["contact"] is None
    assert assigned["dropoff"] == {"lat": 48.012, "lng": 7.86}


def test_an_offer_carries_no_contact() -> None:
    async def play(sockets: Sockets, wires: dict[str, Wire]) -> None:
        tell(sockets, an_offer())
        await until(lambda: bool(wires["ana"].told()))

    (offered,) = played(Tables(CLARA), play)["ana"].told()
    assert offered["type"] == "DELIVERY_OFFERED_V2"
    assert offered["dropoff"] == {"lat": 48.012, "lng": 7.86}
    assert "contact" not in offered
    assert "Clara" not in json.dumps(offered)


def test_a_contact_without_a_place_leaves_the_rounded_one() -> None:
    message = handed_over({"dropoff": {"lat": 1, "lng": 2}}, CLARA | {"lat": None, "lng": None})
    assert message["dropoff"] == {"lat": 1, "lng": 2}
    assert message["contact"]["name"] == "Clara Q."


def test_a_fault_on_the_way_to_the_driver_ends_the_connection_and_is_not_passed_over() -> None:
    async def play(sockets: Sockets, _wires: dict[str, Wire]) -> None:
        tell(sockets, an_assignment())
        await asyncio.sleep(0.05)

    class Broken(Tables):
        async def contact(self, _delivery_id: str) -> Any:
            raise RuntimeError("of ours")

    with pytest.raises(RuntimeError, match="of ours"):
        played(Broken(), play)


class Slow(Reads):
    """Reads whose contact is there at the third look, or whose Postgres is away or frozen."""

    def __init__(self, answers: list[Any], frozen: bool = False) -> None:
        super().__init__("host=127.0.0.1 port=1")
        self.answers, self.frozen = answers, frozen

    async def _answer(self, _query: Any, _limit_s: float, *_arguments: Any) -> Any:
        if self.frozen:
            while True:
                try:
                    await asyncio.sleep(2)
                    return None
                except asyncio.CancelledError:  # as psycopg does: it waits for a server that does not answer
                    await asyncio.sleep(2)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Problem):
            raise answer
        return {} if answer is None else {ONE: answer}


def test_the_contact_is_asked_for_until_the_projector_has_written_it() -> None:
    assert asyncio.run(Slow([None, None, CLARA]).contact(ONE)) == CLARA


@pytest.mark.parametrize(
    ("reads", "least_s", "most_s"),
    [
        (Slow([]), 0.9, 20), (Slow([None, unreachable("Postgres")]), 0, 0.9),
    ],
    ids=["not there", "away"],
)  # fmt: skip
def test_a_contact_is_waited_for_a_second_at_most(reads: Reads, least_s: float, most_s: float) -> None:
    began = time.monotonic()
    assert asyncio.run(reads.contact(ONE)) is None
    assert least_s <= time.monotonic() - began <= most_s


def test_a_postgres_that_is_frozen_is_given_up() -> None:
    async def whole() -> float:
        reads, began = Slow([], frozen=True), time.monotonic()
        assert await reads.contact(ONE) is None
        assert await reads.state() == "Postgres does not answer; try again."
        return time.monotonic() - began

    assert asyncio.run(whole()) < 20


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (codec.encode(an_end()), True),
        ((codec.schema_id(DriverReservationReleased)).to_bytes(5, "big"), False),
        (codec.encode(a_notice("zone_request")), True),
        (codec.encode(a_notice("break_ending")), False),
    ],
    ids=["of the offers", "not for drivers", "asked to come", "told elsewhere"],
)
def test_only_what_drivers_are_told_is_kept(value: bytes, told: bool) -> None:
    assert for_drivers(value) is told


@pytest.mark.parametrize("value", [b"{}", b"\x00\x00\x00\xff\xff", b""], ids=["poison", "unknown schema", "nothing"])
def test_what_is_no_record_is_told_of(value: bytes) -> None:
    with pytest.raises(ContractError):
        for_drivers(value)
