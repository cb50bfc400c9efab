"""Doors that are asked before checkout: could it be delivered, when, and for how much."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Response

from dispatch.contract.records.shared import EtaBand
from dispatch.core.facts import SearchNeed, ZoneFacts
from dispatch.core.money import MixedCurrencies
from dispatch.core.policy import Policy
from dispatch.core.quoting import Asked, NoCurrency, quoted
from dispatch.core.serviceability import LARGEST_WAY_M, Serviceable, Wanted, judged, way_m
from dispatch.core.zones import reach_m
from dispatch.inputs.arrivals import Arrivals
from dispatch.inputs.prices import PriceBoard
from dispatch.inputs.quotes import QuoteSeal, told
from dispatch.inputs.zones import ZoneBoard
from gateways.commands import json, now_ms
from gateways.commerce.bodies import QuoteBody, ServiceabilityBody
from gateways.commerce.near import Near
from gateways.followed import Followed
from gateways.problems import Problem, unreachable
from gateways.rules import RulesInForce

_WORDS = {
    "too_far": "The places are too far apart.",
    "drivers_unknown": "Where drivers are is not known at the moment.",
    "no_available_drivers": "No driver is near the store.",
    "all_drivers_busy": "All drivers near the store are busy.",
    "distance_exceeded": "The nearest free driver is too far from the store.",
}


@dataclass(frozen=True, slots=True)
class Counter:
    """What a counter must know before it answers."""

    rules: RulesInForce
    zones: Followed[ZoneBoard]
    prices: Followed[PriceBoard]
    arrivals: Followed[Arrivals]
    near: Near
    seal: QuoteSeal

    def policy(self, zone: str) -> Policy:
        """As it holds in the zone. Raises Problem 503 when it was not read yet."""
        if not self.rules.known:
            raise unreachable("The topic of the policy")
        return self.rules.rules.policy_for(zone)


def routes(counter: Counter) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["commerce"])

    @router.post("/v2/serviceability")
    async def serviceability(body: ServiceabilityBody) -> Response:
        """Whether it could be delivered now, from which zone, how many drivers are near roughly, and when it arrives.

        An answer about this moment, not a promise. A part that is needed and away: 503, not a guess.
        """
        now = now_ms()
        zone, found = await judge(counter, body, now)
        return json({**shown(found, zone, counter.zones.now.table.version), "at": _time(now)})

    @router.post("/v2/quotes", status_code=201)
    async def quotes(body: QuoteBody) -> Response:
        """The delivery fee, held until `expires_at` for an order that names `quote_id`; and when it would arrive."""
        now = now_ms()
        zone, found = await judge(counter, body, now)
        if found.why_not == "too_far":
            raise Problem(422, "too_far", f"The places are {found.distance_m} m apart; at most {LARGEST_WAY_M} are.")
        asked = Asked(pickup=_place(body.pickup), dropoff=_place(body.dropoff), zone=zone, currency=body.currency)
        try:
            made = quoted(asked, counter.prices.now.of(zone), counter.policy(zone), counter.rules.rules.flags, now)
        except NoCurrency as error:
            raise Problem(422, "currency_wanted", "The policy names no currency; say one.") from error
        except MixedCurrencies as error:
            raise Problem(422, "other_currency", f"It cannot be priced: {error}.") from error
        price = told(made, counter.seal.sealed(made))
        del price["earning_minor"]  # what the driver earns is not the buyer's business
        return json({**price, **shown(found, zone, counter.zones.now.table.version)}, 201)

    return router


async def judge(counter: Counter, body: ServiceabilityBody, now: int) -> tuple[str, Serviceable]:
    """The pickup's zone and the answer."""
    board, arrivals = counter.zones.now, counter.arrivals.now
    zone_id = board.table.at(*_place(body.pickup))
    policy = counter.policy(zone_id)
    wanted = Wanted(
        pickup=_place(body.pickup), dropoff=_place(body.dropoff), vehicle=body.requirements.vehicle, prep_s=body.prep_s
    )
    shape = arrivals.shape("assigned", zone_id, body.store, now, policy)
    search = None
    if way_m(wanted) <= LARGEST_WAY_M:
        balancing = counter.rules.rules.flags.zone_balancing.covers("", zone_id)
        search = await counter.near.search(need(wanted, board.facts(zone_id, now), policy, balancing=balancing))
        if search.failed:
            raise unreachable("The index of drivers")
    return zone_id, judged(wanted, search, shape, policy, now)


def need(wanted: Wanted, zone: ZoneFacts, policy: Policy, *, balancing: bool) -> SearchNeed:
    """The search that an order would begin with."""
    return SearchNeed(
        lat=wanted.pickup[0],
        lng=wanted.pickup[1],
        radius_m=reach_m(policy.search.radius_m, zone, policy, balancing=balancing),
        limit=policy.search.limit,
        vehicle=wanted.vehicle,
        zone=zone.zone if balancing and zone.known else "",
    )


def shown(found: Serviceable, zone: str, version: int) -> dict[str, Any]:
    """The answer as JSON has it."""
    return {
        "serviceable": found.yes,
        "why_not": found.why_not or None,
        "detail": _WORDS.get(
            found.why_not, "It could be delivered now." if found.yes else "It could not be delivered."
        ),
        "zone": zone,
        "zones_version": version,
        "distance_m": found.distance_m,
        "drivers_near": found.drivers_near,
        "pickup": _band(found.arrivals.pickup) if found.arrivals else None,
        "delivery": _band(found.arrivals.delivery) if found.arrivals else None,
    }


def _band(band: EtaBand) -> dict[str, Any]:
    return {
        "expected_at": _time(band.p50_ms),
        "earliest_at": _time(band.p10_ms),
        "latest_at": _time(band.p90_ms),
        "confidence_percent": band.confidence,
    }


def _place(place: Any) -> tuple[float, float]:
    return place.lat, place.lng


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="seconds")
