"""Where drivers are, and that they are there: pings and heartbeats, by HTTP and by socket. Taken, not decided."""

from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import APIRouter, Response
from pydantic import ValidationError

from dispatch.contract import topics
from dispatch.contract.errors import OutOfLimits
from dispatch.contract.limits import check
from dispatch.contract.records.system import DriverHeartbeat, DriverLocation
from dispatch.core.presence import Place, refused
from dispatch.inputs.rules import Rules
from dispatch.log import logs
from dispatch.metrics.gateway import PINGS_REFUSED
from gateways.commands import json, now_ms
from gateways.log_client import LogClient
from gateways.models import Id, LocationBody, Pings
from gateways.problems import Problem

AT_ONCE = 500
LARGEST_MESSAGE = 4_096
logger = logs.get("gateways.locations")
_Refusal = dict[str, Any]


class Locations:
    """Puts pings and heartbeats into the log, unless they cannot be right."""

    def __init__(self, log: LogClient, rules: Rules) -> None:
        self._log, self._rules = log, rules

    def take(self, driver_id: str, pings: Sequence[LocationBody]) -> list[_Refusal]:
        """Takes what may be right; gives number, code and reason of each that is refused."""
        found: list[_Refusal] = []
        for number, ping in enumerate(pings):
            moment_ms = now_ms()
            at_ms = round(ping.at.timestamp() * 1000) if ping.at else moment_ms
            place = Place(ping.lat, ping.lng, at_ms, ping.accuracy_m)
            if wrong := refused(place, moment_ms, self._rules.policy.presence):
                code, reason = wrong
                PINGS_REFUSED.labels(code).inc()
                found.append({"ping": number, "code": code, "reason": reason})
                continue
            record = DriverLocation(
                driver_id=driver_id, lat=ping.lat, lng=ping.lng, accuracy_m=ping.accuracy_m, at_ms=at_ms
            )
            check(record)
            self._log.send(topics.DRIVER_LOCATIONS, driver_id, record)
        return found

    def beat(self, driver_id: str) -> None:
        """A sign of life."""
        record = DriverHeartbeat(driver_id=driver_id, at_ms=now_ms())
        check(record)
        self._log.send(topics.DRIVER_LOCATIONS, driver_id, record)

    def greet(self, driver_id: str) -> None:
        """A sign of life of an open socket; when Kafka takes nothing, the next one is soon."""
        try:
            self.beat(driver_id)
        except Problem as problem:
            logger.warning("kafka_error", reason=problem.detail)

    def hear(self, driver_id: str, text: str) -> dict[str, Any] | None:
        """What a driver says on the socket; gives the answer, None: there is none."""
        said = _read(text)
        kind = said.pop("type", "")
        try:
            if kind == "PING":
                self.beat(driver_id)
                return {"type": "PONG"}
            if kind == "LOCATION":
                ping = LocationBody.model_validate(said)
                wrong = self.take(driver_id, [ping])
                return _no(wrong[0]["code"], f"The ping {wrong[0]['reason']}.") if wrong else None
        except ValidationError as error:
            first = error.errors()[0]
            return _no("invalid", f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"[:300])
        except OutOfLimits as error:
            return _no("out_of_limits", error.reason)
        except Problem as problem:
            return _no(problem.code, problem.detail)
        return _no("not_understood", f"PING or LOCATION is wanted, as JSON of at most {LARGEST_MESSAGE} characters.")


def _read(text: str) -> dict[str, Any]:
    """The message; empty when it is none."""
    try:
        said = orjson.loads(text) if len(text) <= LARGEST_MESSAGE else None
    except orjson.JSONDecodeError:
        said = None
    return said if isinstance(said, dict) else {}


def _no(code: str, detail: str) -> dict[str, Any]:
    return {"type": "REFUSED", "code": code, "detail": detail}


def routes(locations: Locations) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["drivers"])

    async def location(driver_id: Id, body: Pings) -> Response:
        """One ping, or those gathered while the network was away; says which are refused, and why."""
        pings = body if isinstance(body, list) else [body]
        if not 1 <= len(pings) <= AT_ONCE:
            raise Problem(422, "too_many_pings", f"{len(pings)} pings; 1 to {AT_ONCE} are taken at once.")
        wrong = locations.take(driver_id, pings)
        if len(wrong) == len(pings):
            detail = f"The ping {wrong[0]['reason']}."
            raise Problem(422, wrong[0]["code"], detail, errors=wrong) if len(pings) == 1 else Problem(
                422, "pings_refused", f"None of the {len(pings)} pings is taken. The first {wrong[0]['reason']}.",
                errors=wrong,
            )  # fmt: skip
        return json({"taken": len(pings) - len(wrong), **({"refused": wrong} if wrong else {})}, 202)

    async def heartbeat(driver_id: Id) -> Response:
        """The driver is there, wherever."""
        locations.beat(driver_id)
        return json({"outcome": "taken"}, 202)

    for version, prefix, methods in (("v2", "/v2", ("PUT", "PATCH")), ("v1", "", ("POST", "PUT"))):
        path = f"{prefix}/drivers/{{driver_id}}"
        for method in methods:
            name = f"{version}_location_{method.lower()}"
            router.add_api_route(f"{path}/location", location, methods=[method], status_code=202, operation_id=name)
        router.add_api_route(
            f"{path}/heartbeat", heartbeat, methods=["POST"], status_code=202, operation_id=f"{version}_heartbeat"
        )
    return router
