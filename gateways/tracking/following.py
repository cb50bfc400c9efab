"""The stream of one delivery: what happened after the reader's last message, then what happens, until it ends.

Ids follow from the log: `12` is all of the event of version 12, `12.1` the first of its messages. Versions have no
gap, so a live event that does not follow tells of others that are fetched from the read model first: nothing is lost,
nothing comes twice, and every gateway can go on from an id. Places carry no id, for only the last one counts.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from gateways.problems import Problem
from gateways.reads import Reads
from gateways.tracking import words
from gateways.tracking.feed import Feed
from gateways.tracking.streams import HEARTBEAT, Waiting, closed, message
from projections import queries_tracking as queries

PUSH_S = 9.0
"""At least so often something is pushed; 10 s are promised."""
FIRST_PUSH_S = 2.0
"""The first one tells of a place that changed while the stream began."""
PLACE_S = 1.0
"""No more than a place in so long a time."""
_ALL = 1_000_000
_AT_ONCE = 500
_BEHIND_S, _AGAIN_S = 3.0, 0.1
"""How long the read model may be behind the log, and how often it is asked."""
_ID = re.compile(r"(\d{1,15})(?:\.(\d{1,3}))?")
Row = dict[str, Any]


def position(text: str) -> tuple[int, int] | None:
    """Version and message that an id names; None for what is no id."""
    found = _ID.fullmatch(text)
    return (int(found[1]), int(found[2]) if found[2] else _ALL) if found else None


class Following:
    """One reader's way through one delivery. `still`: whether the reader may go on."""

    def __init__(
        self, reads: Reads, feed: Feed, delivery_id: str, still: Callable[[], Awaitable[str]], url: str | None
    ) -> None:
        self._reads, self._feed, self._delivery_id, self._still, self._url = reads, feed, delivery_id, still, url
        self.waiting = Waiting()
        self._told = (0, 0)
        self._holder = ""
        self._over = False
        self._place: Row | None = None

    async def messages(self, last: tuple[int, int] | None) -> AsyncIterator[bytes]:
        """All of it, in wire format, beginning after `last`."""
        self._feed.follow(self._delivery_id, self.waiting)
        try:
            try:
                begun = await self._begun(last)
            except Problem as problem:
                begun = []
                self.waiting.end(problem.code)
            for chunk in begun:
                yield chunk
            placed_s = time.monotonic()
            pushed_s = placed_s - PUSH_S + FIRST_PUSH_S
            while not (self._over or self.waiting.over):
                due_s = min(pushed_s + PUSH_S, placed_s + PLACE_S if self.waiting.place else pushed_s + PUSH_S)
                chunks = []
                for event in await self.waiting.some(due_s - time.monotonic()):
                    chunks += await self._live(event)
                now_s = time.monotonic()
                if self.waiting.place and now_s >= placed_s + PLACE_S:
                    chunks += self._placed()
                    placed_s = now_s
                elif not chunks and now_s >= pushed_s + PUSH_S:
                    chunks = await self._pushed()
                for chunk in chunks:
                    yield chunk
                    pushed_s = now_s
            yield closed(self.reason())
        finally:
            self._feed.leave(self._delivery_id, self.waiting)
            self._hold("")

    def reason(self) -> str:
        """Why it ended."""
        return self.waiting.over or "delivery_ended"

    async def _begun(self, last: tuple[int, int] | None) -> list[bytes]:
        """What the reader lacks: the events after its last message, or else the delivery as it is."""
        row = await self._row(last[0] if last else 0)
        self._look(row)
        if last is not None and last[0] <= row["version"]:
            self._told = last
            chunks = await self._missed(row["version"])
            self._over = self._over or (row["ended_at"] is not None and self._told >= (row["version"], _ALL))
            return chunks
        self._told = (row["version"], _ALL)
        self._over = row["ended_at"] is not None
        status = words.status(row, datetime.now(UTC), tracking_url=self._url)
        status = words.status(row, datetime.now(UTC), tracking_url=self._url)
        return [message(words.STATUS, status | {"at": status["updated_at"]}, str(row["version"]))]

    async def _row(self, version: int) -> Row:
        """The delivery, of this version at least if the read model gets there in time. Raises Problem."""
        until = time.monotonic() + 1.0
        while True:
            row: Row | None = await self._reads.ask(queries.status, self._delivery_id)
            if row is None:
                raise Problem(404, "unknown_order", "No delivery of this id is known.")
            if row["version"] >= version or time.monotonic() >= until:
                return row
            await asyncio.sleep(_AGAIN_S)

    def _look(self, row: Row) -> None:
        """Who has it and where they are, as the read model knows."""
        self._hold(row["driver_id"] if row["status"] in queries.SHOWN else "")
        known = row if self._holder and row["placed_at"] is not None else None
        if known and (self._place is None or known["placed_at"] > self._place["placed_at"]):
            self._place = known

    def _hold(self, driver_id: str) -> None:
        if driver_id == self._holder:
            return
        if self._holder:
            self._feed.leave_driver(self._holder, self.waiting)
        self._holder, self._place, self.waiting.place = driver_id, None, None
        if driver_id:
            self._feed.follow_driver(driver_id, self.waiting)

    async def _live(self, event: Any) -> list[bytes]:
        """An event from the log, after those that the reader lacks before it."""
        version = event.version
        chunks: list[bytes] = []
        if version > self._told[0] + (self._told[1] == _ALL):
            chunks = await self._missed(version - 1)
        if version <= self._told[0] and self._told[1] == _ALL:
            return chunks
        if self._told[0] < version - 1:
            return chunks  # the read model is far behind; what lacks is asked for again with the next push
        return chunks + await self._said(type(event).__name__, msgspec.to_builtins(event), newest=True)

    async def _missed(self, up_to: int) -> list[bytes]:
        """Messages of the events up to a version that the reader lacks, from the read model."""
        chunks: list[bytes] = []
        until = time.monotonic() + _BEHIND_S
        while self._told < (up_to, _ALL):
            after = self._told[0] - (self._told[1] != _ALL)
            try:
                found = await self._reads.ask(queries.events_after, self._delivery_id, after, _AT_ONCE)
            except Problem:
                break  # the next push asks again
            rows = [row for row in found if row["version"] <= up_to]
            for number, row in enumerate(rows):
                newest = not any(words.status_after(late["event"], late["body"]) for late in rows[number + 1 :])
                chunks += await self._said(row["event"], row["body"], newest=newest)
            if self._told < (up_to, _ALL):
                if time.monotonic() >= until:
                    break
                await asyncio.sleep(_AGAIN_S)
        return chunks

    async def _said(self, event: str, body: Row, *, newest: bool) -> list[bytes]:
        said = words.messages(event, body)
        version, told = body["version"], self._told[1] if self._told[0] == body["version"] else 0
        chunks = []
        for number, (name, data) in enumerate(said, 1):
            if number <= told:
                continue
            if event == "DriverAssigned" and name == words.STATUS and newest:
                data["driver"] = await self._driver(body["driver_id"])
            chunks.append(message(name, data, str(version) if number == len(said) else f"{version}.{number}"))
        self._told = (version, _ALL)
        self._over = self._over or words.ends(event, body)
        if newest:
            self._hold(words.holder_after(event, body, self._holder))
        return chunks

    async def _driver(self, driver_id: str) -> Row | None:
        """The driver in public words; None: not known now."""
        try:
            card: Row | None = await self._reads.ask(queries.driver_card, driver_id)
        except Problem:
            return None
        return words.driver(card) if card else None

    def _placed(self) -> list[bytes]:
        """The driver's place, if somebody has it."""
        place, self.waiting.place = self.waiting.place, None
        if not self._holder or place.driver_id != self._holder:
            return []
        at = datetime.fromtimestamp(place.at_ms / 1000, UTC)
        self._place = {"lat": place.lat, "lng": place.lng, "accuracy_m": place.accuracy_m, "placed_at": at}
        return self._where()

    def _where(self) -> list[bytes]:
        where = words.location(self._place, datetime.now(UTC)) if self._place else None
        if where is None:
            return [HEARTBEAT]
        return [message(words.PLACE, {"delivery_id": self._delivery_id, "location": where})]

    async def _pushed(self) -> list[bytes]:
        """What is said when nothing happened: what was overlooked, or the place as last known, or that we are here."""
        try:
            if reason := await self._still():
                self.waiting.end(reason)
                return []
            row = await self._row(0)
            if row["version"] > self._told[0]:
                return await self._missed(row["version"]) or [HEARTBEAT]
            self._look(row)
        except Problem as problem:
            if problem.status != 503:
                self.waiting.end(problem.code)
                return []
        return self._where() if self._holder else [HEARTBEAT]
