"""Targets that take what comes over HTTP and sockets: from programs, sellers, issuers, the routing engine."""

import asyncio
import json
import struct
import time
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_args

import httpx
import jwt
import msgspec
import orjson
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from pydantic import ValidationError
from starlette.requests import HTTPConnection

from baton.client import streams
from baton.client.webhooks import NotSigned, verified
from dispatch.contract import codec
from dispatch.contract.errors import OutOfLimits
from dispatch.contract.limits import check
from dispatch.contract.records.inbound import InboundOrderReady
from dispatch.contract.records.system import ApiKeyPublished
from dispatch.core.policy import PresencePolicy
from dispatch.core.presence import Place, Track, judged, refused
from dispatch.core.quotes import Quote
from dispatch.core.travel import distance_m
from dispatch.core.zones import ZoneTable
from dispatch.inputs.api_keys import KnownKeys, hash_of
from dispatch.inputs.candidates.postgres import cell_of
from dispatch.inputs.quotes import QuoteSeal
from dispatch.inputs.rules import Rules
from dispatch.inputs.travel.osrm import Osrm
from dispatch.inputs.travel.port import Asked, RoutingUnavailable
from dispatch.log.errors import Misconfigured
from dispatch.webhooks.targets import TargetRefused
from dispatch.webhooks.targets import read as target_of
from gateways.access.keyring import FixedKeys, Key, keys_in
from gateways.access.principal import Principal
from gateways.access.sign_in import shown_by
from gateways.access.tokens import TokenRefused, Tokens, Wanted
from gateways.documents import registry
from gateways.documents.registry import RegistryError
from gateways.locations import Locations
from gateways.models import OrderBody
from gateways.operations import cursors
from gateways.problems import Problem
from gateways.shell.answers import Answer, Held
from gateways.shell.heads import refused as head_refused
from gateways.shell.idempotency import Idempotent
from gateways.sockets.connection import Connection
from gateways.sockets.hub import Sockets
from gateways.sockets.positions import Position, position
from gateways.tracking import desk, following
from gateways.tracking.links import Links
from projections.audit.keys import public_pem
from projections.queries_paging import Key as OrderKey
from projections.queries_paging import Ordering, Type
from tests.fuzz.target import Target, some

NOW_S = int(time.time())
ED = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
WANTED = Wanted("https://issuer.test", "baton", 86_400)
SECRET = "whsec_" + urlsafe_b64encode(b"s" * 33).decode()
SEAL = QuoteSeal(b"a key of the fuzzer")


@cache
def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.new_event_loop()


def run(coroutine: Any) -> Any:
    """To its end, on one loop for all."""
    return _loop().run_until_complete(coroutine)


def text(data: bytes) -> str:
    """As a query or a message has it."""
    return data.decode("utf-8", "replace")


def header(data: bytes) -> str:
    """As Starlette reads a header."""
    return data.decode("latin-1")


# Signing in


@cache
def _tokens() -> Tokens:
    return Tokens(FixedKeys({"ed": Key("EdDSA", ED.public_key())}), WANTED, now_s=lambda: NOW_S)


def _part(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _token(data: bytes) -> None:
    run(_tokens().verify(header(data)))


def _signed_token(data: bytes) -> None:
    """The claims are the fuzzer's, the signature is the issuer's."""
    said = f"{_part(json.dumps({'alg': 'EdDSA', 'kid': 'ed'}).encode())}.{_part(data)}"
    who: Principal = run(_tokens().verify(f"{said}.{_part(ED.sign(said.encode()))}"))
    assert who.subject


def _claims() -> list[bytes]:
    good = {"iss": WANTED.issuer, "aud": WANTED.audience, "sub": "ana", "iat": NOW_S}
    roles: list[dict[str, Any]] = [
        {"role": "driver", "device": "d1"}, {"roles": ["x", "ops"], "nbf": NOW_S}, {"role": "order_service",
        "sellers": ["s1", "*"]},
    ]  # fmt: skip
    return [json.dumps(good | {"exp": NOW_S + 86_000} | role).encode() for role in roles]


def _signed_tokens() -> list[bytes]:
    return [jwt.encode(json.loads(claims), ED, "EdDSA", {"kid": "ed"}).encode() for claims in _claims()]


def _keys() -> list[bytes]:
    row = json.loads(OKPAlgorithm.to_jwk(ED.public_key())) | {"kid": "ed", "use": "sig"}
    ec = {"kty": "EC", "crv": "P-256", "x": _part(b"x" * 32), "y": _part(b"y" * 32), "kid": "ec"}
    rsa = {"kty": "RSA", "n": _part(b"\xc1" * 256), "e": "AQAB", "alg": "RS256"}
    pem = public_pem(ED.public_key()).encode()
    return [json.dumps({"keys": [row, ec, rsa, {"kty": "oct", "k": "c2Vj"}]}).encode(), pem]


def _credentials(data: bytes) -> None:
    names = (b"authorization", b"x-api-key", b"sec-websocket-protocol")
    lines = data.split(b"\n")
    headers = [(names[number % 3], line) for number, line in enumerate(lines)]
    shown = shown_by(HTTPConnection({"type": "websocket" if len(lines) > 2 else "http", "headers": headers}))
    assert isinstance(shown, str)


def _api_key(data: bytes) -> None:
    known = KnownKeys()
    known.by_id["a" * 12] = some(ApiKeyPublished, "")
    known.by_id["a" * 12] = msgspec.structs.replace(known.by_id["a" * 12], hash=hash_of("s" * 43), revoked_at_ms=0)
    known.find(header(data), NOW_S * 1000)


# What a request carries


def _head(data: bytes) -> None:
    first, *rest = data.split(b"\n")
    path, _, query = first.partition(b"?")
    headers = [tuple(line.partition(b": ")[::2]) for line in rest]
    head_refused({"path": text(path), "raw_path": path, "query_string": query, "headers": headers})


class _Kept:
    """Answers in memory; every key is new."""

    async def claim(self, key: bytes, _payload: bytes, _claim: bytes) -> Held | None:
        assert len(key) == 32
        return None

    async def keep(self, _key: bytes, _claim: bytes, answer: Answer) -> None:
        assert answer.status == 200

    async def release(self, *_: Any) -> None:
        raise AssertionError("the answer was kept")

    forget = release


def _idempotency_key(data: bytes) -> None:
    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def sent(_message: Any) -> None:
        return None

    scope = {"type": "http", "method": "POST", "path": "/v2/orders/ready", "query_string": b"", "state": {"door": 1},
             "headers": [(b"idempotency-key", data)]}  # fmt: skip
    run(Idempotent(app, _Kept())(scope, sent, sent))  # type: ignore[arg-type]


def _order_body(data: bytes) -> None:
    """What the models let through can be written and is judged by the limits, or is refused there."""
    order = InboundOrderReady(**OrderBody.model_validate_json(data).inbound("m", NOW_S * 1000))
    check(order)
    assert codec.decode_checked(codec.encode(order)) == order


def _order_bodies() -> list[bytes]:
    body = {"seller_id": "s1", "seller_order_id": "o1", "pickup": {"name": "Anker", "lat": 48.0, "lng": 7.8},
            "dropoff": {"lat": 48.1, "lng": 7.9, "address": "A 1", "note": "n"}, "order_value_minor": 100,
            "currency": "EUR", "prep_s": 60, "placed_at": "2026-09-21T14:00:00Z",
            "customer": {"name": "Kim", "phone": "+49", "language": "de", "pin": "1234"},
            "requirements": {"vehicle": "car", "size": 2, "age_check": True, "proof": "pin"}}  # fmt: skip
    return [json.dumps(body).encode()]


ORDERING = Ordering(tuple(OrderKey(kind, kind) for kind in get_args(Type)))


def _cursor(data: bytes) -> None:
    cursors.read("q", ORDERING, header(data))


def _summed_cursor(data: bytes) -> None:
    """The keys are the fuzzer's, the sum is right."""
    keys = cursors.read("q", ORDERING, _part(cursors._sum("q", ORDERING, data) + data))
    assert keys is not None
    assert cursors.read("q", ORDERING, cursors.write("q", ORDERING, keys)) == keys


def _cursor_keys() -> list[bytes]:
    return [b'["2026-09-21T14:00:00+00:00","11111111-2222-4333-8444-555555555555","a",7,true,0.5]']


def _event_id(data: bytes) -> None:
    following.position(header(data))
    ends = desk.positions(header(data))
    assert ends is None or desk.positions(desk.told(ends)) == ends


def _since(data: bytes) -> None:
    where = position(text(data))
    assert where is None or position(str(where)) == where


class _Nobody:
    """Reads that find nothing."""

    async def ask(self, _query: Any, name: str) -> None:
        assert len(name) == 64


def _tracking_token(data: bytes) -> None:
    links = Links(None, _Nobody(), "", 0)  # type: ignore[arg-type]
    assert run(links.delivery_of(header(data))) is None


def _registry(data: bytes) -> None:
    said = text(data)
    doors: tuple[tuple[Any, ...], ...] = (
        (registry._schema_in, data), (registry._of_id, said), (registry._versions, said),
        (registry._version, "baton.system.Reply", said),
    )  # fmt: skip
    for ask, *asked in doors:
        try:
            ask(*asked)
        except RegistryError as error:
            run(registry.on_registry_error(None, error))  # type: ignore[arg-type]


# Drivers


class _Log:
    """Takes all."""

    def send(self, _topic: Any, _key: str, record: msgspec.Struct) -> None:
        codec.encode(record)


@cache
def _sockets() -> tuple[Sockets, Connection]:
    async def renew(token: str) -> Principal:
        raise Problem(401, "token_refused", token[:9])

    async def made() -> tuple[Sockets, Connection]:
        sockets = Sockets(None, renew=renew)  # type: ignore[arg-type]
        sockets.heard_by(Locations(_Log(), Rules()))  # type: ignore[arg-type]
        return sockets, Connection(None, "ana", "d", "c", Position(3, (1, 2, 3)))  # type: ignore[arg-type]

    found: tuple[Sockets, Connection] = run(made())
    return found


def _socket_message(data: bytes) -> None:
    sockets, connection = _sockets()
    orjson.dumps(run(sockets._hear(connection, text(data))))


def _place(data: bytes) -> None:
    """Two places from 32 bytes: whatever the limits let through, every use of a place takes."""
    lat, lng, to_lat, to_lng = struct.unpack(">4d", data[:32].ljust(32, b"\x00"))
    if not (-90 <= lat <= 90 and -90 <= to_lat <= 90 and -180 <= lng <= 180 and -180 <= to_lng <= 180):
        return
    assert cell_of(lat, lng) > 0
    assert 0 <= distance_m(lat, lng, to_lat, to_lng) <= 20_100_000
    assert ZoneTable().at(lat, lng)
    ping, policy = Place(to_lat, to_lng, NOW_S * 1000, 5.0), PresencePolicy()
    if refused(ping, NOW_S * 1000, policy) is None:
        judged(Track(lat, lng, NOW_S * 1000 - 60_000), ping, "car", NOW_S * 1000, policy)


def _places() -> list[bytes]:
    rows = ((48.0, 7.8, 48.1, 7.9), (90.0, 180.0, -90.0, -180.0), (0.0, -0.0, 5e-324, 179.99999999999997))
    return [struct.pack(">4d", *row) for row in rows]


# Sellers, routing, followers


def _quote(data: bytes) -> None:
    SEAL.opened(text(data))


def _sealed_quote(data: bytes) -> None:
    """As another release may have packed it: sealed with our key, read by us."""
    found = SEAL.opened(_part(data + SEAL._of(data)))
    assert found is None or isinstance(found, Quote)


def _packed_quotes() -> list[bytes]:
    values = msgspec.structs.astuple(some(Quote))
    return [b"1" + msgspec.msgpack.encode(values), b"1" + msgspec.msgpack.encode(values[:-1]), b"2" + b"\x90"]


def _quote_ids() -> list[bytes]:
    return [SEAL.sealed(some(Quote)).encode()]


def _webhook_target(data: bytes) -> None:
    target = target_of(text(data), loopback=len(data) % 2 == 0)
    assert target_of(target.url, loopback=len(data) % 2 == 0) == target, "what is kept is not read as it was"


def _webhook(data: bytes) -> None:
    """Headers by line, then the body: as anybody may send it."""
    lines = data.split(b"\n", 3)
    names = ("webhook-id", "webhook-timestamp", "webhook-signature")
    verified(SECRET, {name: header(line) for name, line in zip(names, lines, strict=False)}, lines[-1])


def _signed_webhook(data: bytes) -> None:
    """Signed with the seller's secret."""
    verified(SECRET, _signed(text(data)), text(data))


def _signed(body: str) -> dict[str, str]:
    moment = datetime.now(UTC)
    signature = standardwebhooks.Webhook(SECRET).sign("msg_1", moment, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(int(moment.timestamp())), "webhook-signature": signature}


def _webhooks() -> list[bytes]:
    body = '{"type":"delivery.assigned","data":{}}'
    return ["\n".join((*_signed(body).values(), body)).encode()]


def _stream(data: bytes) -> None:
    reading = streams.Reading()
    for line in text(data).splitlines():
        reading.line(line)
    assert "\n" not in reading.headers().get("last-event-id", "")


_SAID = [b""]


@cache
def _osrm() -> Osrm:
    """It is answered with what lies in `_SAID`."""
    osrm = Osrm("http://osrm.test", timeout_ms=5_000)
    osrm._client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, content=_SAID[0])))
    return osrm


def _routing(data: bytes) -> None:
    _SAID[0] = data
    here, there = (48.0, 7.8), (48.1, 7.9)
    try:
        _osrm().table(Asked((here, there), there, here))
    except RoutingUnavailable:
        _osrm().route(here, there)


def _routes() -> list[bytes]:
    at = {"distance": 3.0}
    table = {"code": "Ok", "durations": [[1, 2], [3, 4], [5, 6]], "distances": [[1, 2], [3, 4], [5, 6]],
             "sources": [at] * 3, "destinations": [at] * 2}  # fmt: skip
    route = {"code": "Ok", "waypoints": [at, at], "routes": [{"distance": 14_000.5, "duration": 900}]}
    return [json.dumps(table).encode(), json.dumps(route).encode()]


TARGETS = (
    Target("token", _token, (TokenRefused,), _signed_tokens),
    Target("token-signed", _signed_token, (TokenRefused,), _claims),
    Target("issuers-keys", keys_in, (Misconfigured,), _keys),
    Target("credentials", _credentials, (Problem,), lambda: [b"Bearer a.b.c", b"\nk", b"\n\nbearer, a.b.c"]),
    Target("api-key", _api_key, (), lambda: [b"baton_" + b"a" * 12 + b"_" + b"s" * 43]),
    Target("request-head", _head, (), lambda: [b"/v2/orders?a=b%20c\nhost: localhost:80\ncontent-length: 2"]),
    Target("idempotency-key", _idempotency_key, (Problem,), lambda: [b"6e1c-1"]),
    Target("order-body", _order_body, (ValidationError, OutOfLimits), _order_bodies),
    Target("cursor", _cursor, (Problem,), lambda: [
        (cursors.write("q", ORDERING, tuple(json.loads(keys))) or "").encode() for keys in _cursor_keys()]),
    Target("cursor-summed", _summed_cursor, (Problem,), _cursor_keys),
    Target("last-event-id", _event_id, (), lambda: [b"12", b"12.1", b"1.2.3.4.5.6.7.8"]),
    Target("since", _since, (), lambda: [b"1-3-120-4567-89", b"1-0-n-n-n"]),
    Target("tracking-token", _tracking_token, (), lambda: [b"x" * 32]),
    Target("registry-request", _registry, (), lambda: [b'{"schema": "{\\"type\\": \\"string\\"}"}', b"latest", b"1"]),
    Target("socket-message", _socket_message, (), lambda: [
        b'{"type":"PING"}', b'{"type":"LOCATION","lat":48.0,"lng":7.8,"accuracy_m":5,"at":"2026-09-21T14:00:00Z"}',
        b'{"type":"ACK","id":"1-3-1-2-3"}', b'{"type":"TOKEN","token":"a.b.c"}']),
    Target("place", _place, (), _places),
    Target("quote", _quote, (), _quote_ids),
    Target("quote-sealed", _sealed_quote, (), _packed_quotes),
    Target("webhook-target", _webhook_target, (TargetRefused,), lambda: [
        b"https://hooks.example.com/a?b=c", b"https://[2606:4700::1]:8443/", b"http://127.0.0.1:8080/x",
        "https://bücher.example/ä".encode()]),
    Target("webhook-received", _webhook, (NotSigned,), _webhooks),
    Target("webhook-signed", _signed_webhook, (NotSigned,), lambda: [
        b'{"type":"delivery.assigned","data":{"delivery_id":"d"}}']),
    Target("event-stream", _stream, (), lambda: [b'id: 12.1\nevent: status\ndata: {"a": 1}\n\n: here\n\n']),
    Target("routing-answer", _routing, (RoutingUnavailable,), _routes),
)  # fmt: skip
