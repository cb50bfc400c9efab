"""Doors to the zones: the map, which zone a place lies in, importing a map, asking drivers to come; and the bonuses."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from dispatch.contract.records.system import IncentivePublished
from dispatch.core.zone_files import read as read_zones
from dispatch.core.zone_files import write as write_zones
from dispatch.inputs.zone_store import board_now, checked_note, end_incentive, import_zones, listed, set_incentive
from dispatch.inputs.zone_store import incentive as new_incentive
from dispatch.inputs.zone_store import request_drivers as ask_drivers
from dispatch.inputs.zones import ZoneBoard
from dispatch.log.errors import Misconfigured
from gateways.access import principal
from gateways.commands import json, now_ms
from gateways.commerce.bodies import IncentiveBody, RequestDriversBody
from gateways.commerce.desk import Desk, refused
from gateways.models import Id
from gateways.problems import Problem
from gateways.rules import RulesInForce

Reason = Annotated[str, Query(min_length=1, max_length=200, description="Why; kept with the change.")]
_GEO_JSON = "application/geo+json"


class Map:
    """The zones as GeoJSON, written once a version."""

    def __init__(self, board: Callable[[], ZoneBoard]) -> None:
        self._board = board
        self._written: tuple[object, bytes] = (None, b"")

    @property
    def now(self) -> tuple[int, bytes] | None:
        """Version and text; None: not written yet. Raises Problem."""
        table, (of, text) = self._board().table, self._written
        return (table.version, text) if of is table else None

    def write(self) -> tuple[int, bytes]:
        """Version and text. A large map takes a while."""
        table = self._board().table
        text = write_zones(list(table.zones.values()))
        self._written = (table, text)
        return table.version, text


class ZoneDesk:
    """The zones of one namespace, changed at the desk."""

    def __init__(self, desk: Desk, brokers: str, namespace: str) -> None:
        self.desk, self.at = desk, (brokers, namespace)

    async def change(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """A change by one of `zone_store`'s functions."""
        return await self.desk.change(lambda: work(*self.at, *arguments, **named))

    async def board(self) -> ZoneBoard:
        """As the topics have it now: who wrote a moment ago sees it."""
        return await self.desk.read(board_now, *self.at)


def routes(zones: ZoneDesk, board: Callable[[], ZoneBoard], rules: RulesInForce) -> APIRouter:
    """The router. `board` gives the zones as followed, or raises Problem."""
    router = APIRouter(tags=["rules"])
    _reading(router, zones, board)
    _map(router, zones, rules)
    _incentives(router, zones)
    return router


def _reading(router: APIRouter, zones: ZoneDesk, board: Callable[[], ZoneBoard]) -> None:
    written = Map(board)

    @router.get("/v2/zones")
    async def the_map() -> Response:
        """The zones in force, as a GeoJSON FeatureCollection that `PUT /v2/admin/zones` takes."""
        now = written.now
        version, text = now if now is not None else await zones.desk.read(written.write)
        return Response(text, headers={"etag": f'"{version}"'}, media_type=_GEO_JSON)

    @router.get("/v2/zones/at")
    async def at(
        lat: Annotated[float, Query(ge=-90, le=90)], lng: Annotated[float, Query(ge=-180, le=180)]
    ) -> Response:
        """Which zone a place lies in: `none` outside every zone."""
        if math.isnan(lat) or math.isnan(lng):
            raise Problem(422, "invalid", "lat and lng are wanted in degrees.")
        table = board().table
        zone = table.zones.get(table.at(lat, lng))
        found = {"zone": zone.zone_id, "name": zone.name, "priority": zone.priority} if zone else {"zone": "none"}
        return json(found | {"version": table.version})


def _map(router: APIRouter, zones: ZoneDesk, rules: RulesInForce) -> None:
    @router.put("/v2/admin/zones")
    async def import_(request: Request, reason: Reason, empty: bool = False) -> Response:
        """Makes the zones of a FeatureCollection the zones in force; others are removed. All or nothing."""
        made = await zones.desk.read(read_zones, await request.body())
        if not made and not empty:
            raise Problem(422, "zones_refused", "The collection holds no zone; with ?empty=true all zones are removed.")
        actor = principal.of(request).subject
        published = await zones.change(import_zones, made, actor, _noted(reason))
        return json({"version": published.version, "zones": len(made)}, headers={"etag": f'"{published.version}"'})

    @router.post("/v2/admin/zones/{zone}/request-drivers", status_code=202)
    async def request_drivers(zone: Id, body: RequestDriversBody, request: Request) -> Response:
        """Asks available drivers near by to come; once in a while only (policy `zones.request_every_s`)."""
        if not rules.known:
            raise Problem(503, "unavailable", "The policy was not read yet; try again.")
        asked = await zones.change(
            _asked, zone, body.note, principal.of(request).subject, rules.rules.policy.zones.request_every_s
        )
        return json({"request_id": asked.request_id, "zone": asked.zone, "at": _time(asked.at_ms)}, 202)


def _incentives(router: APIRouter, zones: ZoneDesk) -> None:
    @router.get("/v2/admin/incentives")
    async def incentives(over: Annotated[bool, Query(description="Those that are over, too.")] = False) -> Response:
        """The bonuses that run or are to come."""
        now = now_ms()
        found = listed(await zones.board())
        return json({"incentives": [_told(one, now) for one in found if over or one.ends_at_ms > now]})

    @router.post("/v2/admin/incentives", status_code=201)
    async def set_(body: IncentiveBody, request: Request) -> Response:
        """Pays a bonus for each delivery picked up in a zone. An id that is there already is replaced."""
        starts = body.starts_at
        starts = starts.replace(tzinfo=UTC) if starts is not None and starts.tzinfo is None else starts
        made = await zones.desk.read(
            lambda: new_incentive(
                body.zone, bonus_minor=body.bonus_minor, currency=body.currency, hours=body.hours,
                starts_ms=round(starts.timestamp() * 1000) if starts else None, name=body.incentive_id,
                note=body.reason, actor_id=principal.of(request).subject,
            )
        )  # fmt: skip
        await zones.change(set_incentive, made)
        return json(_told(made, now_ms()), 201)

    @router.delete("/v2/admin/incentives/{incentive_id}")
    async def end(incentive_id: Id, request: Request, reason: Reason) -> Response:
        """Ends a bonus now; what it was paid for stays paid."""
        ended = await zones.change(end_incentive, incentive_id, principal.of(request).subject, _noted(reason))
        return json(_told(ended, now_ms()))


def _asked(brokers: str, namespace: str, zone: str, note: str, actor_id: str, every_s: float) -> Any:
    note = checked_note(note)
    return ask_drivers(brokers, namespace, zone, note=note, actor_id=actor_id, every_s=every_s)


def _noted(reason: str) -> str:
    try:
        return checked_note(reason)
    except Misconfigured as error:
        raise refused(error) from error


def _told(one: IncentivePublished, now: int) -> dict[str, Any]:
    state = "over" if one.ends_at_ms <= now else "runs" if one.starts_at_ms <= now else "to_come"
    return {
        "incentive_id": one.incentive_id, "zone": one.zone, "bonus_minor": one.bonus_minor, "currency": one.currency,
        "starts_at": _time(one.starts_at_ms), "ends_at": _time(one.ends_at_ms), "state": state,
        "at": _time(one.at_ms), "actor_id": one.actor_id, "note": one.note,
    }  # fmt: skip


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
