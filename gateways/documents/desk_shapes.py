"""How answers to operations, to those who follow an order, to sellers' webhooks and to checkouts look."""

from typing import Annotated, Any

from pydantic import Field

from gateways.documents.shapes import Moment, Outcome, Place, Shape, Status

Row = dict[str, Any]


class Listed(Shape):
    """One page: `next_cursor` is given back as `cursor` for the next one; null at the end."""

    next_cursor: str | None = None


class UnassignedOrders(Listed):
    """Those that wait, as `orders`, or by zone, as `zones`, if that was asked for."""

    orders: list[Row] | None = None
    zones: list[Row] | None = None


class DeliveryList(Listed):
    """Newest first."""

    deliveries: list[Row]


class DriverList(Listed):
    """By id."""

    drivers: list[Row]


class AvailabilityHistory(Listed):
    """Newest first."""

    changes: list[Row]


class AuditLogs(Listed):
    """Newest first."""

    events: list[Row]


class Story(Listed):
    """A delivery's history in sentences."""

    story: list[Row]


class DeadLetterList(Listed):
    """Newest first."""

    dead_letters: list[Row]


class DeadLetter(Shape):
    """What was set aside; `content` only where it is nobody's affair."""

    status: str
    retryable: bool
    not_retryable_why: str | None = None
    content: Any = None


class DeadLetterHandled(Shape):
    """What was done with it."""

    letter_id: str
    status: str
    by: str
    reason: str


class Series(Shape):
    """Zones as they are, and over time."""

    zones: list[Row]
    series: list[Row]
    step_s: int
    truncated: bool


class Performance(Listed):
    """Drivers' scores with their parts."""

    drivers: list[Row]


class Economics(Shape):
    """What settled deliveries cost and brought, each currency by itself."""

    by: str
    groups: list[Row]
    total: list[Row] | None = None
    truncated: bool


class BroadcastTaken(Shape):
    """It is on its way."""

    broadcast_id: str
    outcome: str


class Policy(Shape):
    """The policy in force; the version is the ETag too."""

    version: int
    document: Row


class PolicyCheck(Shape):
    """What a document would change."""

    version: int
    good: bool
    findings: list[Any]
    differences: list[Any]


class PolicyChanged(Shape):
    """What was changed; without differences nothing was."""

    version: int
    differences: list[Any]


class PolicyHistory(Shape):
    """Newest first; `before` is given back for older ones."""

    versions: list[Row]
    before: int | None = None


class Flag(Shape):
    """A feature flag."""

    flag: str | None = None
    enabled: bool
    rollout_percent: int


class FlagList(Shape):
    """The flags."""

    flags: list[Flag]


class Changes(Shape):
    """Newest first."""

    changes: list[Row]


class FeatureCollection(Shape):
    """GeoJSON (RFC 7946)."""

    type: str
    features: list[Row]


class ZoneAt(Shape):
    """The zone of a place; `none` outside every zone."""

    zone: str
    version: int


class ZonesImported(Shape):
    """The map in force."""

    version: int
    zones: int


class DriversRequested(Shape):
    """Drivers near by are asked."""

    request_id: str
    zone: str
    at: Moment


class Incentive(Shape):
    """A bonus for each delivery picked up in a zone."""

    incentive_id: str
    zone: str


class Incentives(Shape):
    """Those that run or are to come."""

    incentives: list[Incentive]


class Serviceability(Shape):
    """Whether it could be delivered now."""

    serviceable: bool
    zone: str


class Quote(Shape):
    """A fee, held until `expires_at`."""

    quote_id: str
    expires_at: Moment


class Offered(Outcome):
    """What was decided, and the offer if one was made in time."""


class Proof(Shape):
    """What was shown at the door."""

    delivery_id: str


class ZonePreferences(Shape):
    """By zone."""


class Band(Shape):
    """An arrival: about 80% fall between p10 and p90."""

    p10: Moment | None = None
    p50: Moment
    p90: Moment | None = None
    confidence_percent: int | None = None


class DriverCard(Shape):
    """The driver in public words."""

    first_name: str | None = None
    rating: float | None = None
    vehicle: str
    phone_masked: str | None = None


class Fix(Place):
    """A place with its accuracy and age."""

    accuracy_m: float | None = None
    at: Moment
    age_s: float


class DeliveryStatus(Shape):
    """Driver and place from assignment to hand-over only."""

    delivery_id: str
    version: int
    status: Status
    store_name: str | None = None
    driver: DriverCard | None = None
    location: Fix | None = None
    pickup_eta: Band | None = None
    delivery_eta: Band | None = None
    prep_minutes: float | None = None
    tracking_url: str | None = None


class DeliveryLocation(Shape):
    """Where its driver is; null when nobody has it or knows."""

    delivery_id: str
    status: Status
    location: Fix | None


class TrackingLink(Shape):
    """Shown this once."""

    delivery_id: str
    tracking_url: str
    token: str
    expires_at: Moment


class LinksRevoked(Shape):
    """None of the delivery's links opens anything."""

    delivery_id: str
    revoked: int


class LiveMap(Shape):
    """Drivers on duty and orders that wait, within a box."""

    at: Moment
    drivers: list[Row]
    waiting: list[Row]
    more: bool


class Endpoint(Shape):
    """A seller's endpoint. `secret` is shown when it is made or rotated, and never again."""

    endpoint_id: str
    url: str | None = None
    secret: Annotated[str | None, Field(description="whsec_...")] = None


class Endpoints(Shape):
    """Those of the sellers whom the asker speaks for."""

    endpoints: list[Endpoint]


class MessageSent(Shape):
    """A message is on its way."""

    message_id: str
    event_type: str


class Attempts(Shape):
    """Newest first; `next` is given back as `before`."""

    attempts: list[Row]
    next: int | None = None


class Pin(Shape):
    """What the customer tells the driver at the door; null when none is wanted."""

    pin: str | None
