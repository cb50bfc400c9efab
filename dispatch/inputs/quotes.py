"""Quotes carry themselves: an id is the quote, packed, and a seal (HMAC-SHA-256) that only holders of the key can make.

So nothing is stored, none is lost with a machine, and one is as good on every worker (docs/decisions/0007).
Every process must hold the same key: BATON_QUOTE_KEY, or the file that the first process of a local stack makes in
BATON_HOME. A quote sealed with another key is unknown: the order is priced anew, which the delivery says.
"""

import base64
import binascii
import hmac
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from dispatch.config import Settings
from dispatch.config_secrets import secret_in
from dispatch.core.quotes import Quote

_SEAL_BYTES = 16
_FORM = b"1"
_KEY_FILE = "quote.key"
_UNPACK = msgspec.msgpack.Decoder(tuple)


class QuoteSeal:
    """Makes ids of quotes and opens them."""

    def __init__(self, key: bytes) -> None:
        if len(key) < _SEAL_BYTES:
            raise ValueError(f"a key of {len(key)} bytes seals nothing; at least {_SEAL_BYTES} are wanted")
        self._key = key

    def sealed(self, quote: Quote) -> str:
        """The id: letters, digits, `-` and `_`, about 150 of them."""
        body = _FORM + msgspec.msgpack.encode(msgspec.structs.astuple(quote))
        return base64.urlsafe_b64encode(body + self._of(body)).decode().rstrip("=")

    def opened(self, quote_id: str) -> Quote | None:
        """The quote, or None for what was not sealed with this key, or by a release that says it in another form."""
        try:
            whole = base64.urlsafe_b64decode(quote_id + "=" * (-len(quote_id) % 4))
        except (binascii.Error, ValueError):
            return None
        body, seal = whole[:-_SEAL_BYTES], whole[-_SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._of(body)) or not body.startswith(_FORM):
            return None
        try:
            values = _UNPACK.decode(body[len(_FORM) :])
            return msgspec.convert(dict(zip(Quote.__struct_fields__, values, strict=True)), Quote)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return None

    def _of(self, body: bytes) -> bytes:
        return hmac.new(self._key, body, sha256).digest()[:_SEAL_BYTES]


def told(quote: Quote, quote_id: str) -> dict[str, Any]:
    """A quote for a person or a program; money in minor units."""
    expires = datetime.fromtimestamp(quote.expires_ms / 1000, UTC)
    return {
        "quote_id": quote_id,
        "expires_at": expires.isoformat(timespec="seconds"),
        "zone": quote.zone,
        "multiplier_percent": quote.multiplier_percent,
        "delivery_fee_minor": quote.delivery_fee_minor,
        "earning_minor": quote.earning_minor,
        "currency": quote.currency,
    }


def seal_of(settings: Settings) -> QuoteSeal:
    """The seal of these settings; makes the key's file when there is neither setting nor file. Raises OSError."""
    return QuoteSeal(key_of(settings))


def key_of(settings: Settings) -> bytes:
    """The secret that all processes share. Raises OSError."""
    return settings.quote_key.encode() if settings.quote_key else secret_in(Path(settings.home) / _KEY_FILE)
