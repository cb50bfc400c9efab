"""Generated from schemas/system by dispatch.contract.generate. Do not edit."""


import msgspec


from dispatch.contract.records.shared import ActorType, AggregateType, Audience, DeadLetterAct, DriverScorePart, Outcome, ReplyStage, ShadowVerdict, WebhookAct, ZoneTrend


class ApiKeyPublished(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An API key of a service: never the key itself, only its hash."""

    key_id: str
    hash: str
    """SHA-256 of the secret part, hexadecimal."""
    role: str
    subject: str
    """The service's name: the actor of what it does."""
    sellers: tuple[str, ...]
    """For whom an order service speaks; * for everybody."""
    version: int
    at_ms: int
    expires_at_ms: int
    """0: it does not end by itself."""
    revoked_at_ms: int
    """0: it was not revoked."""
    actor_id: str
    """Who made or revoked it."""
    reason: str = ''


class BroadcastRequested(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Operations tell drivers something."""

    broadcast_id: str
    zone: str = ''
    """Whose drivers; empty: everybody on their shift."""
    text: str
    reason: str
    at_ms: int
    actor_id: str


class Contact(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Personal data of one delivery or driver; a tombstone erases it."""

    subject_id: str
    """A delivery's id, or driver: and a driver's."""
    name: str
    phone: str
    address: str
    lat: float | None = None
    lng: float | None = None
    note: str = ''
    language: str = ''
    """Of notices to them, as an ISO 639-1 code; empty: not known."""
    pin: str = ''
    """What the customer says at the door; empty: none."""


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A record that could not be read or handled."""

    source_topic: str
    partition: int
    offset: int
    key: bytes | None = None
    value: bytes | None = None
    """The first 256 KiB."""
    value_bytes: int
    """The whole size."""
    error: str
    """Kind of failure."""
    reason: str
    """In a sentence."""
    place: str
    """Field or byte where it went wrong, if known."""
    at_ms: int
    worker: str


class DeadLetterHandled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a person did with a dead letter. The first one of a letter holds."""

    letter_id: str
    """Partition and offset of the letter in the topic of dead letters."""
    act: DeadLetterAct
    request_id: str
    """The request that asked for it: a repeat has the same."""
    at_ms: int
    actor_id: str
    reason: str
    """Why, in the words of whoever did it."""
    source_topic: str
    """Where the record came from; one that is retried is put there again."""
    source_partition: int
    source_offset: int
    """-1: it never was in a topic."""


class Decision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a processor decided, with all that shaped it: the source of replay."""

    aggregate: AggregateType
    aggregate_id: str
    command_id: str
    command: bytes
    """The command as consumed, or as made for a timer, in wire format."""
    facts: bytes
    """The facts as JSON."""
    now_ms: int
    version_before: int
    outcome: Outcome
    reason: str = ''
    """The refusal's code."""
    events: int
    """How many events follow version_before."""
    policy_version: int
    code_version: str
    policy_zone: str = ''
    """The zone whose overrides of the policy applied; empty: none did."""


class DriverHeartbeat(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A sign of life of a driver that tells no place."""

    driver_id: str
    at_ms: int


class DriverLocation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A driver's ping."""

    driver_id: str
    lat: float
    lng: float
    accuracy_m: float = 0
    at_ms: int


class DriverScored(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A driver's score as of a moment, with each part; derived from the events."""

    driver_id: str
    at_ms: int
    """The last event that counted."""
    score: float
    """0..1: the sum of weight times value over the parts."""
    mean: float
    """0..1: the score of a driver of whom nothing is known."""
    acceptance_rate: float
    """The value of the part acceptance."""
    parts: tuple[DriverScorePart, ...]


class FeatureFlagToggled(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A feature flag's setting was changed: what it was, what it is, by whom and why."""

    flag: str
    was_enabled: bool
    enabled: bool
    was_rollout_percent: int
    """0..100."""
    rollout_percent: int
    """0..100."""
    was_zones: tuple[str, ...]
    """Empty: everywhere."""
    zones: tuple[str, ...]
    """Empty: everywhere."""
    version: int
    """1..n for each flag."""
    at_ms: int
    actor_id: str
    reason: str = ''
    """Why, in the words of whoever changed it."""


class FlagPublished(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A feature flag's setting."""

    flag: str
    enabled: bool
    rollout_percent: int
    """0..100."""
    zones: tuple[str, ...]
    """Empty: everywhere."""
    version: int
    at_ms: int
    actor_id: str
    reason: str = ''
    """Why, in the words of whoever changed it."""


class IncentivePublished(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A bonus for each delivery picked up in a zone, from a moment to a moment."""

    incentive_id: str
    zone: str
    bonus_minor: int
    currency: str
    starts_at_ms: int
    ends_at_ms: int
    at_ms: int
    actor_id: str
    note: str = ''


class ModelPublished(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A model learned from the log, in force from here on."""

    model: str
    """Which: acceptance."""
    version: int
    at_ms: int
    actor_id: str
    document: str
    """The model as JSON: coefficients and how it was judged."""


class Notice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something to tell somebody."""

    notice_id: str
    audience: Audience
    kind: str
    delivery_id: str = ''
    driver_id: str = ''
    at_ms: int
    level: int = 0
    details: dict[str, str]


class PolicyPublished(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The policy in force from now on."""

    version: int
    at_ms: int
    actor_id: str
    document: str
    """JSON."""
    reason: str = ''
    """Why, in the words of whoever changed it."""


class Reply(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What became of a command, for the gateway that waits."""

    command_id: str
    aggregate_id: str
    stage: ReplyStage
    outcome: Outcome
    reason: str = ''
    """The refusal's code."""
    detail: str = ''
    version: int
    status: str = ''
    offer_id: str | None = None
    driver_id: str | None = None


class ShadowDecision(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a policy in the shadow would have made of a decision: the same state, command and facts, one step."""

    shadow: str
    """Tells policies in the shadow apart: the beginning of its document's SHA-256."""
    aggregate: AggregateType
    aggregate_id: str
    command: str
    """Its type."""
    command_id: str
    partition: int
    """Where the decision stands in its topic."""
    offset: int
    at_ms: int
    """When it was decided."""
    zone: str = 'none'
    policy_version: int
    """In force."""
    verdict: ShadowVerdict
    kinds: tuple[str, ...] = ()
    """In what they differ; of what cannot be decided, why."""
    outcome: Outcome
    was: str = ''
    """What the policy in force made of it, in words; empty: they agree."""
    would_be: str = ''


class TrackingLink(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A link by which somebody may follow one delivery. The token itself is kept nowhere."""

    token_hash: str
    """SHA-256 of the token, in hex; the record's key."""
    delivery_id: str
    issued_at_ms: int
    issued_by: str
    """Who asked for it."""
    expires_at_ms: int
    """No longer than this, whatever becomes of the delivery."""
    after_s: int
    """So long after the delivery ended it opens nothing any more."""
    revoked_at_ms: int | None = None
    """null: it was not revoked."""
    revoked_by: str = ''


class WebhookEndpointChanged(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something was done with an address at which a seller is told. Neither its secret nor its whole URL is in here."""

    change_id: str
    endpoint_id: str
    seller_id: str
    act: WebhookAct
    at_ms: int
    actor_type: ActorType
    actor_id: str
    reason: str
    """Why, in the words of whoever did it; for disabled by Baton itself: gone or given_up."""
    host: str
    """Of the URL."""


class ZoneDriversRequested(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Operations ask available drivers near by to come to a zone."""

    request_id: str
    zone: str
    note: str = ''
    at_ms: int
    actor_id: str


class ZoneHealth(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How a zone is doing."""

    zone: str
    zone_version: int
    at_ms: int
    """When it was counted."""
    drivers_available: int
    drivers_busy: int
    drivers_on_break: int
    drivers_paused: int
    drivers_shift_ended: int
    drivers_offline: int
    drivers_online: int
    """Available and busy."""
    min_drivers_online: int
    open_searches: int
    """Ready and without a holder."""
    oldest_search_s: int
    """How long the oldest of them has waited."""
    pressure: float
    """Open searches by available drivers; with none available, by one."""
    trend: ZoneTrend
    waits: int
    """Deliveries that found a driver within the window."""
    wait_p50_ms: int
    """Of those, from ready to assigned."""
    wait_p95_ms: int
    target_wait_s: int
    window_s: int
    understaffed: bool
    """The alert is on: too few for a while, and not yet enough for a while."""
    understaffed_since_ms: int = 0
    """0: the alert is off."""


class ZonePrice(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A zone's dynamic price from now on."""

    zone: str
    multiplier_percent: int
    """100 is 1.0."""
    pressure: float
    """Open searches a driver who is available, as last told."""
    smoothed_pressure: float
    at_ms: int
    policy_version: int


class ZonePublished(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A zone as it is from a version on; in force once ZonesPublished of that version follows."""

    zone_id: str
    name: str
    priority: int
    """Where zones overlap the higher wins."""
    min_drivers_online: int
    target_wait_s: int
    """How long an order should wait for its driver at most."""
    version: int
    """That of the import it came with."""
    geometry: str
    """GeoJSON: a Polygon or MultiPolygon, longitude first."""


class ZonesPublished(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Ends an import: everything published before it is in force together."""

    version: int
    zones: int
    """How many there are."""
    at_ms: int
    actor_id: str
    note: str = ''


System = ApiKeyPublished | BroadcastRequested | Contact | DeadLetter | DeadLetterHandled | Decision | DriverHeartbeat | DriverLocation | DriverScored | FeatureFlagToggled | FlagPublished | IncentivePublished | ModelPublished | Notice | PolicyPublished | Reply | ShadowDecision | TrackingLink | WebhookEndpointChanged | ZoneDriversRequested | ZoneHealth | ZonePrice | ZonePublished | ZonesPublished
