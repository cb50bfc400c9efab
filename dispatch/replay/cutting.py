"""What is cut out of records before they leave the house: words that people wrote, and what follows from a contact.

A contact itself is in none of them. Free words are replaced by `(cut)`. Digests and marks made from a contact or a PIN
could be tried out by whoever guesses well; each becomes a stand-in made with a key that nobody keeps: what was equal
stays equal, so every decision can be made again. An order's digest is made anew from the order as cut.
"""

import hashlib
import hmac
import secrets
from typing import Any

import msgspec

from dispatch.contract.records.shared import Order
from dispatch.core.delivery.orders import digest_of

CUT = "(cut)"
_MARK = "cut:"
_WORDS = frozenset({"note"})
_REASONS = frozenset({"CancelDelivery", "FailDelivery", "DeliveryCancelled", "DeliveryFailed"})
"""Their `reason` is free words as well."""
_MARKS = frozenset({"contact_digest", "pin_mark"})


class Cutter:
    """Cuts records of one bundle, and knows what was cut. To cut twice changes nothing."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key or secrets.token_bytes(32)
        self.cut: dict[str, int] = {}

    def record(self, record: Any) -> Any:
        """A command or an event without them."""
        name = type(record).__name__
        changes: dict[str, Any] = {}
        for field in record.__struct_fields__:
            value = getattr(record, field)
            if isinstance(value, Order):
                changes[field] = self.record(value)
            elif isinstance(value, str) and value:
                if field in _WORDS or (field == "reason" and name in _REASONS):
                    changes[field] = self._noted(name, field, value, CUT)
                elif field in _MARKS and not value.startswith(_MARK):
                    changes[field] = self._noted(name, field, value, self._stand_in(value))
        if not changes:
            return record
        made: Any = msgspec.structs.replace(record, **changes)
        if "order" in changes and hasattr(made, "order_digest"):
            made = msgspec.structs.replace(made, order_digest=digest_of(made.order))
        return made

    def _noted(self, record: str, field: str, value: str, instead: str) -> str:
        if value != instead:
            place = f"{record}.{field}"
            self.cut[place] = self.cut.get(place, 0) + 1
        return instead

    def _stand_in(self, value: str) -> str:
        return _MARK + hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()[: 64 - len(_MARK)]
