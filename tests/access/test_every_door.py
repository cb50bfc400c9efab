"""Every route, by every role, for one's own and for another's: from the table of doors, and without a gap.

The gate is the real one, over the real application's routes; what stands behind it is a recorder.
"""

import asyncio
import json
import threading
from collections.abc import MutableMapping
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, get_args

import pytest
from fastapi import FastAPI
from signing import AUDIENCE, ISSUER, jwks, token

from dispatch.config import Settings
from dispatch.inputs import api_keys
from dispatch.inputs.api_keys import KnownKeys
from dispatch.log.errors import Misconfigured
from gateways.access import page
from gateways.access.api_keys import ApiKeys
from gateways.access.doors import DOORS, Door, Owner, Role
from gateways.access.gate import Gate, doorways
from gateways.access.keyring import FetchedKeys, FixedKeys, keys_in
from gateways.access.ownership import Parties
from gateways.access.principal import Principal
from gateways.access.sign_in import SignIn, sign_in_of
from gateways.access.tokens import Tokens, Wanted
from gateways.app import create_app

OWN, OTHERS, UNKNOWN = (f"00000000-0000-0000-0000-00000000000{number}" for number in (1, 2, 3))
PATHS = {
    "own": {"driver_id": "ana", "seller_id": "s1", "delivery_id": OWN, "token": "own-token"},
    "other": {"driver_id": "bob", "seller_id": "s2", "delivery_id": OTHERS, "token": "unknown-token"},
    "unknown": {"driver_id": "zoe", "seller_id": "s9", "delivery_id": UNKNOWN, "token": "unknown-token"},
}
ROLES: tuple[Role, ...] = get_args(Role)
OWNING = ("order_service", "driver", "customer")
WANTED = Wanted(ISSUER, AUDIENCE, 86_400)


class ReadModel:
    """Two deliveries."""

    async def parties(self, delivery_id: str) -> Parties | None:
        return {OWN: Parties("s1", "ana"), OTHERS: Parties("s2", "bob")}.get(delivery_id)


class Recorder:
    """What would be the handlers: notes who came, and what they brought."""

    def __init__(self) -> None:
        self.who: Principal | None = None
        self.door: Door | None = None
        self.body = b""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.who, self.door = scope["state"]["principal"], scope["state"]["door"]
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            return
        more = True
        while more:
            message = await receive()
            self.body += message.get("body", b"")
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


@pytest.fixture(scope="module")
def app() -> FastAPI:
    settings = Settings(kafka="127.0.0.1:1", postgres="postgresql://127.0.0.1:1/x", valkey="redis://127.0.0.1:1")
    return create_app(settings)


@pytest.fixture(scope="module")
def keys() -> ApiKeys:
    known = KnownKeys()
    known.complete = True
    return ApiKeys("127.0.0.1:1", "", known)


async def tracked(shown: str) -> str | None:
    return OWN if shown == "own-token" else None


@pytest.fixture
def sign_in(keys: ApiKeys) -> SignIn:
    return SignIn(Tokens(FixedKeys(keys_in(jwks())), WANTED), keys, tracked)


found_once = cache(doorways)
Headers = list[tuple[str, str]]


def ask(
    app: FastAPI, sign_in: SignIn, door: Door, path: str, headers: Headers, body: bytes = b"", query: str = ""
) -> tuple[int, dict[str, Any], Recorder]:
    """Status (101 for a socket that opens), problem and recorder."""
    behind, sent = Recorder(), list[MutableMapping[str, Any]]()
    kind = "websocket" if door.method == "SOCKET" else "http"
    scope = {
        "type": kind, "method": door.method, "path": path, "query_string": query.encode(), "app": app,
        "headers": [(name.encode(), value.encode()) for name, value in headers], "root_path": "", "state": {},
        "extensions": {"websocket.http.response": {}},
    }  # fmt: skip
    pieces = [body[at : at + 7] for at in range(0, len(body), 7)] or [b""]
    coming = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]

    async def receive() -> MutableMapping[str, Any]:
        return coming.pop(0) if kind == "http" else {"type": "websocket.connect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    guard = Gate(behind, sign_in, ReadModel())
    guard._doorways = found_once(app)
    asyncio.run(guard(scope, receive, send))
    first = sent[0]
    if first["type"] == "websocket.accept":
        return 101, {}, behind
    heads = {name.decode(): value.decode() for name, value in first["headers"]}
    told = b"".join(message.get("body", b"") for message in sent[1:])
    return first["status"], {**(json.loads(told) if told else {}), "headers": heads}, behind


def bearer(role: str) -> Headers:
    """One who owns what is 'own', if the role owns anything."""
    if role == "customer":
        return [("authorization", "Bearer own-token")]
    sellers = {"sellers": ["s1"]} if role == "order_service" else {}
    return [("authorization", f"Bearer {token(sub='ana', role=role, **sellers)}")]


def named(door: Door, whose: str) -> tuple[str, bytes, str]:
    """Path, body and query of a request for one's own, another's or an unknown thing."""
    names = PATHS[whose]
    path = door.path
    for piece in [piece for piece in door.path.split("/") if piece.startswith("{")]:
        path = path.replace(piece, names.get(piece.strip("{}").split(":")[0], "x"))
    body = {"reason": "a test", **({"seller_id": names["seller_id"]} if door.owner is Owner.SELLER else {})}
    with_body = door.method in ("POST", "PUT", "PATCH")
    query = "" if with_body else "&".join(f"{name}={value}" for name, value in body.items())
    return path, json.dumps(body).encode() if with_body else b"", query


def expected(door: Door, role: str, whose: str) -> int:
    """By the table alone: 0 is let through."""
    if door.owner is Owner.TRACKING:
        return 0 if whose == "own" else 404
    if not door.roles:
        return 0
    if role not in door.roles:
        return 403
    if role not in OWNING or door.owner in (Owner.ANYONE, Owner.WEBHOOK) or whose == "own":
        fits = {Owner.DRIVER: ("driver",), Owner.SELLER: ("order_service",), Owner.DELIVERY: OWNING}
        return 0 if role not in OWNING or role in fits.get(door.owner, OWNING) else 403
    return 404 if door.owner is Owner.DELIVERY else 403


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door.method} {door.path}")
def test_whoever_may_goes_through_and_nobody_else(app: FastAPI, sign_in: SignIn, door: Door) -> None:
    for role in ROLES:
        for whose in PATHS:
            path, body, query = named(door, whose)
            status, told, behind = ask(app, sign_in, door, path, bearer(role), body, query)
            wanted = expected(door, role, whose)
            case = f"{role}, {whose}: {status} {told}"
            if wanted:
                assert status == wanted, case
                assert behind.door is None, f"{case}, yet the handler was reached"
                assert told["code"] in ("role_not_allowed", "not_yours", "unknown_order", "unknown_token"), case
            else:
                assert status in (101, 204), case
                assert behind.door == door, f"{case}, through another door"
                assert behind.body == body, "what was read at the gate is read again behind it"
                assert behind.who is not None
                if door.roles and door.owner is not Owner.TRACKING:
                    assert (behind.who.role, behind.who.signed_in) == (role, True)


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door.method} {door.path}")
def test_nobody_goes_through_unknown_or_with_a_bad_token(app: FastAPI, sign_in: SignIn, door: Door) -> None:
    path, body, query = named(door, "own")
    good, other = bearer("admin")[0], ("x-api-key", "baton_000000000000_" + "x" * 43)
    shown: dict[str, Headers] = {
        "nothing": [], "a password": [("authorization", "Basic YTpi")], "a bare word": [("authorization", "x")],
        "a bad token": [("authorization", "Bearer a.b.c")], "an unknown key": [other],
        "a key as bearer": [("authorization", f"Bearer {other[1]}")],
        "an unknown text": [("authorization", "Bearer x")],
        "a name": [("x-actor-id", "admin")], "two tokens": [good, good], "a token and a key": [good, other],
    }  # fmt: skip
    open_to_all = not door.roles or door.owner is Owner.TRACKING
    for what, headers in shown.items():
        status, told, behind = ask(app, sign_in, door, path, headers, body, query)
        if open_to_all:
            assert (status, behind.door) == (204, door), what
        else:
            assert (status, behind.door) == (401, None), what
            assert told["headers"]["www-authenticate"].startswith('Bearer realm="baton"'), what


def test_the_table_has_a_row_for_every_route_and_no_more(app: FastAPI) -> None:
    routes = {(door.method, door.path) for found in doorways(app) for door in found.doors.values()}
    assert routes == {(door.method, door.path) for door in DOORS}
    assert len(DOORS) == len(routes)


def test_a_route_without_a_row_or_a_row_that_contradicts_it_keeps_the_gateway_from_starting(app: FastAPI) -> None:
    with pytest.raises(Misconfigured, match="has no row"):
        doorways(app, DOORS[1:])
    with pytest.raises(Misconfigured, match="twice"):
        doorways(app, (*DOORS, DOORS[0]))
    with pytest.raises(Misconfigured, match="names no"):
        doorways(app, (*DOORS, Door("GET", "/x", frozenset({"driver"}), Owner.DRIVER)))
    mounted = FastAPI()
    mounted.mount("/files", FastAPI())
    with pytest.raises(Misconfigured):
        doorways(mounted)


def test_the_page_of_doors_is_current() -> None:
    assert page.main(["--check"]) == 0, "python -m gateways.access.page writes it"


def test_only_admins_and_operations_act_on_what_is_not_theirs_and_say_why() -> None:
    for door in DOORS:
        if door.path.startswith("/v2/admin/"):
            assert not door.roles & set(OWNING), door
            acts = door.method in ("POST", "PUT", "PATCH", "DELETE") and not door.path.endswith("/check")
            assert door.reason or not acts, f"{door.method} {door.path}: an admin's act without a reason"
        if door.roles & {"order_service", "driver"} and "{" in door.path and "driver_id" in door.path:
            assert door.owner is Owner.DRIVER, door


ACT = next(door for door in DOORS if door.path.endswith("/escalate") and door.reason)
ORDER = next(door for door in DOORS if door.path == "/v2/orders")
SEEN = next(door for door in DOORS if door.path == "/v2/deliveries/{delivery_id}")


@pytest.mark.parametrize(
    ("body", "query", "wanted"),
    [
        (b'{"note": "late"}', "", 204), (b'{"reason": "late"}', "", 204), (b"", "reason=late", 204),
        (b"{}", "", 422), (b"", "", 422), (b'{"reason": ""}', "", 422), (b'{"reason": "  "}', "", 422),
        (b'{"reason": 7}', "", 422), (b'{"reason": ["late"]}', "", 422), (b"[]", "", 422), (b"null", "", 400),
        (b"{", "", 400), (b"[" * 5_000, "", 400), (b"\xff", "", 400), (b"", "reason=%20", 422),
    ],
)  # fmt: skip
def test_an_act_of_an_admin_says_why(app: FastAPI, sign_in: SignIn, body: bytes, query: str, wanted: int) -> None:
    path, _, _ = named(ACT, "other")
    status, told, behind = ask(app, sign_in, ACT, path, bearer("ops"), body, query)
    assert status == wanted, told
    assert (behind.door is None) == (wanted != 204)


@pytest.mark.parametrize(
    ("body", "query", "wanted"),
    [
        (b'{"seller_id": "s1"}', "", 204), (b'[{"seller_id": "s1"}, {"seller_id": "s1"}]', "", 204),
        (b'{"seller_id": "s2"}', "", 403), (b'[{"seller_id": "s1"}, {"seller_id": "s2"}]', "", 403),
        (b'{"seller_id": "s1"}', "seller_id=s2", 403), (b'{"seller_id": "s2"}', "seller_id=s1", 403),
        (b'{"seller_id": "s1", "seller_id": "s2"}', "", 403), (b'{"seller_id": ["s1"]}', "", 403),
        (b'{"seller_id": {"s1": 1}}', "", 403), (b'{"seller_id": null}', "", 403), (b'{"seller_id": "S1"}', "", 403),
        (b'{"seller_id": "s1 "}', "", 403), (b"{}", "", 422), (b"", "", 400), (b"{", "", 400), (b"\xff", "", 400),
        ('{"seller_id": "s2"}'.encode("utf-16"), "", 403), (b"[" * 5_000, "", 400), (b'{"sellers": ["s1"]}', "", 422),
        (b"x" * 70_000, "", 413),
    ],
)  # fmt: skip
def test_an_order_is_for_a_seller_of_the_service(
    app: FastAPI, sign_in: SignIn, body: bytes, query: str, wanted: int
) -> None:
    status, told, behind = ask(app, sign_in, ORDER, "/v2/orders", bearer("order_service"), body, query)
    assert status == wanted, told
    assert (behind.door is None) == (wanted != 204)


def test_a_service_for_all_sellers_and_one_for_none(app: FastAPI, sign_in: SignIn) -> None:
    for sellers, wanted in ((["*"], 204), ([], 403), (["s2"], 403)):
        headers = [("authorization", f"Bearer {token(sub='shop', role='order_service', sellers=sellers)}")]
        assert ask(app, sign_in, ORDER, "/v2/orders", headers, b'{"seller_id": "s1"}')[0] == wanted


def test_what_is_anothers_looks_like_what_is_not_there(app: FastAPI, sign_in: SignIn) -> None:
    for role in ("order_service", "driver"):
        told = {}
        for whose, delivery_id in (
            ("other", OTHERS),
            ("unknown", UNKNOWN),
            ("no id", "x' OR 1=1"),
            ("upper", "A" * 36),
        ):
            status, answer, _ = ask(app, sign_in, SEEN, f"/v2/deliveries/{delivery_id}", bearer(role))
            told[whose] = (status, {**answer, "instance": ""})
        told["other"][1]["headers"].pop("content-length")
        for answer in told.values():
            answer[1]["headers"].pop("content-length", None)
            assert answer == told["other"]


def test_keys_of_services_open_what_their_role_may_until_they_end(app: FastAPI, sign_in: SignIn, keys: ApiKeys) -> None:
    shown, record = api_keys.made("order_service", "shop", ["s1"], days=0, actor_id="eva")
    keys.known.by_id[record.key_id] = record
    body = b'{"seller_id": "s1"}'
    for headers in (
        [("x-api-key", shown)],
        [("authorization", f"Bearer {shown}")],
        [("authorization", f"bearer {shown}")],
    ):
        status, told, behind = ask(app, sign_in, ORDER, "/v2/orders", headers, body)
        assert status == 204, told
        assert behind.who == Principal("order_service", "shop", frozenset({"s1"}))
    assert shown not in repr(record)
    assert ask(app, sign_in, ORDER, "/v2/orders", [("x-api-key", shown)], b'{"seller_id": "s2"}')[0] == 403
    wrong = shown[:-1] + ("a" if shown[-1] != "a" else "b")
    for bad in (wrong, shown.upper(), shown + "x", shown[:-1], record.hash, f"baton_{record.key_id}_{record.hash}"):
        assert ask(app, sign_in, ORDER, "/v2/orders", [("x-api-key", bad)], body)[0] == 401
    for over in (replaced(record, revoked_at_ms=1), replaced(record, expires_at_ms=1), replaced(record, role="driver")):
        keys.known.by_id[record.key_id] = over
        assert ask(app, sign_in, ORDER, "/v2/orders", [("x-api-key", shown)], body)[0] == 401
    unread = SignIn(Tokens(FixedKeys(keys_in(jwks())), WANTED), ApiKeys("127.0.0.1:1", ""))
    status, told, _ = ask(app, unread, ORDER, "/v2/orders", [("x-api-key", shown)], body)
    assert (status, told["code"]) == (503, "sign_in_unavailable"), "no key is refused before all are read"


def replaced(record: Any, **changes: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(record, **changes)


def test_a_socket_takes_its_token_as_a_protocol_too(app: FastAPI, sign_in: SignIn) -> None:
    door = Door(
        "SOCKET", "/v2/drivers/{driver_id}/socket", frozenset({"driver", "ops", "admin"}), Owner.DRIVER, "stream"
    )
    own = token(sub="ana", role="driver")
    for offered, wanted in (
        (f"bearer, {own}", 101), (f"baton.v2,bearer,{own}", 101), (f"{own}, bearer", 401), ("bearer", 401),
        (own, 401), (f"bearer, {own}, bearer, {own}", 401), ("baton.v2", 401),
    ):  # fmt: skip
        headers = [("sec-websocket-protocol", offered)]
        assert ask(app, sign_in, door, "/v2/drivers/ana/socket", headers)[0] == wanted, offered
        if wanted == 101:
            assert ask(app, sign_in, door, "/v2/drivers/bob/socket", headers)[0] == 403
    as_http = replace(SEEN)
    status, _, _ = ask(app, sign_in, as_http, f"/v2/deliveries/{OWN}", [("sec-websocket-protocol", f"bearer, {own}")])
    assert status == 401, "only sockets"


def test_without_a_key_everybody_is_the_admin_whom_the_header_names(app: FastAPI, keys: ApiKeys) -> None:
    opened = SignIn(None, keys)
    path, body, query = named(ACT, "own")
    for headers, name in (([], "admin"), ([("x-actor-id", "eva")], "eva"), (bearer("driver"), "admin")):
        _, _, behind = ask(app, opened, ACT, path, headers, body, query)
        assert behind.who == Principal("admin", name, all_sellers=True, signed_in=False)
    status, told, behind = ask(app, opened, ACT, path, [("x-actor-id", "a b")], body, query)
    assert (status, told["code"], behind.door) == (422, "invalid", None)


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("localhost:8080", 204), ("LocalHost", 204), ("127.0.0.1:8080", 204), ("127.8.9.1", 204), ("[::1]:8080", 204),
        ("rebound.example:8080", 403), ("rebound.example", 403), ("10.0.0.7:8080", 403), ("0.0.0.0:8080", 403),
        ("localhost.rebound.example", 403), ("2130706433", 403), ("[fe80::1]:8080", 403),
    ],
)  # fmt: skip
def test_without_a_key_no_other_name_is_answered(app: FastAPI, keys: ApiKeys, host: str, wanted: int) -> None:
    path, body, query = named(ACT, "own")
    status, told, _ = ask(app, SignIn(None, keys), ACT, path, [("host", host)], body, query)
    assert (status, told.get("code")) == (wanted, "foreign_host" if wanted == 403 else None)


def test_with_a_key_any_name_is_answered(app: FastAPI, sign_in: SignIn) -> None:
    door, headers = SEEN, [("host", "baton.example"), *bearer("ops")]
    assert ask(app, sign_in, door, f"/v2/deliveries/{OWN}", headers)[0] == 204


def test_while_the_issuers_keys_are_not_known_nobody_is_believed_or_refused(app: FastAPI, keys: ApiKeys) -> None:
    away = SignIn(Tokens(FetchedKeys("http://127.0.0.1:1/keys"), WANTED), keys)
    status, told, _ = ask(app, away, SEEN, f"/v2/deliveries/{OWN}", bearer("driver"))
    assert (status, told["code"], told["headers"]["retry-after"]) == (503, "sign_in_unavailable", "2")


def test_keys_come_from_a_real_address(app: FastAPI, keys: ApiKeys) -> None:
    class Issuer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/keys" else 404)
            self.end_headers()
            self.wfile.write(jwks())

        def log_message(self, *_: Any) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Issuer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        base = f"http://127.0.0.1:{server.server_port}"
        try:
            for path, wanted in (("/keys", 204), ("/nothing", 503)):
                settings = Settings(
                    kafka="", postgres="", valkey="", sign_in_jwks=base + path, sign_in_issuer=ISSUER,
                    sign_in_audience=AUDIENCE,
                )  # fmt: skip
                status, told, _ = ask(app, sign_in_of(settings, keys), SEEN, f"/v2/deliveries/{OWN}", bearer("driver"))
                assert status == wanted, told
        finally:
            server.shutdown()
            thread.join()


def test_settings_that_cannot_be_are_told(keys: ApiKeys, tmp_path: Any) -> None:
    base = Settings(kafka="", postgres="", valkey="")
    (tmp_path / "keys.json").write_bytes(jwks())
    (tmp_path / "none.pem").write_text("none")
    assert sign_in_of(base, keys).open
    assert not sign_in_of(base.model_copy(update={"sign_in_key_file": tmp_path / "keys.json"}), keys).open
    assert not sign_in_of(base.model_copy(update={"sign_in_jwks": "https://issuer.test/keys"}), keys).open
    for changes, said in (
        ({"sign_in_key_file": tmp_path / "none.pem"}, "is no JWKS"),
        ({"sign_in_key_file": tmp_path / "away.pem"}, "cannot be read"),
        ({"sign_in_key_file": tmp_path / "keys.json", "sign_in_jwks": "https://issuer.test/keys"}, "both"),
    ):
        with pytest.raises(Misconfigured, match=said):
            sign_in_of(base.model_copy(update=changes), keys)
    for address in ("http://issuer.test/keys", "ftp://issuer.test", "https://", "keys.json"):
        with pytest.raises(ValueError, match="sign_in_jwks"):
            Settings(kafka="", postgres="", valkey="", sign_in_jwks=address)
