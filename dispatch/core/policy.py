"""Every number of the rules, in one versioned document. The feature flags are in `flags`."""

from typing import Annotated, Any, Literal, TypeVar

import msgspec

from dispatch.core.flags import Flag as Flag
from dispatch.core.flags import Flags as Flags
from dispatch.core.flags import Percent

Seconds = Annotated[float, msgspec.Meta(gt=0, le=1_728_000)]
Metres = Annotated[int, msgspec.Meta(gt=0, le=1_000_000)]
Count = Annotated[int, msgspec.Meta(ge=0, le=1_000)]
LARGEST_MINOR = 1_000_000
Minor = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_MINOR)]
Factor = Annotated[float, msgspec.Meta(ge=0, le=100)]
Speed = Annotated[float, msgspec.Meta(gt=0, le=100_000)]
TopSpeed = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
Currency = Annotated[str, msgspec.Meta(pattern="^([A-Z]{3})?$")]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=10_000)]
PaceFactor = Annotated[float, msgspec.Meta(gt=0, le=10)]
HourFactors = Annotated[tuple[PaceFactor, ...], msgspec.Meta(min_length=24, max_length=24)]
UtcOffset = Annotated[int, msgspec.Meta(ge=-12, le=14)]
Hour = Annotated[int, msgspec.Meta(ge=0, le=23)]
TimeZone = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z]+(?:[/_+-][A-Za-z0-9]+)*$", max_length=64)]
OnExpiry = Literal["auto_assign", "next_driver", "auto_assign_after_n"]
Overrides = dict[str, dict[str, dict[str, Any]]]
"""Zone -> chapter -> field -> the value that holds there instead."""
_S = TypeVar("_S", bound=msgspec.Struct)


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One chapter of the policy. Durations end in `_s`, so that `scaled` finds them."""


class OrderPolicy(_Part, frozen=True):
    stale_after_s: Seconds = 172_800
    """An order placed longer ago than this is refused."""
    ahead_s: Seconds = 300
    """An order placed further in the future than this is refused."""
    remember_s: Seconds = 172_800
    """How long a closed delivery leaves its marker."""


class OfferPolicy(_Part, frozen=True):
    timeout_s: Seconds = 30
    on_expiry: OnExpiry = "auto_assign"
    refusals_before_auto: Count = 2
    """auto_assign_after_n: silence assigns once so many refusals or expiries came before."""
    reserve_timeout_s: Seconds = 5
    """A reservation unanswered for this long is released."""


class SearchPolicy(_Part, frozen=True):
    radius_m: Metres = 5_000
    escalated_radius_m: Metres = 10_000
    limit: Count = 10
    """Candidates looked at, nearest first."""
    fresh_s: Seconds = 10
    """How long the rest of a candidate list is used before searching anew."""
    retry_first_s: Seconds = 5
    retry_max_s: Seconds = 30


class ReassignmentPolicy(_Part, frozen=True):
    grace_s: Seconds = 120
    max_attempts: Count = 3
    moving_away_m: Metres = 1_500
    """Farther from the pickup by this much than the nearest point reached: too far."""
    no_progress_s: Seconds = 600
    """Not nearer to the pickup for this long: too far."""
    tell_customer_after: Count = 2


class EscalationPolicy(_Part, frozen=True):
    level_1_s: Seconds = 300
    level_2_s: Seconds = 900
    level_3_s: Seconds = 1_800
    auto_cancel: bool = False


class AvailabilityPolicy(_Part, frozen=True):
    break_min_s: Seconds = 300
    break_max_s: Seconds = 7_200
    break_notice_s: Seconds = 120
    offline_after_s: Seconds = 300
    seen_every_s: Seconds = 60
    """At most one sign of life in this time reaches a driver's aggregate."""
    capacity_max: Count = 10


class TravelPolicy(_Part, frozen=True):
    detour_factor: Factor = 1.35
    bicycle_kmh: Speed = 15
    scooter_kmh: Speed = 22
    motorbike_kmh: Speed = 28
    car_kmh: Speed = 24
    van_kmh: Speed = 21
    handling_s: Seconds = 120
    """From hand-over at the store to leaving it, and at the customer's door."""
    hour_factors: HourFactors = (1.0,) * 24
    """The pace at each hour of the day, local time, as a factor: 0.8 is slower by a fifth."""
    utc_offset_h: UtcOffset = 0
    """Local time less UTC, for the hour of the day."""


class EtaPolicy(_Part, frozen=True):
    """How arrivals are foretold, and when a change of mind is told."""

    tell_after_s: Seconds = 60
    """An arrival that moved by more than this since it was told last becomes an event."""
    reckon_every_s: Seconds = 10
    """A delivery under way is reckoned anew at most so often because its driver moved."""
    good_s: Seconds = 300
    """The confidence is the chance to arrive within so much of the middle of the band; the report counts by it too."""
    smallest_leg_s: Seconds = 60
    """Added to both sides of actual over reckoned, so that the ratio of a leg of a few seconds says something."""
    waited_s: Seconds = 240
    """A driver who stands longer at the store before the pickup waits for the preparation."""
    strength: Positive = 20
    """Finished deliveries that a zone, an hour or a store needs to weigh as much as what it is part of."""
    memory: Positive = 2_000
    """So many finished deliveries are remembered of each; then the older half weighs half."""
    spread: Share = 0.25
    """Standard deviation of the logarithm of actual over reckoned, believed before anything was seen."""


class RankingPolicy(_Part, frozen=True):
    rating_min_per_star: Factor = 0.5
    """Minutes credited for each star above the mean."""
    rating_mean: Factor = 4.0
    fairness_min_per_hour: Factor = 2.0
    """Minutes credited for each hour since the last assignment."""
    fairness_max_min: Factor = 3.0
    load_min_per_order: Factor = 8.0
    """Minutes charged for each delivery already held."""
    preferred_zone_min: Factor = 2.0
    """Minutes credited to a driver who prefers the pickup's zone."""
    driver_score_min: Factor = 4.0
    """Minutes that lie between the worst and the best driver score."""
    refusal_min: Factor = 3.0
    """Minutes that a refusal costs; charged by the chance of one (flag `acceptance_ranking`)."""
    explore_percent: Percent = 0
    """Share of the deliveries in which a second-best goes first, so that the model sees more than its own choices."""
    explore_within_min: Factor = 2.0
    """How much worse than the best a second-best may be for that."""


class DriverScorePolicy(_Part, frozen=True):
    """Weights of a driver's score, and what is believed of a driver of whom nothing is known."""

    acceptance_weight: Factor = 0.2
    completion_weight: Factor = 0.25
    on_time_weight: Factor = 0.25
    rating_weight: Factor = 0.15
    cancellations_weight: Factor = 0.15
    acceptance_mean: Share = 0.7
    completion_mean: Share = 0.97
    on_time_mean: Share = 0.85
    rating_mean: Share = 0.8
    """Of five stars: four."""
    cancellations_mean: Share = 0.97
    """Share of assignments not given up."""
    strength: Positive = 20
    """So many observations weigh as much as the mean: the shrinkage."""
    rating_counts: Factor = 20
    """A rating comes without the number of those who gave it, and counts as so many observations."""
    late_after_s: Seconds = 300
    """Handed over by so much after the time told at the assignment still counts as on time."""


class ZonePolicy(_Part, frozen=True):
    understaffed_radius_m: Metres = 15_000
    """Searched where the pickup's zone has fewer drivers online than its minimum."""
    window_s: Seconds = 600
    """Waits are counted over this time."""
    trend_s: Seconds = 300
    """The pressure is compared with the one so long ago."""
    trend_step: Factor = 0.25
    """A smaller change of the pressure is none."""
    understaffed_after_s: Seconds = 30
    """Too few drivers for so long: operations are told."""
    staffed_after_s: Seconds = 60
    """Enough drivers for so long: operations are told that it is over."""
    request_every_s: Seconds = 600
    """Drivers are asked to come to a zone at most once in this time."""
    request_radius_m: Metres = 10_000
    """Who is farther from the zone's middle is not asked to come."""
    request_most: Count = 200
    """So many drivers are asked to come at most, the nearest first."""
    preferences_max: Count = 50
    """Zones of which a driver may say something."""


class PayPolicy(_Part, frozen=True):
    """What drivers earn. Shares are of the earning without the incentive, which is for completing a delivery."""

    currency: Currency = ""
    """Of the amounts here; empty: that of whatever order they are applied to."""
    base_minor: Minor = 250
    per_km_minor: Minor = 60
    per_minute_minor: Minor = 12
    on_the_way_percent: Percent = 25
    """Paid when a delivery is cancelled or taken away by an admin before its driver is at the store."""
    at_store_percent: Percent = 50
    """The same once the driver is at the store, and when it fails there."""
    returned_percent: Percent = 100
    """Paid for goods brought back to the store."""
    failed_with_goods_percent: Percent = 50
    """Paid when goods on their way back are given up."""


class PricingPolicy(_Part, frozen=True):
    """The dynamic price (flag `dynamic_pricing`) and quotes."""

    currency: Currency = ""
    free_pressure: Factor = 1.0
    """Open searches a driver who is available, up to which the multiplier is 1.0."""
    percent_per_pressure: Count = 25
    """Added for each whole unit of pressure above."""
    step_percent: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5
    max_percent: Annotated[int, msgspec.Meta(ge=100, le=200)] = 200
    smoothing_s: Seconds = 120
    """Time constant: so long after a change of pressure about 63% of it is in the price."""
    repeat_s: Seconds = 30
    """A price that stays is published again after so long, which tells that it is alive."""
    stale_s: Seconds = 300
    """A price of which nothing was heard for so long is not believed: the multiplier is 1.0."""
    quote_hold_s: Seconds = 300
    fee_base_minor: Minor = 199
    fee_per_km_minor: Minor = 40
    """Along the straight line from store to door, as for the earning."""


class CostPolicy(_Part, frozen=True):
    """What a delivery costs besides its driver, and what it brings. Thousandths are of a minor unit."""

    currency: Currency = ""
    routing_call_thousandths: Minor = 50
    message_thousandths: Minor = 700
    event_thousandths: Minor = 2
    """Storage, for each event of the delivery."""
    platform_minor: Minor = 35
    """A dispatched delivery's share of what the platform costs."""
    commission_percent: Percent = 20
    """Of the order value, when it is delivered."""
    fee_kept_percent: Percent = 0
    """Of the delivery fee, when a delivery that had a driver is not completed."""


class PresencePolicy(_Part, frozen=True):
    """Which pings are believed."""

    oldest_s: Seconds = 600
    """A ping that tells of a moment longer ago than this is refused."""
    clock_ahead_s: Seconds = 60
    """A ping from further in the future than this is refused: clocks of phones differ, but not by more."""
    accuracy_max_m: Metres = 1_000
    """A ping less exact than this is refused."""
    jump_slack_m: Metres = 500
    """So far a driver may seem to move in no time: the noise of positioning."""
    bicycle_max_kmh: TopSpeed = 60
    scooter_max_kmh: TopSpeed = 100
    motorbike_max_kmh: TopSpeed = 180
    car_max_kmh: TopSpeed = 180
    van_max_kmh: TopSpeed = 160
    """Beyond this since the last good ping, a ping is not believed until a second one near it confirms it."""


class WakeUpPolicy(_Part, frozen=True):
    """How a driver who becomes free wakes searches that wait near by."""

    per_driver: Count = 3
    """Deliveries woken by one driver in `wake_gap_s`, at most."""
    wake_gap_s: Seconds = 1
    """A delivery is woken at most once in this time."""


class NoticePolicy(_Part, frozen=True):
    """When people are told, and how often. From and to the same hour: never quiet."""

    time_zone: TimeZone = "UTC"
    """Of the quiet hours and of the times in the texts."""
    customer_quiet_from_h: Hour = 22
    customer_quiet_to_h: Hour = 7
    driver_quiet_from_h: Hour = 22
    driver_quiet_to_h: Hour = 7
    operations_quiet_from_h: Hour = 0
    operations_quiet_to_h: Hour = 0
    repeat_after_s: Seconds = 600
    """The same news of the same thing within this time is not told again."""
    counted_s: Seconds = 3_600
    """Notices to one recipient are counted over this time."""
    customer_most: Count = 8
    driver_most: Count = 20
    operations_most: Count = 120
    """Beyond so many only what is urgent is told."""
    delayed_after_s: Seconds = 300
    """So much later than last told: the customer hears of it."""
    send_attempts: Annotated[int, msgspec.Meta(ge=1, le=100)] = 8
    """After so many failures a notice is dead: kept, with the cause."""
    send_retry_first_s: Seconds = 2
    send_retry_max_s: Seconds = 300
    send_claim_s: Seconds = 30
    """A sending not reported on for so long is taken to be interrupted; longer than any sending takes."""


class Policy(_Part, frozen=True):
    """The whole document. The defaults are the domain's."""

    version: int = 1
    order: OrderPolicy = OrderPolicy()
    offer: OfferPolicy = OfferPolicy()
    search: SearchPolicy = SearchPolicy()
    reassignment: ReassignmentPolicy = ReassignmentPolicy()
    escalation: EscalationPolicy = EscalationPolicy()
    availability: AvailabilityPolicy = AvailabilityPolicy()
    presence: PresencePolicy = PresencePolicy()
    wake_up: WakeUpPolicy = WakeUpPolicy()
    travel: TravelPolicy = TravelPolicy()
    eta: EtaPolicy = EtaPolicy()
    ranking: RankingPolicy = RankingPolicy()
    driver_score: DriverScorePolicy = DriverScorePolicy()
    pay: PayPolicy = PayPolicy()
    pricing: PricingPolicy = PricingPolicy()
    cost: CostPolicy = CostPolicy()
    zones: ZonePolicy = ZonePolicy()
    notices: NoticePolicy = NoticePolicy()
    by_zone: Overrides = {}
    """What is otherwise in some zones; which chapters may be: dispatch/core/policy_document.py."""

    def for_zone(self, zone: str) -> "Policy":
        """The policy as it holds for deliveries of a zone: the same one when the zone has nothing of its own."""
        changes = self.by_zone.get(zone)
        if not changes:
            return self
        parts = {name: _merged(getattr(self, name), fields) for name, fields in changes.items()}
        return msgspec.structs.replace(self, by_zone={zone: changes}, **parts)


_MINUTES = (
    "rating_min_per_star",
    "fairness_max_min",
    "load_min_per_order",
    "preferred_zone_min",
    "driver_score_min",
    "refusal_min",
    "explore_within_min",
)
"""Durations that do not end in `_s`. Minutes per hour stay: both live faster."""
_MACHINES = (
    "oldest_s",
    "reserve_timeout_s",
    "repeat_s",
    "stale_s",
    "clock_ahead_s",
    "wake_gap_s",
    "send_retry_first_s",
    "send_retry_max_s",
    "send_claim_s",
)


def scaled(policy: Policy, speed: float) -> Policy:
    """The policy of a city that lives `speed` times as fast: durations divided, paces multiplied.

    What the machines take among themselves is not the city's: they are as slow as ever.
    """
    return _scaled(policy, speed)


def _scaled(part: _S, speed: float) -> _S:
    changes: dict[str, object] = {}
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, msgspec.Struct):
            changes[name] = _scaled(value, speed)
        elif name == "by_zone":
            changes[name] = {
                zone: {chapter: _scaled_fields(fields, speed) for chapter, fields in chapters.items()}
                for zone, chapters in value.items()
            }
        else:
            changes |= _scaled_fields({name: value}, speed)
    return msgspec.structs.replace(part, **changes)


def _scaled_fields(fields: dict[str, Any], speed: float) -> dict[str, Any]:
    changed = dict(fields)
    for name, value in fields.items():
        if (name.endswith("_s") and name not in _MACHINES) or name in _MINUTES:
            changed[name] = value / speed
        elif name.endswith("_kmh"):
            changed[name] = value * speed
        elif name.endswith("per_minute_minor"):
            changed[name] = min(round(value * speed), LARGEST_MINOR)
    return changed


def _merged(part: _S, fields: dict[str, Any]) -> _S:
    return msgspec.convert({**msgspec.to_builtins(part), **fields}, type(part))
