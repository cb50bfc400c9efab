"""How answers look. They describe; handlers do not run through them, so that a read costs no second validation."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Moment = Annotated[datetime, Field(description="ISO-8601, UTC.")]
Status = Literal[
    "created", "searching", "offered", "assigned", "enroute_to_pickup", "arrived_at_pickup", "picked_up",
    "enroute_to_dropoff", "arrived_at_dropoff", "delivered", "failed", "returned", "cancelled",
]  # fmt: skip
Availability = Literal["AVAILABLE", "BUSY", "ON_BREAK", "SHIFT_ENDED", "OFFLINE", "PAUSED"]
OfferState = Literal["PENDING", "ACCEPTED", "REJECTED", "EXPIRED", "WITHDRAWN"]


class Shape(BaseModel):
    """Fields may be added in any release: readers pass over what they do not know."""

    model_config = ConfigDict(extra="allow")


class Wrong(Shape):
    """One value that is not allowed."""

    field: str | None = None
    seen: str | None = None
    reason: str


class Problem(Shape):
    """An error (RFC 9457). Programs go by `code`, people by `detail`."""

    type: Annotated[str, Field(description="urn:baton:problem: and the code.")]
    title: str
    status: int
    code: Annotated[str, Field(description="Stable; new ones may come.")]
    detail: str
    instance: Annotated[str, Field(description="The path that was asked.")]
    errors: list[Wrong] | None = None


class Place(Shape):
    """Degrees, WGS 84."""

    lat: float
    lng: float


class Money(Shape):
    """Minor units: cents of EUR, yen of JPY."""

    amount_minor: int
    currency: str


class Outcome(Shape):
    """What was decided. `repeated`: this command was decided before, with the same outcome."""

    command_id: str
    outcome: str
    status: Annotated[str, Field(description="Of the delivery or driver afterwards.")]
    version: Annotated[int, Field(description="Of the delivery or driver afterwards: its events so far.")]
    delivery_id: str | None = None
    driver_id: str | None = None
    offer_id: str | None = None


class Pending(Shape):
    """Not decided in time; it will be. `ask` is where to look."""

    command_id: str
    outcome: Literal["pending"]
    ask: str
    delivery_id: str | None = None
    driver_id: str | None = None
    offer_id: str | None = None


class FirstAnswer(Shape):
    """v1: whether a driver was found at once."""

    assigned: bool
    delivery_id: str
    offer_id: str | None = None


class PingsTaken(Shape):
    """How many were taken, and which were not."""

    taken: int
    refused: list[dict[str, Any]] | None = None


class Taken(Shape):
    """A sign of life."""

    outcome: Literal["taken"]


class EarningParts(Shape):
    """They add up to the earning."""

    base_minor: int | None = None
    distance_minor: int | None = None
    time_minor: int | None = None
    multiplier_percent: int | None = None
    multiplier_minor: int | None = None
    incentive_minor: int | None = None
    incentive_refused: str | None = None


class Offer(Shape):
    """An offer to a driver. The drop-off is rounded to 0.001 degrees."""

    offer_id: str
    delivery_id: str
    driver_id: str
    outcome: OfferState
    store_name: str | None = None
    pickup: Place
    dropoff: Place
    sent_at: Moment | None = None
    expires_at: Moment | None = None
    earning: Money
    incentive: Money
    earning_parts: EarningParts | None = None


class Offers(Shape):
    """Newest first."""

    offers: list[Offer]


class Driver(Shape):
    """A driver as the read model knows them, a moment behind."""

    driver_id: str
    availability: Availability


class Delivery(Shape):
    """A delivery as the read model knows it, a moment behind. Nothing here names the customer."""

    delivery_id: str
    seller_id: str
    seller_order_id: str
    status: Status
    driver_id: str | None = None
    needs_manual_review: bool
    attempt_count: int | None = None


class Contact(Shape):
    """Whom it goes to: told to nobody but the driver who holds the delivery."""

    name: str
    phone: str
    address: str
    note: str


class InHand(Shape):
    """A delivery in a driver's hands. `contact` is null when it is not known now, and `dropoff` is then rounded."""

    delivery_id: str
    offer_id: str | None = None
    status: Status
    pickup: Place
    dropoff: Place
    contact: Contact | None


class AuditEvent(Shape):
    """One event, as it was recorded, with the hash that chains it to the one before."""

    event: str
    audit_word: str | None = None
    version: int
    at: Moment
    actor_type: str
    actor_id: str
    causation_id: str
    body: dict[str, Any]
    hash: str


class Audit(Shape):
    """Everything that happened, in order."""

    events: list[AuditEvent]


class Document(Shape):
    """An object."""


class Health(Shape):
    """Which parts answer."""

    status: Literal["up", "degraded", "draining"]
    parts: dict[str, str]


class RegistryError(Shape):
    """An error in Confluent's words; the first three digits are the HTTP status."""

    error_code: int
    message: str


class SchemaText(Shape):
    """An Avro schema as text."""

    schema_: Annotated[str, Field(alias="schema")]


class Version(SchemaText):
    """One version of a subject."""

    subject: str
    version: int
    id: int


class SubjectVersion(Shape):
    """Where an id stands."""

    subject: str
    version: int


class Compatibility(Shape):
    """How versions must agree."""

    compatibilityLevel: Literal["FULL_TRANSITIVE"]  # noqa: N815  # Confluent's word


class Mode(Shape):
    """Whether schemas can be written."""

    mode: Literal["READONLY"]
