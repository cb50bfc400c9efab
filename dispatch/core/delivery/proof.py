"""What shows that the goods were handed over: asked for by the order, looked at when the driver says `delivered`.

Of the PIN only a mark is known here, made with a key that this code never sees; a right one has the same mark.
"""

from hmac import compare_digest

from dispatch.contract.records import delivery_commands as commands
from dispatch.core.delivery import refusals
from dispatch.core.delivery.states import Delivery
from dispatch.core.facts import Refusal

MOST_WRONG_PINS = 5
"""After so many wrong ones none is taken any more, and people must look."""


def lacking(state: Delivery, command: commands.ReportProgress) -> Refusal | None:
    """Why a hand-over is not taken for one; None: what is wanted is there, or an admin says so."""
    wanted = state.order.proof if state.order is not None else "none"
    if command.step != "delivered" or _by_admin(command):
        return None
    match wanted:
        case "photo" if not command.proof_ref:
            return refusals.proof_wanted("a photo (proof_ref)")
        case "signature" if not command.signature_ref:
            return refusals.proof_wanted("a signature (signature_ref)")
        case "pin" if state.wrong_pins >= MOST_WRONG_PINS:
            return refusals.PIN_LOCKED
        case "pin" if not command.pin_mark:
            return refusals.proof_wanted("the customer's PIN (pin)")
    return None


def pin_is_wrong(state: Delivery, command: commands.ReportProgress) -> bool:
    """Whether another PIN than the customer's was said for the hand-over."""
    order = state.order
    asked = order is not None and order.proof == "pin" and command.step == "delivered"
    return asked and not _by_admin(command) and not pin_is_right(state, command)


def pin_is_right(state: Delivery, command: commands.ReportProgress) -> bool:
    """Whether the customer's PIN was said."""
    mark = state.order.pin_mark if state.order is not None else ""
    return bool(mark) and compare_digest(mark, command.pin_mark)


def _by_admin(command: commands.ReportProgress) -> bool:
    """Whether an admin takes it for delivered, and says why. Without a note they are asked for the proof as well."""
    return command.actor_type == "admin" and bool(command.note)
