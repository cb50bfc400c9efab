"""The local stack's own key pair: made by `baton up` in BATON_HOME, signs development tokens there."""

import os
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from dispatch.log.errors import Misconfigured
from gateways.access.doors import Role
from gateways.access.keyring import key_id

PRIVATE, PUBLIC = "sign-in.private.pem", "sign-in.public.pem"
_PEM = serialization.Encoding.PEM
_RENEWED_AFTER = 0.5
"""Of a token's life."""


class LocalKey:
    """Signs tokens of one issuer for one audience."""

    def __init__(self, private: Ed25519PrivateKey, issuer: str, audience: str) -> None:
        self._private, self._issuer, self._audience = private, issuer, audience
        self._kid = key_id(private.public_key())
        self._signed: dict[tuple[Role, str], tuple[float, str]] = {}

    def token(
        self, role: Role, subject: str, *, ttl_s: float = 3_600, sellers: Sequence[str] = (), device: str = ""
    ) -> str:
        """A token that holds for so long."""
        now_s = time.time()
        claims = {
            "iss": self._issuer, "aud": self._audience, "sub": subject, "role": role,
            "iat": int(now_s), "exp": int(now_s + ttl_s), "jti": secrets.token_hex(8),
            **({"sellers": list(sellers)} if sellers else {}), **({"device": device} if device else {}),
        }  # fmt: skip
        return jwt.encode(claims, self._private, "EdDSA", {"kid": self._kid})

    def current(self, role: Role, subject: str, ttl_s: float = 3_600) -> str:
        """A token that holds for at least half of that; the same one for a while."""
        until, token = self._signed.get((role, subject), (0.0, ""))
        if time.monotonic() >= until:
            token = self.token(role, subject, ttl_s=ttl_s)
            self._signed[role, subject] = time.monotonic() + ttl_s * _RENEWED_AFTER, token
        return token


def make(folder: Path) -> None:
    """Makes the pair unless it is there; of several that start at once one makes it. Raises Misconfigured."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / PRIVATE).exists():
            private = Ed25519PrivateKey.generate()
            plain = serialization.NoEncryption()
            _put(folder / PRIVATE, private.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, plain), 0o600)
        public = _read(folder / PRIVATE).public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        (folder / PUBLIC).unlink(missing_ok=True)
        _put(folder / PUBLIC, public.public_bytes(_PEM, form), 0o644)
    except OSError as error:
        raise Misconfigured(f"the key of sign-in cannot be made in {folder}: {error.strerror}") from error


def of(folder: Path, issuer: str, audience: str) -> LocalKey | None:
    """The key of the local stack in this folder; None: it has none. Raises Misconfigured."""
    file = folder / PRIVATE
    return LocalKey(_read(file), issuer, audience) if file.exists() else None


def _read(file: Path) -> Ed25519PrivateKey:
    try:
        found = serialization.load_pem_private_key(file.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise Misconfigured(f"{file} is no private key; remove it, and `baton up` makes another") from error
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise Misconfigured(f"{file} is no Ed25519 key; remove it, and `baton up` makes another")
    return found


def _put(file: Path, content: bytes, mode: int) -> None:
    """Whole before it has its name; whoever comes second keeps the first one's."""
    draft = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
        stream.write(content)
    try:
        os.link(draft, file)
    except FileExistsError:
        return
    finally:
        draft.unlink()
