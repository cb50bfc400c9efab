"""Who is connected here, what they are told, and until when: the drivers' sockets of one gateway."""

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import WebSocket

from dispatch.contract import codec
from dispatch.contract.errors import ContractError
from dispatch.contract.instants import iso
from dispatch.contract.records.offers import AssignmentEnded, DeliveryAssigned, OfferCreated
from dispatch.log import logs
from dispatch.metrics.gateway import SOCKETS_BEGUN
from gateways.access.principal import Principal
from gateways.locations import Locations
from gateways.problems import Problem
from gateways.reads import Reads, handed_over
from gateways.sockets.beginning import State, after_what_was_told, present
from gateways.sockets.connection import QUEUE, REPLACED, RESTARTING, TOO_SLOW, UNAUTHORIZED, Connection
from gateways.sockets.feed import Ends, Feed
from gateways.sockets.handing import Handing
from gateways.sockets.positions import Position, position
from gateways.sockets.recent import Heard, Kept, Recent
from gateways.sockets.sessions import Session, Sessions, superseded
from gateways.sockets.words import Message, worded

ALIVE_EVERY_S = 20.0
"""An open socket is a sign of life, and writes itself into the registry, so often."""
WARNED_MS = 60_000
"""So long before its token ends an app is told."""
CATCH_UP_S = 10.0
TRY_LATER = 1013
_BEHIND_S = 2.0
_TURN_S = 1.0
_OFFERS_KNOWN = 20_000
_OBSERVED = "observer:"
logger = logs.get("gateways.sockets.hub")
Renew = Callable[[str], Awaitable[Principal]]


@dataclass(frozen=True, slots=True)
class Terms:
    """What a gateway is told about its sockets."""

    kafka: str = ""
    namespace: str = ""
    valkey: str = ""
    slot: int = 0
    devices: int = 1
    """Of one driver, connected at once."""
    recent: int = 100_000
    """Messages kept for those who come back."""


class Sockets:
    """Who listens here. Messages of drivers connected elsewhere are kept for when they come."""

    def __init__(self, reads: Reads, terms: Terms = Terms(), renew: Renew | None = None) -> None:
        self._reads, self._terms, self.renew = reads, terms, renew
        self._locations: Locations | None = None
        self._open: dict[str, list[Connection]] = {}
        self._offers: OrderedDict[str, str] = OrderedDict()
        self._recent = Recent(terms.recent)
        self._handing = Handing(lambda delivery_id: self._reads.contact(delivery_id))
        self.sessions = Sessions(terms.valkey, terms.namespace, terms.slot, terms.devices, self._end)
        self._feed = Feed(
            terms.kafka, terms.namespace, listens=self.listens, begin=self._recent.begin, take=self.take
        ) if terms.kafka else None  # fmt: skip
        self._going = False
        self._beating: asyncio.Task[None] | None = None

    def heard_by(self, locations: Locations) -> None:
        """Who takes what drivers say."""
        self._locations = locations

    def start(self) -> None:
        """Begins to read the log, and to beat. On the event loop."""
        if self._feed is not None:
            self._feed.start()
        self.sessions.start()
        self._beating = asyncio.create_task(self._beat())

    def go(self) -> None:
        """This gateway is about to end: everybody is told to go to another, and nobody new is taken."""
        self._going = True
        for connection in [one for every in self._open.values() for one in every]:
            connection.close(RESTARTING, "the gateway restarts; come again, with since")

    async def stop(self) -> None:
        """Ends both."""
        if self._feed is not None:
            await asyncio.to_thread(self._feed.stop)
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        await self.sessions.stop()

    def parts(self) -> dict[str, str]:
        """For /ready."""
        return {"offers": self._feed.state} if self._feed is not None else {}

    def delivery_of(self, offer_id: str) -> str | None:
        """Which delivery a recent offer is about."""
        return self._offers.get(offer_id)

    def listens(self, driver_id: str) -> bool:
        """Whether the driver is connected here. From any thread."""
        return driver_id in self._open

    def take(self, heard: list[Heard], ends: Ends) -> None:
        """What was read from the log, and how far; runs on the event loop."""
        for one in heard:
            self._recent.add(one)
            if isinstance(one.record, OfferCreated):
                self._offers[one.record.offer_id] = one.record.delivery_id
                if len(self._offers) > _OFFERS_KNOWN:
                    self._offers.popitem(last=False)
            if connections := self._open.get(one.driver_id):
                record = one.record if one.record is not None else _decoded(Kept(one.topic, one.offset, one.value))
                if record is not None:
                    self.tell(connections, one.topic, one.offset, record)
        self._recent.reached(ends)

    def tell(self, connections: list[Connection], topic: int, offset: int, record: Any) -> None:
        """One record to a driver's connections."""
        for connection in list(connections):
            if connection.later is None:
                connection.position = connection.position.reached(self._recent.heard(connection.position.partition))
                self._pass_on(connection, topic, offset, record)
            elif len(connection.later) < QUEUE:
                connection.later.append((topic, offset, record))
            else:
                connection.close(TOO_SLOW, "too slow a reader")

    def _pass_on(self, connection: Connection, topic: int, offset: int, record: Any, *, over: bool = False) -> None:
        """Unless it was told: the message, with its id. `over`: the assignment has ended, so without its contact."""
        if offset <= connection.position.told[topic] or not after_what_was_told(record, connection.told):
            return
        message = worded(record)
        if message is None:
            return
        connection.position = connection.position.after(topic, offset)
        message["id"] = str(connection.position)
        if isinstance(record, AssignmentEnded):
            self._handing.ended(record.offer_id)
        if isinstance(record, DeliveryAssigned):
            connection.tell(handed_over(message, None) if over else self._handing.telling(record, message))
        else:
            connection.tell(message)

    async def serve(self, socket: WebSocket, driver_id: str, who: Principal | None = None) -> None:
        """One connection, until either side ends it."""
        offered = socket.scope.get("subprotocols", ()) if hasattr(socket, "scope") else ()
        await socket.accept("bearer" if "bearer" in offered else None)
        query = socket.query_params if hasattr(socket, "query_params") else {}
        if self._going or not await self._caught_up():
            await socket.close(TRY_LATER, "the gateway restarts" if self._going else "the log cannot be read yet")
            return
        device = (who.device if who else "") or query.get("device", "")[:128]
        if who is not None and who.signed_in and who.role != "driver":
            device = _OBSERVED + who.subject
        connection = Connection(socket, driver_id, device, uuid.uuid4().hex, self._recent.present(driver_id))
        if who is not None:
            connection.signed_in, connection.expires_at_ms = (who.role, who.subject), who.expires_at_ms
        self._open.setdefault(driver_id, []).append(connection)
        beginning = asyncio.create_task(self._begin(connection, query.get("since", "")))
        beginning.add_done_callback(connection.failed)
        code: int | None = None
        try:
            code = await self._listen(socket, connection)
        except asyncio.CancelledError:
            if not connection.over:
                raise
            if (task := asyncio.current_task()) is not None:
                task.uncancel()
            if connection.fault is not None:
                raise connection.fault from None
        finally:
            beginning.cancel()
            connection.ended(code)
            connection.leave()
            self._open[driver_id].remove(connection)
            if not self._open[driver_id]:
                del self._open[driver_id]
        await self.sessions.leave(driver_id, connection.connection_id, device, connection.acked)

    async def _caught_up(self) -> bool:
        """A gateway that has just started reads what was told lately first. Without Kafka it does not wait for ever."""
        if self._feed is None or self._feed.caught_up.is_set():
            return True
        try:
            return await asyncio.wait_for(self._feed.caught_up.wait(), CATCH_UP_S)
        except TimeoutError:
            return False

    async def _begin(self, connection: Connection, since: str) -> None:
        """What was missed, or else the present state; then what came meanwhile, and so on."""
        await self._claim(connection)
        if since == "acked":
            since = await self.sessions.acked(connection.driver_id, connection.device)
        missed = await self._missed(connection, since) if since else None
        if missed is not None:
            where, kept = missed
            records = [(one, _decoded(one)) for one in kept]
            ended = {record.offer_id for _, record in records if isinstance(record, AssignmentEnded)}
            connection.position, connection.later = where, None
            for one, record in records:
                over = isinstance(record, DeliveryAssigned) and record.offer_id in ended
                self._pass_on(connection, one.topic, one.offset, record, over=over)
            connection.position = connection.position.reached(self._recent.heard(connection.position.partition))
            SOCKETS_BEGUN.labels("resumed").inc()
            connection.tell(_ready(connection.position, resumed=True))
            return
        if since:
            connection.tell({"type": "RESYNC", "event": "resync", "why": "What came after `since` is not known here."})
        SOCKETS_BEGUN.labels("resync" if since else "new").inc()
        state = await self._present(connection)
        for message in state.messages:
            connection.tell(message)
        connection.told = state.told
        connection.tell(_ready(connection.position, resumed=False, **state.more))
        later, connection.later = connection.later or [], None
        for topic, offset, record in later:
            self._pass_on(connection, topic, offset, record)

    async def _missed(self, connection: Connection, since: str) -> tuple[Position, list[Kept]] | None:
        """Everything after the position, told or not meanwhile; None: that cannot be known."""
        where = position(since)
        if where is None or where.partition != connection.position.partition:
            return None
        end = time.monotonic() + _BEHIND_S
        while self._recent.ahead(where) and time.monotonic() < end:
            await asyncio.sleep(0.02)  # told by another gateway that is a moment ahead
        kept = self._recent.after(connection.driver_id, where)
        return (where, kept) if kept is not None and len(kept) < QUEUE else None

    async def _present(self, connection: Connection) -> State:
        """Offers and assignments as they are. Without the read model what was heard lately has to do."""
        driver_id = connection.driver_id
        lately = [record for one in self._recent.of(driver_id) if (record := _decoded(one)) is not None]
        assigned = [record.delivery_id for record in lately if isinstance(record, DeliveryAssigned)]
        try:
            as_of = await self._reads.as_of(assigned)  # before what is held: a row that is behind does not get ahead
            offers, held, driver = await asyncio.gather(
                self._reads.offers(driver_id, open_only=True), self._reads.assignments(driver_id),
                self._availability(driver_id),
            )  # fmt: skip
        except Problem:
            return present([], [], lately, {"complete": False}, now_ms())
        state = present(offers, held, lately, {"complete": True, **driver}, now_ms(), as_of)
        contacts = await asyncio.gather(*(self._reads.contact(delivery_id) for delivery_id in state.held))
        return state.with_contacts(contacts)

    async def _availability(self, driver_id: str) -> Message:
        try:
            row = await self._reads.driver(driver_id)
        except Problem as problem:
            if problem.status != 404:
                raise
            return {"availability": None}
        return {"availability": row["availability"]}

    async def _listen(self, socket: WebSocket, connection: Connection) -> int:
        """Until the other side is gone; the code of its end. To an answer a reader too slow for offers has no right."""
        while (message := await socket.receive())["type"] != "websocket.disconnect":
            answer = await self._hear(connection, message.get("text") or "")
            if answer is not None and not connection.crowded():
                connection.tell(answer)
        return int(message.get("code") or 1005)

    async def _hear(self, connection: Connection, text: str) -> Message | None:
        if '"ACK"' in text or '"TOKEN"' in text:
            said = _read(text)
            match said.get("type"):
                case "ACK":
                    return self._acknowledged(connection, str(said.get("id", "")))
                case "TOKEN":
                    return await self._renewed(connection, said.get("token"))
        return self._locations.hear(connection.driver_id, text) if self._locations else None

    def _acknowledged(self, connection: Connection, text: str) -> Message | None:
        where = position(text)
        if where is None or where.partition != connection.position.partition:
            return {"type": "REFUSED", "code": "unknown_id", "detail": "ACK wants the id of a message of this driver."}
        connection.acked = str(where)
        return None

    async def _renewed(self, connection: Connection, token: Any) -> Message:
        if self.renew is None or not isinstance(token, str):
            return {"type": "REFUSED", "code": "invalid", "detail": "TOKEN wants a token, on a gateway with sign-in."}
        try:
            who = await self.renew(token)
        except Problem as problem:
            return {"type": "REFUSED", "code": problem.code, "detail": problem.detail}
        if (who.role, who.subject) != connection.signed_in:
            return {"type": "REFUSED", "code": "other_driver", "detail": "The token is somebody else's."}
        connection.expires_at_ms, connection.warned = who.expires_at_ms, False
        ends = iso(who.expires_at_ms) if who.expires_at_ms else None
        return {"type": "TOKEN_TAKEN", "event": "token_taken", "expires_at": ends}

    async def _claim(self, connection: Connection) -> None:
        """It is the device's live connection from now on; the one before ends."""
        connection.opened_at_ms = await self.sessions.opened_ms()
        self._greet(connection)
        if connection.device.startswith(_OBSERVED):
            return
        mine = [one for one in self._open.get(connection.driver_id, []) if not one.device.startswith(_OBSERVED)]
        here = [self._session(one) for one in mine if one.opened_at_ms]
        for connection_id in superseded(here, self._terms.devices):
            self._end(connection.driver_id, connection_id)
        await self.sessions.beat([(connection.driver_id, self._session(connection), connection.acked)])

    def _session(self, connection: Connection) -> Session:
        return Session(connection.connection_id, connection.device, connection.opened_at_ms, now_ms(), self._terms.slot)

    def _end(self, driver_id: str, connection_id: str) -> None:
        for connection in self._open.get(driver_id, []):
            if connection.connection_id == connection_id:
                connection.close(REPLACED, "another connection of this driver took over")

    def _greet(self, connection: Connection) -> None:
        connection.beat_at_s = time.monotonic()
        if self._locations is not None and not connection.device.startswith(_OBSERVED):
            self._locations.greet(connection.driver_id)

    async def _beat(self) -> None:
        """Every second: signs of life of those whose turn it is, and tokens that end."""
        while True:
            await asyncio.sleep(_TURN_S)
            moment_ms, since_s = now_ms(), time.monotonic() - ALIVE_EVERY_S
            due = []
            for connection in [one for every in self._open.values() for one in every]:
                self._watch_token(connection, moment_ms)
                if connection.opened_at_ms and connection.beat_at_s < since_s:
                    self._greet(connection)
                    if not connection.device.startswith(_OBSERVED):
                        due.append((connection.driver_id, self._session(connection), connection.acked))
            await self.sessions.beat(due)

    def _watch_token(self, connection: Connection, moment_ms: int) -> None:
        ends_ms = connection.expires_at_ms
        if ends_ms is None:
            return
        if moment_ms >= ends_ms:
            connection.close(UNAUTHORIZED, "the token has expired")
        elif not connection.warned and moment_ms >= ends_ms - WARNED_MS:
            connection.warned = True
            connection.tell({"type": "TOKEN_EXPIRING", "event": "token_expiring", "expires_at": iso(ends_ms)})


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000


def _ready(where: Position, *, resumed: bool, **more: Any) -> Message:
    return {"type": "READY", "event": "ready", "id": str(where), "resumed": resumed, **more}


def _decoded(kept: Kept) -> Any:
    try:
        return codec.decode(kept.value)
    except ContractError as wrong:
        logger.error("poison", topic=str(kept.topic), partition=-1, offset=kept.offset, reason=str(wrong))
        return None


def _read(text: str) -> Message:
    """The message; empty when it is none."""
    try:
        said = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return said if isinstance(said, dict) else {}
