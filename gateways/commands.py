"""From a request to a decided command: the header, the wait, and how the outcome is told."""

import hashlib
import time
import uuid
from typing import Any

import msgspec
import orjson
import redis.asyncio as redis
from fastapi import Request, Response

from dispatch.contract import identity, topics
from dispatch.contract.limits import check
from dispatch.contract.records.shared import ActorType
from dispatch.contract.records.system import Reply
from dispatch.contract.topics import Topic
from dispatch.log import logs
from gateways.access import principal
from gateways.log_client import LogClient
from gateways.problems import Problem, refused

_DAY_S = 86_400
logger = logs.get("gateways.commands")


def json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(body), status, headers, media_type="application/json")


def now_ms() -> int:
    """UTC milliseconds."""
    return time.time_ns() // 1_000_000


class Commander:
    """Sends commands for requests and words their outcome."""

    def __init__(self, log: LogClient, keys: "redis.Redis | None", namespace: str, timeout_s: float) -> None:
        self.log = log
        self._keys, self._namespace, self._timeout_s = keys, namespace, timeout_s

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
            if not 1 <= len(key) <= 255:
                raise Problem(422, "bad_idempotency_key", "An Idempotency-Key has 1 to 255 characters.")
            command_id = identity.command_id(f"{request.method} {request.url.path} {actor_id}", f"key {key}")
            await self._same_payload(command_id, await request.body())
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

    async def _same_payload(self, command_id: str, body: bytes) -> None:
        """Without the store the check is left out: the decision itself is remembered by the aggregate."""
        if self._keys is None:
            return
        digest = hashlib.sha256(body).hexdigest()
        name = f"{self._namespace}idempotency:{command_id}"
        try:
            fresh = await self._keys.set(name, digest, nx=True, ex=_DAY_S)
            known = digest if fresh else await self._keys.get(name)
        except redis.RedisError as error:
            logger.warning("index_unreachable", reason=str(error))
            return
        if known not in (digest, digest.encode(), None):
            raise Problem(422, "idempotency_key_reused", "This Idempotency-Key came with another payload before.")


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
    for name in ("delivery_id", "driver_id", "offer_id"):
        if value := getattr(command, name, None) or getattr(reply, name, None):
            body[name] = value
    return body


def pending(command: msgspec.Struct, where: str) -> Response:
    """Not decided in time: accepted, with where to ask."""
    body = {"command_id": getattr(command, "command_id", ""), "outcome": "pending", "ask": where}
    return json(body, 202, {"location": where})


DELIVERIES = topics.DELIVERY_COMMANDS
DRIVERS = topics.DRIVER_COMMANDS
