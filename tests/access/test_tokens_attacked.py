"""Tokens that must not be believed, each for its own reason, and those that must."""

import asyncio
import hashlib
import hmac
import json
import time
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from signing import AUDIENCE, EC, ED, ISSUER, RSA, STRANGER, claims, jwks, part, signed, token

from dispatch.log.errors import Misconfigured
from gateways.access.keyring import FetchedKeys, FixedKeys, Key, KeysUnknown, key_id, keys_in
from gateways.access.principal import Principal
from gateways.access.tokens import LARGEST_TOKEN, LEEWAY_S, TokenRefused, Tokens, Wanted

KEYS = FixedKeys(keys_in(jwks()))
NOW_S = int(time.time())
GOOD = token()
HEAD, BODY, SIGNATURE = GOOD.split(".")
RSA_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
HEADER = {"alg": "EdDSA", "typ": "JWT", "kid": "ed"}


def verify(text: str, keys: Any = KEYS) -> Principal:
    return asyncio.run(Tokens(keys, Wanted(ISSUER, AUDIENCE, 86_400)).verify(text))


def hs256(header: dict[str, Any], secret: bytes) -> str:
    """Signed with a secret that everybody knows: the public key."""
    text = f"{part(header)}.{part(claims(role='admin'))}"
    return f"{text}.{part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def twice(name: str) -> str:
    good = json.dumps(claims())[:-1]
    return signed(HEADER, f'{good}, "{name}": "admin"}}'.encode())


ED_RAW = ED.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
ATTACKS: dict[str, str] = {
    "no signature asked for": jwt.encode(claims(), None, "none"),
    "none, with the kid of a key": f"{part({'alg': 'none', 'kid': 'ed'})}.{BODY}.",
    "None": f"{part({'alg': 'None', 'kid': 'ed'})}.{BODY}.{SIGNATURE}",
    "nOnE with a signature": f"{part({'alg': 'nOnE', 'kid': 'ed'})}.{BODY}.{SIGNATURE}",
    "RSA's public key as a secret": hs256({"alg": "HS256", "kid": "rsa"}, RSA_PEM),
    "Ed25519's public key as a secret": hs256({"alg": "HS256", "kid": "ed"}, ED_RAW),
    "a shared secret of the set": hs256({"alg": "HS256", "kid": "oct"}, b"secret"),
    "a stranger's key": jwt.encode(claims(), STRANGER, "EdDSA", {"kid": "ed"}),
    "a key id that is not known": jwt.encode(claims(), STRANGER, "EdDSA", {"kid": "other"}),
    "no key id where there are several keys": jwt.encode(claims(), ED, "EdDSA"),
    "a path as key id": jwt.encode(claims(), STRANGER, "EdDSA", {"kid": "../../../../dev/null"}),
    "a statement as key id": jwt.encode(claims(), STRANGER, "EdDSA", {"kid": "x' UNION SELECT 'key"}),
    "a number as key id": signed({**HEADER, "kid": 1}, claims()),
    "an empty key id": signed({**HEADER, "kid": ""}, claims()),
    "the key of another algorithm": jwt.encode(claims(), EC, "ES256", {"kid": "rsa"}),
    "RSA said of the Ed25519 key": signed({**HEADER, "alg": "RS256"}, claims()),
    "RSA with another padding": jwt.encode(claims(), RSA, "PS256", {"kid": "rsa"}),
    "RSA with a longer hash": jwt.encode(claims(), RSA, "RS512", {"kid": "rsa"}),
    "the algorithm in other letters": signed({**HEADER, "alg": "eddsa"}, claims()),
    "no algorithm": signed({"kid": "ed"}, claims()),
    "a list of algorithms": signed({**HEADER, "alg": ["EdDSA"]}, claims()),
    "a key brought along": signed({**HEADER, "jwk": {"kty": "OKP"}}, claims()),
    "an address of keys": signed({**HEADER, "jku": "https://evil.test/keys"}, claims()),
    "an address of certificates": signed({**HEADER, "x5u": "https://evil.test/cert"}, claims()),
    "certificates brought along": signed({**HEADER, "x5c": ["MII"]}, claims()),
    "something critical": signed({**HEADER, "crit": ["exp"]}, claims()),
    "a payload that is not encoded": signed({**HEADER, "b64": False, "crit": ["b64"]}, claims()),
    "a compressed payload": signed({**HEADER, "zip": "DEF"}, claims()),
    "another type": signed({**HEADER, "typ": "secevent+jwt"}, claims()),
    "a header that is a list": signed([HEADER], claims()),
    "a header field twice": signed(b'{"alg": "EdDSA", "kid": "oct", "kid": "ed"}', claims()),
    "a header nested deeply": signed(b"[" * 1_500 + b"]" * 1_500, claims()),
    "another header": f"{part({**HEADER, 'typ': 'at+jwt'})}.{BODY}.{SIGNATURE}",
    "another payload": f"{HEAD}.{part(claims(role='admin'))}.{SIGNATURE}",
    "another signature": f"{HEAD}.{BODY}.{('B' if SIGNATURE[9] == 'A' else 'A').join((SIGNATURE[:9], SIGNATURE[10:]))}",
    "half a signature": f"{HEAD}.{BODY}.{SIGNATURE[:40]}",
    "an empty signature": f"{HEAD}.{BODY}.",
    "a signature of zeros": f"{HEAD}.{BODY}.{part(bytes(64))}",
    "an ECDSA signature of zeros": f"{part({'alg': 'ES256', 'kid': 'ec'})}.{BODY}.{part(bytes(64))}",
    "nothing": "",
    "dots": "..",
    "two parts": f"{HEAD}.{BODY}",
    "five parts": f"{GOOD}.{BODY}.{SIGNATURE}",
    "two tokens": f"{GOOD},{GOOD}",
    "two tokens parted by a blank": f"{GOOD} {GOOD}",
    "a blank behind": f"{GOOD} ",
    "a line behind": f"{GOOD}\n",
    "padding": f"{HEAD}.{BODY}.{SIGNATURE}==",
    "too long": token(more="x" * LARGEST_TOKEN),
    "letters of another script": f"{HEAD}.{BODY}.{SIGNATURE[:-1]}А",  # noqa: RUF001
    "a payload that is no JSON": signed(HEADER, b"role=admin"),
    "a payload that is a list": signed(HEADER, [claims()]),
    "a payload that is not UTF-8": signed(HEADER, b'{"sub": "\xff"}'),
    "a claim twice": twice("role"),
    "another issuer": token(iss="https://evil.test"),
    "an issuer that begins like ours": token(iss=ISSUER + ".evil.test"),
    "no issuer": token(iss=None),
    "a list of issuers": signed(HEADER, claims(iss=[ISSUER])),
    "another audience": token(aud="billing"),
    "no audience": token(aud=None),
    "an audience that is a number": signed(HEADER, claims(aud=7)),
    "expired": token(exp=NOW_S - 60, iat=NOW_S - 600),
    "no end": token(exp=None),
    "an end as text": signed(HEADER, claims(exp=str(NOW_S + 600))),
    "an end that is true": signed(HEADER, claims(exp=True)),
    "an end without end": signed(HEADER, json.dumps(claims(exp=1)).replace('"exp": 1', '"exp": Infinity').encode()),
    "an end that is no number": signed(HEADER, json.dumps(claims(exp=1)).replace('"exp": 1', '"exp": NaN').encode()),
    "an end beyond all years": signed(HEADER, claims(exp=10**400)),
    "an end in years": token(exp=NOW_S + 10 * 365 * 86_400),
    "an end in milliseconds": token(exp=(NOW_S + 600) * 1000),
    "issued long ago": token(iat=NOW_S - 90_000),
    "issued in the future": token(iat=NOW_S + 300),
    "no issue": token(iat=None),
    "an issue as text": signed(HEADER, claims(iat=str(NOW_S))),
    "not yet": token(nbf=NOW_S + 300),
    "not before a text": signed(HEADER, claims(nbf="now")),
    "no subject": token(sub=None),
    "an empty subject": token(sub=""),
    "a subject that is a number": signed(HEADER, claims(sub=7)),
    "a subject that is an object": signed(HEADER, claims(sub={"id": "ana"})),
    "a subject with a path": token(sub="ana/../bob"),
    "a subject with a line": token(sub="ana\nrole: admin"),
    "a subject too long": token(sub="a" * 129),
    "no role": token(role=None),
    "an unknown role": token(role="root"),
    "a role in capitals": token(role="ADMIN"),
    "a list as role": token(role=["driver"]),
    "role and roles": token(roles=["admin"]),
    "roles without one of ours": token(role=None, roles=["reader"]),
    "two roles of ours": token(role=None, roles=["driver", "admin"]),
    "roles that are text": token(role=None, roles="admin"),
    "roles that are numbers": token(role=None, roles=[1]),
    "sellers that are text": token(role="order_service", sellers="s1"),
    "sellers that are no ids": token(role="order_service", sellers=["s1", {"id": "*"}]),
    "sellers without end": token(role="order_service", sellers=["s"] * 201),
    "a device that is a list": token(device=["phone"]),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_none_passes(attack: str) -> None:
    with pytest.raises(TokenRefused):
        verify(ATTACKS[attack])


@pytest.mark.parametrize("kid", ["rsa", "ec", "ed"])
def test_a_good_one_is_believed(kid: str) -> None:
    """Beside the attacks: the same token, without what is wrong with them, passes."""
    now_s = int(time.time())
    who = verify(token(kid, device="phone-1"))
    assert (who.role, who.subject, who.device, who.signed_in) == ("driver", "ana", "phone-1", True)
    assert who.expires_at_ms is not None
    assert 0 < who.expires_at_ms - now_s * 1000 <= 700_000


def test_what_issuers_do_otherwise_is_taken() -> None:
    assert verify(signed(HEADER, claims())).subject == "ana"
    assert verify(token(aud=["other", AUDIENCE])).subject == "ana"
    assert verify(token(header={"typ": "at+jwt", "x5t": "abc"}, nbf=NOW_S - 5)).subject == "ana"
    assert verify(token(iat=NOW_S + 5)).subject == "ana", "clocks differ a little"
    assert verify(token(role=None, roles=["offline_access", "support"])).role == "support"
    shop = verify(token(role="order_service", sellers=["s1", "s2"]))
    assert (shop.sellers, shop.all_sellers) == (frozenset({"s1", "s2"}), False)
    assert verify(token(role="order_service", sellers=["*"])).all_sellers


def test_one_key_needs_no_id_and_weak_or_foreign_ones_are_not_taken() -> None:
    pem = ED.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    alone = FixedKeys(keys_in(pem))
    assert verify(jwt.encode(claims(), ED, "EdDSA"), alone).subject == "ana"
    assert verify(jwt.encode(claims(), ED, "EdDSA", {"kid": key_id(ED.public_key())}), alone).subject == "ana"
    with pytest.raises(TokenRefused):
        verify(jwt.encode(claims(), STRANGER, "EdDSA"), alone)
    for weak in (rsa.generate_private_key(65537, 1024), ec.generate_private_key(ec.SECP384R1())):
        public = weak.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        with pytest.raises(Misconfigured, match="no public key"):
            keys_in(public)
    for document in (b"", b"{}", b'{"keys": 1}', b"-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"):
        with pytest.raises(Misconfigured):
            keys_in(document)


class Issuer:
    """A JWKS address, without a network."""

    def __init__(self) -> None:
        self.asked, self.document, self.status = 0, jwks(), 200

    def answer(self, _request: httpx.Request) -> httpx.Response:
        self.asked += 1
        return httpx.Response(self.status, content=self.document)

    def keys(self) -> FetchedKeys:
        return FetchedKeys("https://issuer.test/keys", httpx.AsyncClient(transport=httpx.MockTransport(self.answer)))


def test_keys_are_fetched_once_again_for_an_unknown_id_but_not_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    issuer, moment = Issuer(), [1_000.0]
    monkeypatch.setattr("gateways.access.keyring.time.monotonic", lambda: moment[0])

    async def run() -> None:
        keys = issuer.keys()
        assert await keys.key("ed")
        assert await keys.key("rsa")
        assert issuer.asked == 1
        for _ in range(50):
            assert await keys.key("new") is None
        assert issuer.asked == 1, "strangers do not make us ask"
        rows = json.loads(issuer.document)["keys"]
        issuer.document = json.dumps({"keys": [*rows, {**rows[2], "kid": "new"}]}).encode()
        moment[0] += 11
        assert await keys.key("new")
        assert issuer.asked == 2
        issuer.status, moment[0] = 500, moment[0] + 301
        assert await keys.key("ed"), "kept while the issuer is away"
        issuer.status, moment[0] = 200, moment[0] + 11
        issuer.document = json.dumps({"keys": rows[1:]}).encode()
        assert await keys.key("rsa") is None, "a withdrawn key ends"
        await keys.close()

    asyncio.run(run())


@pytest.mark.parametrize("document", [b"", b"<html>", b"[" * 100_000, b'{"keys": []}', b" " * 300_000])
def test_an_issuer_that_answers_nonsense_gives_no_keys(document: bytes) -> None:
    issuer = Issuer()
    issuer.document = document

    async def run() -> None:
        keys = issuer.keys()
        with pytest.raises(KeysUnknown):
            await keys.key("ed")
        await keys.close()

    asyncio.run(run())


class Turning:
    """One key, which may be withdrawn or made anew."""

    def __init__(self) -> None:
        self.keys = keys_in(jwks())

    async def key(self, kid: str) -> Key | None:
        return self.keys.get(kid)

    async def close(self) -> None:
        """There is nothing to end."""


def test_a_token_is_verified_once_and_believed_while_it_lives_and_its_key_is_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    moment_s, keys, verified = float(NOW_S), Turning(), []
    right = jwt.decode
    monkeypatch.setattr(jwt, "decode", lambda *given, **more: (verified.append(1), right(*given, **more))[1])
    tokens = Tokens(keys, Wanted(ISSUER, AUDIENCE, 86_400), lambda: moment_s)

    def again(text: str = GOOD) -> Principal:
        return asyncio.run(tokens.verify(text))

    assert again() == again() == again()
    assert len(verified) == 1
    with pytest.raises(TokenRefused, match="signature"):
        again(ATTACKS["another payload"])
    keys.keys = keys_in(jwks())  # fetched anew: other objects, which say the same
    assert again().subject == "ana"
    assert len(verified) == 3
    moment_s += 600 + LEEWAY_S + 1
    with pytest.raises(TokenRefused, match="has expired"):
        again()
    moment_s = float(NOW_S)
    assert again().subject == "ana"
    keys.keys = {}
    with pytest.raises(TokenRefused, match="key that is not known"):
        again()
