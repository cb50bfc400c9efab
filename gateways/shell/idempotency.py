"""Idempotency-Key: the same key with the same payload has the same answer for a day; with another payload, 422.

A repeat is answered before anybody is asked anything. Where Postgres is away it reaches the aggregate, whose command id
follows from the key: it decides nothing twice, though the words of the answer may differ by then.
"""

import asyncio
import hashlib
import os
import time
from dataclasses import dataclass, replace
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dispatch.metrics import gateway as metrics
from gateways.access.principal import Principal
from gateways.problems import Problem
from gateways.shell.answers import Answer, Answers, Held, StoreAway, digest
from gateways.shell.heads import one

KEY_MAX = 255
WAIT_S = 2.0
"""How long the second of two at once waits for the first one's answer."""
_AGAIN_S = 0.05
_BODY_MAX = 262_144
_METHODS = ("POST", "PUT", "PATCH", "DELETE")
_KEPT = frozenset((200, 201, 204, 404, 409, 410))
"""Decided: it will not be answered otherwise."""
_UNDECIDED = (400, 401, 403, 405, 408, 411, 413, 414, 415, 422, 429, 431)
"""Nothing happened: the same key may come with what is right."""
_NONCE = 12
_HEADERS = (b"content-type", b"location")


class Idempotent:
    """The middleware behind the sign-in: keys belong to who asks."""

    def __init__(self, app: ASGIApp, answers: Answers) -> None:
        self._app, self._answers = app, answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request; without a key it passes."""
        key = one(scope["headers"], b"idempotency-key") if scope["type"] == "http" else ""
        named = scope["type"] == "http" and any(name == b"idempotency-key" for name, _ in scope["headers"])
        if not named or scope["method"] not in _METHODS or scope["state"].get("door") is None:
            await self._app(scope, receive, send)
            return
        if not (1 <= len(key) <= KEY_MAX and key.isascii() and key.isprintable()):
            raise Problem(422, "bad_idempotency_key", f"An Idempotency-Key has 1 to {KEY_MAX} characters of ASCII.")
        principal: Principal | None = scope["state"].get("principal")
        who = (principal.role, principal.subject, principal.delivery_id) if principal is not None else ()
        words = (*who, scope["method"], scope["path"], key)
        place = _Place(digest(*words), os.urandom(8), AESGCM(digest("seal", *words)))
        payload = hashlib.sha256(scope["query_string"] + b"\x00" + scope["state"].get("body", b"")).digest()
        try:
            known = await self._claimed(place, payload)
        except StoreAway:
            metrics.UNKEPT.inc()
            await self._app(scope, receive, send)
            return
        if known is not None:
            metrics.REPLAYED.inc()
            await _give(place.opened(known), send)
            return
        await self._answer(scope, receive, send, place)

    async def _claimed(self, place: "_Place", payload: bytes) -> Answer | None:
        """None: ours to answer. Raises Problem: another payload, or one at work that takes too long."""
        until = time.monotonic() + WAIT_S
        while (held := await self._answers.claim(place.key, payload, place.claim)) is not None:
            if (answer := _told(held)) is not None:
                return answer
            if time.monotonic() >= until:
                problem = Problem(409, "in_progress", "A request with this Idempotency-Key is being worked on.")
                problem.headers = {"retry-after": "1"}
                raise problem
            await asyncio.sleep(_AGAIN_S)
        return None

    async def _answer(self, scope: Scope, receive: Receive, send: Send, place: "_Place") -> None:
        """Runs the request, and keeps its answer before the client has it."""
        messages: list[Message] = []
        settled = False

        async def sent(message: Message) -> None:
            messages.append(message)

        try:
            try:
                await self._app(scope, receive, sent)
            except Problem as problem:
                settled = True
                await self._settle(place, problem.status, None)
                raise
            answer = _whole(messages)
            settled = True
            await self._settle(place, answer.status, answer if len(answer.body) <= _BODY_MAX else None)
        finally:
            if not settled:
                await self._settle(place, 500, None)
        for message in messages:
            await send(message)

    async def _settle(self, place: "_Place", status: int, answer: Answer | None) -> None:
        try:
            if status in _UNDECIDED:
                await self._answers.forget(place.key, place.claim)
            elif answer is not None and status in _KEPT:
                await self._answers.keep(place.key, place.claim, place.sealed(answer))
            else:
                await self._answers.release(place.key, place.claim)
        except StoreAway:
            metrics.UNKEPT.inc()


@dataclass(frozen=True, slots=True)
class _Place:
    """A row, and the seal of what is in it: who does not know the client's key cannot read its answer."""

    key: bytes
    claim: bytes
    seal: AESGCM

    def sealed(self, answer: Answer) -> Answer:
        nonce = os.urandom(_NONCE)
        return replace(answer, body=nonce + self.seal.encrypt(nonce, answer.body, self.key))

    def opened(self, answer: Answer) -> Answer:
        return replace(answer, body=self.seal.decrypt(answer.body[:_NONCE], answer.body[_NONCE:], self.key))


def _told(held: Held) -> Answer | None:
    if not held.same_payload:
        raise Problem(422, "idempotency_key_reused", "This Idempotency-Key came with another payload before.")
    return held.answer


def _whole(messages: list[Message]) -> Answer:
    head: dict[str, Any] = next(dict(one) for one in messages if one["type"] == "http.response.start")
    headers = tuple((name.decode(), value.decode("latin-1")) for name, value in head["headers"] if name in _HEADERS)
    body = b"".join(one.get("body", b"") for one in messages if one["type"] == "http.response.body")
    return Answer(head["status"], headers, body)


async def _give(answer: Answer, send: Send) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
    headers += [(b"content-length", str(len(answer.body)).encode()), (b"idempotency-replayed", b"true")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
