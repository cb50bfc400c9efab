"""Generated from schemas/offers by dispatch.contract.generate. Do not edit."""


import msgspec


from dispatch.contract.records.shared import AssignHow, OfferTerms


class AssignmentEnded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver holds the delivery no longer."""

    offer_id: str
    delivery_id: str
    driver_id: str
    at_ms: int
    why: str


class DeliveryAssigned(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The driver holds the delivery."""

    offer_id: str
    delivery_id: str
    driver_id: str
    at_ms: int
    how: AssignHow
    terms: OfferTerms


class OfferCreated(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An offer for a driver."""

    offer_id: str
    delivery_id: str
    driver_id: str
    at_ms: int
    expires_at_ms: int
    terms: OfferTerms


class OfferEnded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An offer is over."""

    offer_id: str
    delivery_id: str
    driver_id: str
    at_ms: int
    outcome: str
    """ACCEPTED, REJECTED, EXPIRED or WITHDRAWN."""
    why: str = ''


Offer = AssignmentEnded | DeliveryAssigned | OfferCreated | OfferEnded
