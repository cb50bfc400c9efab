"""Examples of what is sent, by the name of the body's model."""

from typing import Any

_WHY = {"note": "the customer called"}
_OFFER_ID = "2b1e0a44-52c4-5a0e-8a51-0a2f6d4d9c02"
ORDER: dict[str, Any] = {
    "seller_id": "anker",
    "seller_order_id": "2031",
    "pickup": {"name": "Anker", "lat": 47.9961, "lng": 7.8494},
    "dropoff": {"lat": 48.0123, "lng": 7.8601, "address": "Basler Str. 1"},
    "order_value_minor": 2000,
    "delivery_fee_minor": 290,
    "currency": "EUR",
    "prep_s": 300,
    "customer": {"name": "Clara Q.", "phone": "+49 761 5550123", "language": "de"},
}

BODIES: dict[str, Any] = {
    "OrderBody": ORDER,
    "PrepTimeBody": {"prep_s": 900},
    "CancelBody": {"reason": "customer_request", **_WHY},
    "SignOnBody": {"vehicle": "bicycle", "capacity": 1, "rating": 4.8, "lat": 47.997, "lng": 7.851},
    "LocationBody": {"lat": 47.9975, "lng": 7.8512, "accuracy_m": 8},
    "BreakBody": {"minutes": 15, "reason": "lunch"},
    "ExtendBody": {"minutes": 10},
    "EndShiftBody": {"after_delivery": True},
    "ZonePreferenceBody": {"preference": "PREFERRED"},
    "OfferAnswer": {},
    "RejectBody": {"reason": "too_far"},
    "ProgressBody": {"offer_id": _OFFER_ID, "step": "picked_up"},
    "FailBody": {"offer_id": _OFFER_ID, "reason": "customer_absent"},
    "HeldBody": {"offer_id": _OFFER_ID, "note": "a puncture"},
    "ReasonBody": {"reason": "documents checked"},
    "PauseBody": {"reason": "documents ran out", "held": "keep"},
    "AssignBody": {"driver_id": "ana", **_WHY},
    "AdminNoteBody": _WHY,
}
"""Each is a body that its model takes; a test holds it."""
