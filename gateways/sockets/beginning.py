"""What a new connection is told first: the read model's rows, set right by what was heard since they were written."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from dispatch.contract.records.driver_events import DriverAvailabilityChanged
from dispatch.contract.records.offers import AssignmentEnded, DeliveryAssigned, OfferCreated, OfferEnded
from gateways.reads import handed_over
from gateways.sockets.words import ASSIGNED, OFFERED, Message, worded

Contact = dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class State:
    """Open offers and what the driver holds, as messages without ids."""

    offers: tuple[Message, ...]
    assignments: tuple[Message, ...]
    more: Message
    """For READY."""

    @property
    def messages(self) -> tuple[Message, ...]:
        """In the order in which they are told."""
        return self.offers + self.assignments

    @property
    def held(self) -> list[str]:
        """The deliveries in hand."""
        return [str(message["delivery_id"]) for message in self.assignments]

    @property
    def told(self) -> frozenset[tuple[str, str]]:
        """What need not be told again when it comes from the log."""
        offers = {("offer", str(message["offer_id"])) for message in self.messages}
        return frozenset(offers | {("held", str(message["offer_id"])) for message in self.assignments})

    def with_contacts(self, contacts: Sequence[Contact]) -> "State":
        """The assignments with whom they go to."""
        pairs = zip(self.assignments, contacts, strict=True)
        return State(self.offers, tuple(handed_over(message, contact) for message, contact in pairs), self.more)


def present(
    offers: Iterable[Message], held: Iterable[Message], lately: Iterable[Any], more: Message, now_ms: int,
    as_of: Mapping[str, int] = MappingProxyType({}),
) -> State:  # fmt: skip
    """The state from the tables' rows and the records heard lately, of which the later ones win.

    `as_of`: of when a delivery's row is, UTC ms. One that is later than an assignment, and not among what is held,
    knows of its end, which was not heard here yet: whom it goes to is no longer this driver's business.
    """
    open_now: dict[str, Message] = {str(row["offer_id"]): {**OFFERED, **row} for row in offers}
    in_hand: dict[str, Message] = {str(row["offer_id"]): {**ASSIGNED, **row} for row in held}
    for record in lately:
        match record:
            case OfferCreated(expires_at_ms=until_ms) if until_ms > now_ms:
                open_now.setdefault(record.offer_id, worded(record) or {})
            case OfferEnded():
                open_now.pop(record.offer_id, None)
            case DeliveryAssigned():
                open_now.pop(record.offer_id, None)
                if as_of.get(record.delivery_id, 0) <= record.at_ms:
                    in_hand.setdefault(record.offer_id, worded(record) or {})
            case AssignmentEnded():
                in_hand.pop(record.offer_id, None)
            case DriverAvailabilityChanged():
                more = more | {"availability": record.to_availability}
    return State(tuple(open_now.values()), tuple(in_hand.values()), more)


def after_what_was_told(record: Any, told: frozenset[tuple[str, str]]) -> bool:
    """Whether a record from the log says more than the beginning did."""
    match record:
        case OfferCreated():
            return ("offer", record.offer_id) not in told
        case DeliveryAssigned():
            return ("held", record.offer_id) not in told
        case _:
            return True
