"""How messages of sockets, streams and webhooks look. They describe; what is sent is made elsewhere."""

from typing import Annotated, Any, Literal

from pydantic import Field

from gateways.documents.shapes import (
    Availability,
    Contact,
    EarningParts,
    Moment,
    Money,
    Place,
    Shape,
    Status,
)


class Heard(Shape):
    """What a driver's socket says has both words: `type`, and `event`. Messages from the log have an `id`."""

    id: Annotated[str | None, Field(description="Its place in the log; `since` begins after it.")] = None
    at: Moment | None = None


class DriverTerms(Heard):
    """What an offer or assignment is about. The drop-off is rounded to 0.001 degrees unless `contact` is told."""

    offer_id: str
    delivery_id: str
    store_name: str
    pickup: Place
    dropoff: Place
    pickup_in_min: float | None = None
    delivery_at: Moment | None = None
    pickup_distance_km: float | None = None
    total_distance_km: float | None = None
    earning: Money | None = None
    incentive: Money | None = None
    earning_parts: EarningParts | None = None


class DeliveryOffered(DriverTerms):
    """An offer, to be answered before `expires_at`."""

    type: Literal["DELIVERY_OFFERED_V2"]
    event: Literal["offer_created"]
    expires_at: Moment


class DeliveryAssigned(DriverTerms):
    """The driver holds the delivery. `contact` is null when it is not known now."""

    type: Literal["DELIVERY_ASSIGNED"]
    event: Literal["delivery_assigned"]
    how: str | None = None
    contact: Contact | None = None


class OfferEnded(Heard):
    """An offer is over."""

    type: Literal["OFFER_ENDED"]
    event: Annotated[str, Field(description="offer_accepted, offer_rejected, offer_expired, offer_withdrawn")]
    offer_id: str
    delivery_id: str
    outcome: str
    why: str


class AssignmentEnded(Heard):
    """The driver holds the delivery no longer."""

    type: Literal["ASSIGNMENT_ENDED"]
    event: Literal["assignment_ended"]
    offer_id: str
    delivery_id: str
    why: str


class AvailabilityChanged(Heard):
    """From one availability to another."""

    type: Literal["AVAILABILITY_CHANGED"]
    event: Annotated[str, Field(description="availability_changed, or break_expired when a break ended by itself")]
    from_: Annotated[Availability, Field(alias="from")]
    to: Availability
    reason: str
    until: Moment | None = None


class BreakEndsSoon(Heard):
    """Two minutes before."""

    type: Literal["BREAK_ENDS_SOON"]
    event: Literal["break_ends_soon"]
    until: Moment


class BreakExtended(Heard):
    """It ends later."""

    type: Literal["BREAK_EXTENDED"]
    event: Literal["break_extended"]
    until: Moment


class ZoneRequest(Heard):
    """Drivers are wanted in a zone."""

    type: Literal["ZONE_REQUEST"]
    event: Literal["zone_request"]
    zone_id: str
    zone: str
    note: str


class Broadcast(Heard):
    """Operations say something to drivers."""

    type: Literal["BROADCAST"]
    event: Literal["broadcast"]
    broadcast_id: str
    text: str
    zone_id: str | None = None


class Ready(Heard):
    """All that was missed, or the present state, has been told."""

    type: Literal["READY"]
    event: Literal["ready"]
    resumed: bool


class Resync(Heard):
    """What came after `since` is not known here: the present state follows."""

    type: Literal["RESYNC"]
    event: Literal["resync"]
    why: str


class TokenExpiring(Heard):
    """A minute before."""

    type: Literal["TOKEN_EXPIRING"]
    event: Literal["token_expiring"]
    expires_at: Moment


class TokenTaken(Heard):
    """The connection goes on until then; null: for good."""

    type: Literal["TOKEN_TAKEN"]
    event: Literal["token_taken"]
    expires_at: Moment | None = None


class Pong(Shape):
    """The answer to PING."""

    type: Literal["PONG"]


class Refused(Shape):
    """What the app said is not taken."""

    type: Literal["REFUSED"]
    code: str
    detail: str


class Ping(Shape):
    """A sign of life."""

    type: Literal["PING"]


class Location(Shape):
    """Where the driver is."""

    type: Literal["LOCATION"]
    lat: float
    lng: float
    accuracy_m: float | None = None
    at: Moment | None = None


class Ack(Shape):
    """Heard up to this message."""

    type: Literal["ACK"]
    id: str


class Token(Shape):
    """A new token of the same driver."""

    type: Literal["TOKEN"]
    token: str


class Band(Shape):
    """An arrival: about 80% fall between p10 and p90."""

    p10: Moment | None = None
    p50: Moment
    p90: Moment | None = None
    confidence_percent: int | None = None


class StatusUpdated(Shape):
    """`delivery_status_updated`"""

    delivery_id: str
    version: int
    at: Moment
    status: Status


class EtaUpdated(Shape):
    """`delivery_eta_updated`"""

    delivery_id: str
    version: int
    at: Moment
    pickup_eta: Band | None = None
    delivery_eta: Band | None = None
    why: str


class Fix(Shape):
    """Where the driver is."""

    lat: float
    lng: float
    accuracy_m: float | None = None
    at: Moment
    age_s: float


class LocationUpdated(Shape):
    """`delivery_location_updated`: from assignment to hand-over only. It has no id."""

    delivery_id: str
    location: Fix


class StreamClosed(Shape):
    """`closed`: the stream's last message. `delivery_ended`: there is no more; otherwise come again."""

    reason: str


class WebhookData(Shape):
    """About one delivery, and nothing about its customer. `sequence` rises within a delivery, with gaps."""

    event_id: str | None = None
    delivery_id: str | None = None
    seller_id: str
    seller_order_id: str | None = None
    sequence: int
    status: Status | None = None


class Webhook(Shape):
    """What a seller's endpoint is sent, with the headers of Standard Webhooks."""

    type: str
    timestamp: Moment
    data: WebhookData


TO_DRIVERS: tuple[type[Shape], ...] = (
    DeliveryOffered, DeliveryAssigned, OfferEnded, AssignmentEnded, AvailabilityChanged, BreakEndsSoon, BreakExtended,
    ZoneRequest, Broadcast, Ready, Resync, TokenExpiring, TokenTaken, Pong, Refused,
)  # fmt: skip
FROM_DRIVERS: tuple[type[Shape], ...] = (Ping, Location, Ack, Token)
TRACKING: dict[str, type[Shape]] = {
    "delivery_status_updated": StatusUpdated,
    "delivery_eta_updated": EtaUpdated,
    "delivery_location_updated": LocationUpdated,
    "closed": StreamClosed,
}


def named(message: dict[str, Any]) -> type[Shape] | None:
    """Which shape a socket's message has, by its `type`; None: none that is known."""
    for shape in (*TO_DRIVERS, *FROM_DRIVERS):
        if message.get("type") in shape.model_fields["type"].annotation.__args__:  # type: ignore[union-attr]
            return shape
    return None
