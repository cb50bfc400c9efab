"""The codes with which a delivery refuses. Gateways publish them; they are never renamed."""

from dispatch.core.delivery.states import Delivery, status
from dispatch.core.facts import Refusal

UNKNOWN_ORDER = Refusal("unknown_order", "No order of this id was placed or became ready.")
NOT_YOURS = Refusal("not_yours", "This offer or delivery is not, or no longer, this driver's.")
GOODS_PICKED_UP = Refusal("goods_picked_up", "The goods are with the driver; only an admin can call them back.")

PIN_LOCKED = Refusal("pin_locked", "Too many wrong PINs were said; people look at it, and an admin decides.")


def proof_wanted(what: str) -> Refusal:
    """The order asks for a proof that did not come."""
    return Refusal("proof_wanted", f"The order is handed over with {what} only.")


def not_allowed_now(state: Delivery, wanted: str) -> Refusal:
    """The command does not fit the status."""
    return Refusal("not_allowed_now", f"The delivery is {status(state) or 'unknown'}; {wanted}.")


def conflict(differing: list[str]) -> Refusal:
    """The same order came with other content."""
    return Refusal("order_conflict", f"This order is known with other content: {', '.join(differing)} differ.")


def stale(age_h: float, limit_h: float) -> Refusal:
    """The order is too old."""
    return Refusal("stale_order", f"The order was placed {age_h:.1f} h ago; at most {limit_h:.1f} h are accepted.")


def not_yet(ahead_s: float, limit_s: float) -> Refusal:
    """The order says that it was placed in the future."""
    return Refusal("placed_in_future", f"The order was placed {ahead_s:.0f} s from now; at most {limit_s:.0f} s.")


def other_currency(seen: str) -> Refusal:
    """The order's currency is not the policy's."""
    return Refusal("other_currency", f"The order cannot be priced: {seen}.")


def late(code: str) -> Refusal:
    """An answer to an offer that is over."""
    return Refusal(code, _LATE[code])


_LATE = {
    "offer_expired": "The offer's time was over before the answer.",
    "offer_withdrawn": "The offer was withdrawn before the answer.",
    "offer_rejected": "The offer was refused before.",
    "order_cancelled": "The order was cancelled.",
    "already_ended": "The delivery has ended.",
    "not_yours": NOT_YOURS.detail,
}
