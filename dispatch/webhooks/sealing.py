"""Secrets of endpoints, sealed: in Postgres they are of no use without the key, which is not kept there.

AES-256-GCM with the endpoint's id as associated data, so that a sealed secret cannot be put under another endpoint.
"""

import base64
import secrets
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from dispatch.config import Settings
from dispatch.config_secrets import secret_in

_FORM = b"1"
_NONCE_BYTES = 12
_SECRET_BYTES = 32
_KEY_FILE = "webhooks.key"


class NotOurs(Exception):
    """Sealed with another key, for another endpoint, or changed."""


class Seal:
    """Seals and opens. Every process must hold the same key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(sha256(b"baton webhook secrets" + key).digest())

    def sealed(self, secret: str, endpoint_id: str) -> bytes:
        """For Postgres."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _FORM + nonce + self._cipher.encrypt(nonce, secret.encode(), endpoint_id.encode())

    def opened(self, sealed: bytes, endpoint_id: str) -> str:
        """The secret. Raises NotOurs."""
        form, nonce, rest = sealed[:1], sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if form != _FORM:
            raise NotOurs("the form is not known")
        try:
            return self._cipher.decrypt(nonce, rest, endpoint_id.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise NotOurs("it was sealed with another key") from error


def new_secret() -> str:
    """32 random bytes as Standard Webhooks writes them."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def seal_of(settings: Settings) -> Seal:
    """The seal of BATON_WEBHOOK_KEY, or of a file in BATON_HOME that the first process makes. Raises OSError."""
    if settings.webhook_key:
        return Seal(settings.webhook_key.encode())
    return Seal(secret_in(Path(settings.home) / _KEY_FILE))
