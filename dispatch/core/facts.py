"""What a decision may look at besides its state and command. All of it is recorded with the decision."""

import msgspec

from dispatch.contract.records.shared import Availability, CandidateSource, EtaShape, Route, Vehicle
from dispatch.core.policy import Flags, Policy
from dispatch.core.quotes import Quote, ZonePriceFact


class FoundDriver(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A driver as an index gave it."""

    driver_id: str
    lat: float
    lng: float
    distance_m: int
    vehicle: Vehicle
    capacity: int
    orders: int
    rating: float
    availability: Availability
    last_assigned_ms: int = 0
    """0: never, as far as the index knows."""
    as_of_ms: int = 0
    """The driver's last event that the index has heard of; 0: it does not say."""
    travel_s: float | None = None
    """Seconds to the pickup as a routing engine gave them; None: the formula's."""
    travel_source: str = ""
    preference: str = ""
    """PREFERRED, AVAILABLE or UNAVAILABLE in the pickup's zone; empty: none known."""
    driver_score: float | None = None
    """0..1, and `driver_score_mean` is that of a driver of whom nothing is known."""
    driver_score_mean: float = 0.0
    acceptance_rate: float | None = None
    """Share of offers accepted, shrunk towards the mean."""
    acceptance: float | None = None
    """Chance that this driver accepts, by the model of `SearchResult.model_version`."""


class Trip(msgspec.Struct, frozen=True):
    """Where the goods go from the place of a search, and of which store and zone they are: for the arrivals."""

    dropoff_lat: float
    dropoff_lng: float
    store: str
    zone: str


class SearchNeed(msgspec.Struct, frozen=True, kw_only=True):
    """A question to the index: free drivers round a place, or one driver by name."""

    lat: float
    lng: float
    radius_m: int
    limit: int
    vehicle: Vehicle = "any"
    excluded: tuple[str, ...] = ()
    named: str = ""
    """Only this driver, wherever and however busy."""
    zone: str = ""
    """The pickup's zone: drivers who are UNAVAILABLE there are not found. Empty: zones play no part."""
    trip: Trip | None = None


class SearchResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The index's answer, nearest first."""

    drivers: tuple[FoundDriver, ...] = ()
    """Free ones (AVAILABLE, or BUSY with room), the vehicle fitting, none of the excluded."""
    source: CandidateSource = "none"
    redis_ok: bool = True
    busy_in_radius: int = 0
    nearest_m: int | None = None
    """Distance of the nearest free driver beyond the radius, looked for up to three times the radius."""
    failed: bool = False
    """No path answered: nothing is known about who is there."""
    radius_m: int = 0
    """The radius that was searched; 0: not told."""
    model_version: int = 0
    """Of the acceptance model that was asked; 0: none."""
    route: Route | None = None
    """From the store to the customer, as a routing engine gave it."""
    eta: EtaShape | None = None
    """What was learned of the arrivals of this zone, hour and store."""


class ZoneFacts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known of the zone of a delivery's pickup (of a driver's command: of the zone that it names)."""

    zone: str = "none"
    """`none`: outside every zone."""
    version: int = 0
    """Of the zones in force; 0: there are none."""
    known: bool = False
    """Whether the zone is one of them; one removed since is not."""
    drivers_online: int | None = None
    """Available and busy, as counted a few seconds ago; None: not known."""
    min_drivers_online: int = 0
    target_wait_s: int = 0
    pressure: float = 0
    incentive_minor: int = 0
    """The bonus in force for a delivery picked up here; it applies when `incentive_currency` is the order's."""
    incentive_currency: str = ""

    @property
    def understaffed(self) -> bool:
        """Whether fewer drivers are online than the zone's minimum."""
        return self.drivers_online is not None and self.drivers_online < self.min_drivers_online


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts of one decision: `now_ms` judges lateness and stamps events, `wall_ms` (never before it) sets deadlines."""

    now_ms: int
    wall_ms: int
    policy: Policy
    flags: Flags
    search: SearchResult | None = None
    zone: ZoneFacts | None = None
    """None: nothing is known of zones."""
    price: ZonePriceFact | None = None
    """Of the order's zone; looked at when an order becomes known."""
    quote: Quote | None = None
    """The quote that the order names; None: it names none, or none that was given here."""


class Refusal(msgspec.Struct, frozen=True):
    """A command that changes nothing, with a stable code and a sentence for the person who asked."""

    code: str
    detail: str = ""


class Deadline(msgspec.Struct, frozen=True):
    """A moment at which a TimerDue must come. `kind` is a symbol of DeliveryTimer or DriverTimer."""

    kind: str
    at_ms: int
    ref: str = ""
