"""PINs that customers say at the door: made by us or given with the order, known to the customer alone.

A PIN of ours follows from a secret key and the delivery's id, so that a repeated order gets the same and nothing is
stored for it. Decisions see a mark of it only (HMAC-SHA-256 over delivery and PIN): whoever reads the log can try all
PINs there are and will find none without the key. The key is that of the quotes (BATON_QUOTE_KEY), used for another
purpose; with another key the PINs told before are wrong (docs/decisions/0017).
"""

import hmac
from hashlib import sha256

from msgspec.structs import replace

from dispatch.config import Settings
from dispatch.contract.records.shared import Order
from dispatch.contract.records.system import Contact
from dispatch.inputs.quotes import key_of

DIGITS = 4


class Pins:
    """Makes PINs and their marks."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.new(key, b"pins at the door", sha256).digest()

    def pin(self, delivery_id: str) -> str:
        """The PIN of a delivery whose order gave none."""
        number = int.from_bytes(hmac.new(self._key, f"pin {delivery_id}".encode(), sha256).digest())
        return f"{number % 10**DIGITS:0{DIGITS}}"

    def mark(self, delivery_id: str, pin: str) -> str:
        """What decisions see of a PIN; empty for none."""
        return hmac.new(self._key, f"mark {delivery_id} {pin}".encode(), sha256).hexdigest() if pin else ""

    def put(self, delivery_id: str, order: Order, contact: Contact, given: str = "") -> tuple[Order, Contact]:
        """The order with the mark and the contact with the PIN, where the order asks for one."""
        if order.proof != "pin":
            return order, contact
        pin = given or self.pin(delivery_id)
        return replace(order, pin_mark=self.mark(delivery_id, pin)), replace(contact, pin=pin)


def pins_of(settings: Settings) -> Pins:
    """With the key of these settings. Raises OSError."""
    return Pins(key_of(settings))
