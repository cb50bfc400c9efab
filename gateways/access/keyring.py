"""The public keys that tokens are signed with: from a file, or from a JWKS address, fetched anew when it must be."""

import asyncio
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

import httpx
import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from dispatch.log import logs
from dispatch.log.errors import Misconfigured

FRESH_S = 300.0
"""After so long keys are fetched again, so that a withdrawn one ends."""
AGAIN_S = 10.0
"""Between two fetches at least: strangers' tokens must not make us ask the issuer all the time."""
_FETCH_S = 3.0
_LARGEST_DOCUMENT = 262_144
_LEAST_RSA_BITS = 2_048
logger = logs.get("gateways.access")


class KeysUnknown(Exception):
    """No key was ever fetched: nobody can be told from anybody."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key, and the one algorithm that it is good for."""

    algorithm: str
    """RS256, ES256 or EdDSA."""
    public: Any


class Keyring(Protocol):
    """Where keys are looked up."""

    async def key(self, kid: str) -> Key | None:
        """The key of this id; of no id: the only key, if there is but one. Raises KeysUnknown."""
        ...

    async def close(self) -> None:
        """Ends what it fetches with."""
        ...


class FixedKeys:
    """Keys that do not change while the process runs."""

    def __init__(self, keys: Mapping[str, Key]) -> None:
        self._keys = dict(keys)

    async def key(self, kid: str) -> Key | None:
        """The key of this id; of no id: the only one."""
        return _pick(self._keys, kid)

    async def close(self) -> None:
        """There is nothing to end."""


class FetchedKeys:
    """The keys at a JWKS address. Kept while it does not answer; fetched again for an id that is not known."""

    def __init__(self, url: str, client: httpx.AsyncClient | None = None) -> None:
        self._url = url
        self._client = client or httpx.AsyncClient(timeout=_FETCH_S, follow_redirects=False)
        self._keys: dict[str, Key] = {}
        self._fetched_at, self._tried_at = -FRESH_S, -AGAIN_S
        self._one_at_a_time = asyncio.Lock()

    async def key(self, kid: str) -> Key | None:
        """The key of this id. Raises KeysUnknown while none was ever fetched."""
        if time.monotonic() - self._fetched_at > FRESH_S or _pick(self._keys, kid) is None:
            await self._fetch()
        if not self._keys:
            raise KeysUnknown("the issuer's keys could not be fetched yet")
        return _pick(self._keys, kid)

    async def close(self) -> None:
        """Ends the client."""
        await self._client.aclose()

    async def _fetch(self) -> None:
        async with self._one_at_a_time:
            if time.monotonic() - self._tried_at < AGAIN_S:
                return
            self._tried_at = time.monotonic()
            try:
                self._keys = keys_in(await self._document())
            except (httpx.HTTPError, httpx.InvalidURL, Misconfigured) as error:
                logger.warning("keys_not_fetched", reason=f"{type(error).__name__}: {error}")
                return
            self._fetched_at = self._tried_at

    async def _document(self) -> bytes:
        async with self._client.stream("GET", self._url) as answer:
            if answer.status_code != 200:
                raise Misconfigured(f"answered {answer.status_code}")
            read = b""
            async for piece in answer.aiter_bytes():
                read += piece
                if len(read) > _LARGEST_DOCUMENT:
                    raise Misconfigured(f"has more than {_LARGEST_DOCUMENT} bytes")
            return read


def keys_of_file(file: Path) -> FixedKeys:
    """The keys in a PEM or JWKS file. Raises Misconfigured."""
    try:
        return FixedKeys(keys_in(file.read_bytes()))
    except OSError as error:
        raise Misconfigured(f"BATON_SIGN_IN_KEY_FILE {file} cannot be read: {error.strerror}") from error
    except Misconfigured as error:
        raise Misconfigured(f"BATON_SIGN_IN_KEY_FILE {file} {error}") from error


def keys_in(document: bytes) -> dict[str, Key]:
    """Keys by id of a JWKS, or the one of a PEM. Raises Misconfigured when there is none that is good for signing."""
    found = _of_pem(document) if document.lstrip().startswith(b"-----BEGIN") else _of_jwks(document)
    if not found:
        raise Misconfigured("has no public key of RSA (2048 bits or more), P-256 or Ed25519")
    return found


def key_id(public: Any) -> str:
    """The id of a key without one: SHA-256 of its SubjectPublicKeyInfo, base64url."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    digest = sha256(public.public_bytes(serialization.Encoding.DER, form)).digest()
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


def _pick(keys: Mapping[str, Key], kid: str) -> Key | None:
    if kid:
        return keys.get(kid)
    return next(iter(keys.values())) if len(keys) == 1 else None


def _of_pem(document: bytes) -> dict[str, Key]:
    try:
        if b"PRIVATE KEY-----" in document:
            public: Any = serialization.load_pem_private_key(document, None).public_key()
        else:
            public = serialization.load_pem_public_key(document)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Misconfigured("is no PEM of a key") from error
    algorithm = _algorithm(public)
    return {key_id(public): Key(algorithm, public)} if algorithm else {}


def _of_jwks(document: bytes) -> dict[str, Key]:
    """Shared secrets, encryption keys and keys of other kinds are passed over."""
    try:
        rows = json.loads(document)["keys"]
        rows = [row for row in rows if isinstance(row, dict)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Misconfigured("is no JWKS") from error
    found: dict[str, Key] = {}
    for row in rows:
        if row.get("kty") not in ("RSA", "EC", "OKP") or row.get("use", "sig") != "sig":
            continue
        try:
            public: Any = jwt.PyJWK({name: row[name] for name in row if name not in ("d", "alg")}).key
        except (jwt.PyJWTError, ValueError, TypeError, KeyError) as error:
            logger.warning("keys_not_fetched", reason=f"a key of the set cannot be read: {type(error).__name__}")
            continue
        algorithm = _algorithm(public)
        if algorithm and row.get("alg", algorithm) == algorithm:
            kid = row.get("kid")
            found[kid if isinstance(kid, str) and kid else key_id(public)] = Key(algorithm, public)
    return found


def _algorithm(public: Any) -> str:
    """The one algorithm of a kind of key; empty: it is not taken."""
    match public:
        case RSAPublicKey() if public.key_size >= _LEAST_RSA_BITS:
            return "RS256"
        case EllipticCurvePublicKey() if isinstance(public.curve, SECP256R1):
            return "ES256"
        case Ed25519PublicKey():
            return "EdDSA"
    return ""
