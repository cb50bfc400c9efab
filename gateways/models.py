"""Bodies of requests, validated. Limits that the contract states too are checked again there."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

Id = Annotated[str, Path(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:@|-]+$")]
"""An id in a path."""
Identifier = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9_.:@|-]+$")]
Uuid = Annotated[str, Field(pattern=r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$")]
Short = Annotated[str, Field(max_length=200)]
Note = Annotated[str, Field(max_length=1000)]
Minor = Annotated[int, Field(ge=0, le=1_000_000_000_000)]
Lat = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Lng = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Vehicle = Literal["any", "bicycle", "scooter", "motorbike", "car", "van"]
_AHEAD_S = 300


def _not_ahead(moment: datetime) -> datetime:
    ahead = (moment - datetime.now(UTC)).total_seconds()
    if ahead > _AHEAD_S:
        raise ValueError(f"is {ahead:.0f} s in the future; at most {_AHEAD_S} s are allowed")
    return moment


Past = Annotated[datetime, AfterValidator(lambda moment: _not_ahead(_utc(moment)))]


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Body(BaseModel):
    """Unknown fields are mistakes."""

    model_config = ConfigDict(extra="forbid", strict=False)


class Pickup(Body):
    """The store."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    lat: Lat
    lng: Lng


class Dropoff(Body):
    """The customer's door."""

    lat: Lat
    lng: Lng
    address: Note = ""
    note: Note = ""


class Customer(Body):
    """Whom to tell."""

    name: Short = ""
    phone: Short = ""
    language: Annotated[str, Field(pattern=r"^([a-z]{2})?$", description="ISO 639-1, of notices to them.")] = ""
    pin: Annotated[str, Field(pattern=r"^([0-9]{4,8})?$", description="Said at the door; empty: one is made.")] = ""


class Requirements(Body):
    """What the driver must bring."""

    vehicle: Vehicle = "any"
    size: Annotated[int, Field(ge=1, le=100)] = 1
    age_check: bool = False
    cash: bool = False
    proof: Literal["none", "photo", "signature", "pin"] = "none"


class OrderBody(Body):
    """An order, placed or ready."""

    seller_id: Identifier
    seller_order_id: Identifier
    pickup: Pickup
    dropoff: Dropoff
    order_value_minor: Minor
    delivery_fee_minor: Minor = 0
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    quote_id: Annotated[str, Field(max_length=400, pattern=r"^[A-Za-z0-9_.-]*$")] = ""
    prep_s: Annotated[int, Field(ge=0, le=172_800)] = 300
    placed_at: Past | None = None
    customer: Customer = Customer()
    requirements: Requirements = Requirements()

    def inbound(self, message_id: str, now_ms: int) -> dict[str, Any]:
        """The fields of the inbound record that says the same."""
        placed = self.placed_at.timestamp() * 1000 if self.placed_at else now_ms
        return {
            "message_id": message_id,
            "seller_id": self.seller_id,
            "seller_order_id": self.seller_order_id,
            "store_name": self.pickup.name,
            "pickup_lat": self.pickup.lat,
            "pickup_lng": self.pickup.lng,
            "dropoff_lat": self.dropoff.lat,
            "dropoff_lng": self.dropoff.lng,
            "order_value_minor": self.order_value_minor,
            "delivery_fee_minor": self.delivery_fee_minor,
            "currency": self.currency,
            "quote_id": self.quote_id,
            "prep_s": self.prep_s,
            "placed_at_ms": round(placed),
            "customer_name": self.customer.name,
            "customer_phone": self.customer.phone,
            "customer_language": self.customer.language,
            "dropoff_address": self.dropoff.address,
            "dropoff_note": self.dropoff.note,
            **self.requirements.model_dump(),
        }


class CancelBody(Body):
    """Why an order is not wanted any more."""

    reason: Annotated[str, Field(min_length=1, max_length=200)]
    note: Note = ""


class PrepTimeBody(Body):
    """The store's new estimate."""

    prep_s: Annotated[int, Field(ge=0, le=172_800)]


class ZonePreferenceBody(Body):
    """A driver's word on a zone; AVAILABLE takes back what was said before."""

    preference: Literal["PREFERRED", "AVAILABLE", "UNAVAILABLE"]


class SignOnBody(Body):
    """What a driver brings."""

    vehicle: Literal["bicycle", "scooter", "motorbike", "car", "van"]
    capacity: Annotated[int, Field(ge=1, le=10)] = 1
    rating: Annotated[float, Field(ge=0, le=5, allow_inf_nan=False)] = 0
    lat: Lat
    lng: Lng
    name: Annotated[str, Field(max_length=200, description="Of it customers see the first word.")] = ""
    phone: Annotated[str, Field(max_length=200, description="Of it customers see the last three digits.")] = ""
    language: Annotated[str, Field(pattern=r"^([a-z]{2})?$", description="ISO 639-1, of notices to them.")] = ""


class LocationBody(Body):
    """Where a driver is."""

    lat: Lat
    lng: Lng
    accuracy_m: Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)] = 0
    at: Past | None = None


Pings = Annotated[
    Annotated[LocationBody, Tag("ping")] | Annotated[list[LocationBody], Tag("pings")],
    Discriminator(lambda seen: "pings" if isinstance(seen, list) else "ping"),
]
"""One, or several; the tag is in the name of a field that is wrong."""


class OfferAnswer(Body):
    """An answer to an offer; without the delivery's id it is looked up."""

    delivery_id: Uuid | None = None


class RejectBody(OfferAnswer):
    """Why an offer is refused."""

    reason: Literal["too_far", "no_time", "bad_area", "vehicle", "earning", "other"]
    note: Note = ""


class ProgressBody(Body):
    """A courier's step."""

    offer_id: Uuid
    step: Literal[
        "enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff", "delivered"
    ]
    proof_ref: Annotated[Short | None, Field(description="Where the photo is kept.")] = None
    signature_ref: Annotated[Short | None, Field(description="Where the signature is kept.")] = None
    pin: Annotated[str, Field(pattern=r"^([0-9]{4,8})?$", description="As the customer says it at the door.")] = ""


class HeldBody(Body):
    """About the delivery in hand."""

    offer_id: Uuid
    note: Note = ""


class FailBody(HeldBody):
    """Why it cannot be completed."""

    reason: Annotated[str, Field(min_length=1, max_length=200)]


class BreakBody(Body):
    """A break wanted."""

    minutes: Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)]
    reason: Short = ""


class ExtendBody(Body):
    """More minutes."""

    minutes: Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)]


class EndShiftBody(Body):
    """When the shift ends."""

    after_delivery: bool = False


class ReasonBody(Body):
    """Admin actions need a reason."""

    reason: Annotated[str, Field(min_length=1, max_length=200)]


class PauseBody(ReasonBody):
    """What becomes of the delivery in hand."""

    held: Literal["keep", "reassign"] = "keep"


class AssignBody(Body):
    """The driver whom an admin names."""

    driver_id: Identifier
    note: Annotated[str, Field(min_length=1, max_length=1000)]


class AdminNoteBody(Body):
    """Admin actions need a note."""

    note: Annotated[str, Field(min_length=1, max_length=1000)]
