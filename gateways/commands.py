"""From a request to a decided command: the header, the wait, and how the outcome is told."""

import time
import uuid
from typing import Any

import msgspec
import orjson
from fastapi import Request, Response

from dispatch.contract import identity, topics
from dispatch.contract.limits import check
from dispatch.contract.records.shared import ActorType
from dispatch.contract.records.system import Reply
from dispatch.contract.topics import Topic
from gateways.access import principal
from gateways.log_client import LogClient
from gateways.problems import refused


def json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000


class Commander:
    """Sends commands for requests and words their outcome."""

    def __init__(self, log: LogClient, timeout_s: float) -> None:
        self.log, self._timeout_s = log, timeout_s

    async def header(
        self, request: Request, actor_type: ActorType, actor_id: str, correlation_id: str
    ) -> dict[str, Any]:
        """A command's header; who signed in is its actor.

        Its id follows from an Idempotency-Key, if given; a key with another payload: 422.
        """
        who = principal.of(request)
        if who.signed_in:
            actor_type, actor_id = who.actor_type, who.subject
        key = request.headers.get("idempotency-key")
        command_id = str(uuid.uuid4())
        if key is not None:
            command_id = identity.command_id(f"{request.method} {request.scope['path']} {actor_id}", f"key {key}")
        return {
            "command_id": command_id,
            "at_ms": now_ms(),
            "actor_type": actor_type,
            "actor_id": actor_id,
            "correlation_id": correlation_id,
            "reply_to": self.log.slot,
        }

    async def decided(self, topic: Topic, key: str, command: Any, *, where: str) -> Response:
        """Sends it and tells what was decided."""
        return outcome(command, await self.ask(topic, key, command), where)

    async def ask(self, topic: Topic, key: str, command: Any, timeout_s: float | None = None) -> Reply | None:
        """Sends it and waits for its decision; None: not decided in time. Raises Problem for one that is refused."""
        check(command)
        reply = await self.log.ask(topic, key, command, timeout_s or self._timeout_s)
        if reply is not None and reply.outcome == "refused":
            raise refused(reply.reason, reply.detail)
        return reply


def outcome(command: Any, reply: Reply | None, where: str, *, created: bool = False) -> Response:
    """What was decided: 200 (201 for what is new), or 202 with where to ask."""
    if reply is None:
        return pending(command, where)
    return json(told(command, reply), 201 if created and reply.outcome == "accepted" else 200)


def told(command: Any, reply: Reply) -> dict[str, Any]:
    """The outcome, for a person or a program."""
    body = {
        "command_id": reply.command_id,
        "outcome": reply.outcome,
        "status": reply.status,
        "version": reply.version,
    }
    return body | _whose(command, reply)


def pending(command: msgspec.Struct, where: str) -> Response:
    """Not decided in time: accepted, with what it is about and where to ask."""
    body = {"command_id": getattr(command, "command_id", ""), "outcome": "pending", "ask": where}
    return json(body | _whose(command), 202, {"location": where})


def _whose(*told_by: Any) -> dict[str, str]:
    """The ids that the first to name one gives."""
    found = {}
    for name in ("delivery_id", "driver_id", "offer_id"):
        if value := next((value for one in told_by if (value := getattr(one, name, None))), None):
            found[name] = value
    return found


DELIVERIES = topics.DELIVERY_COMMANDS
DRIVERS = topics.DRIVER_COMMANDS
