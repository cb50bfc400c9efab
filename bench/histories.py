"""Histories of deliveries and their drivers, made from a seed: events as the core would have decided them.

Of ten deliveries six go to the first driver asked, two are refused once, one is refused and expires, one waits for a
driver; some are reassigned, cancelled, or fail. Times run on evenly, so that months pass if many are made.
"""

import random
from collections.abc import Generator, Iterator
from typing import Any, NamedTuple

import msgspec

from dispatch.contract import identity, topics
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.shared import Candidate, Economics, Eta, EtaBand, OfferTerms, Order

START_MS = 1_790_000_000_000
_REASONS = ("too_far", "no_time", "bad_area", "vehicle", "earning", "other")


class Made(NamedTuple):
    """An event and where it belongs."""

    topic: topics.Topic
    key: str
    event: Any


class Histories:
    """Makes them, each delivery from its beginning to its end, one after the other."""

    def __init__(self, seed: int = 1, drivers: int = 200, zones: int = 12, sellers: int = 60) -> None:
        self._random = random.Random(seed)
        self._seed = seed
        self._versions: dict[str, int] = {}
        self._drivers = [f"driver-{number}" for number in range(drivers)]
        self._zones = [f"zone-{number}" for number in range(zones)]
        self._sellers = [f"seller-{number}" for number in range(sellers)]
        self._number = 0
        self._ms = START_MS

    def drivers(self) -> Iterator[Made]:
        """Sign-ons, and what some say of zones. First of all."""
        for name in self._drivers:
            yield self._of_driver(
                dr.DriverSignedOn, name, vehicle="car", capacity=1, rating=4.5, lat=48.0, lng=7.85, offline_at_ms=0
            )
            yield self._moved(name, "OFFLINE", "AVAILABLE")
            if self._random.random() < 0.2:
                zone, word = self._random.choice(self._zones), self._random.choice(("PREFERRED", "UNAVAILABLE"))
                yield self._of_driver(dr.DriverZonePreferenceSet, name, zone=zone, preference=word)

    def deliveries(self, count: int, apart_ms: int = 2_000) -> Iterator[Made]:
        """So many more deliveries, their beginnings `apart_ms` apart."""
        for _ in range(count):
            self._number += 1
            self._ms += apart_ms
            yield from self._delivery(identity.derived(f"{self._seed}/{self._number}"), self._ms)

    def _delivery(self, name: str, ms: int) -> Iterator[Made]:
        chance = self._random.random
        zone, seller = self._random.choice(self._zones), self._random.choice(self._sellers)
        order = Order(
            seller_id=seller, seller_order_id=f"order-{self._number}", store_name="Anker", pickup_lat=48.0,
            pickup_lng=7.85, dropoff_lat=48.01, dropoff_lng=7.86, order_value_minor=self._random.randint(900, 6000),
            delivery_fee_minor=199, currency="EUR", placed_at_ms=ms, zone=zone,
        )  # fmt: skip
        say = _Say(self, name, ms)
        yield say(de.DeliveryCreated, 0, order=order, zone_version=1)
        yield say(de.AssignmentStarted, 5, zone=zone, driver_offers=True, reassignment=True, escalation=True)
        if chance() < 0.1:
            yield from self._waits(say)
        if chance() < 0.02:
            yield say(de.DeliveryCancelled, 60_000, reason="customer", note="")
            yield say(de.DeliveryEconomicsSettled, 0, driver_id="", seller_id=seller, zone=zone, outcome="cancelled",
                      economics=_money(0))  # fmt: skip
            return
        driver = yield from self._taken(say, seller, zone)
        if chance() < 0.04:
            yield say(de.AssignmentReassigned, 60_000, reason="driver_offline", assigned_at_ms=say.ms)
            yield self._of_driver(dr.DriverReservationReleased, driver, at_ms=say.ms, offer_id=say.offer,
                                  delivery_id=name, why="reassigned", free_capacity=1)  # fmt: skip
            driver = yield from self._taken(say, seller, zone)
        yield from self._made(say, driver, seller, zone)

    def _waits(self, say: "_Say") -> Iterator[Made]:
        for number in range(self._random.randint(1, 4)):
            yield say(de.DriverCandidatesFound, 2, search_no=number + 1, candidates=(), source="valkey", zone="none")
            yield say(de.NoDriverFound, 0, search_no=number + 1, why="no_available_drivers", retry_at_ms=say.ms + 5_000)
            say.ms += 90_000
        if self._random.random() < 0.3:
            yield say(de.UnassignedEscalated, 0, level=1, why="no_available_drivers", waiting_ms=300_000)

    def _taken(self, say: "_Say", seller: str, zone: str) -> Generator[Made, None, str]:
        """Asked, refused perhaps, asked again; ends with the driver who has it."""
        refusals = self._random.choices((0, 1, 2), (7, 2, 1))[0]
        drivers = self._random.sample(self._drivers, refusals + 1)
        candidates = tuple(_candidate(driver, number) for number, driver in enumerate(drivers))
        yield say(de.DriverCandidatesFound, 2, search_no=1, candidates=candidates, source="valkey", zone=zone)
        for turn, driver in enumerate(drivers):
            say.offer, say.driver = identity.derived(f"{say.name}/{say.version}"), driver
            terms = _terms(say.ms)
            yield say(de.ReservationRequested, 0, rank=turn, how="UNKNOWN")
            yield self._of_driver(dr.DriverReserved, driver, at_ms=say.ms, offer_id=say.offer, delivery_id=say.name,
                                  fence=1, pickup_lat=48.0, pickup_lng=7.85, free_capacity=0)  # fmt: skip
            yield say(de.DriverOfferSent, 20, fence=1, terms=terms, sent_at_ms=say.ms, expires_at_ms=say.ms + 30_000,
                      notified_by="socket")  # fmt: skip
            response_ms = self._random.randint(1_000, 29_000)
            if turn < refusals:
                if self._random.random() < 0.7:
                    yield say(de.DriverRejected, response_ms, response_ms=response_ms,
                              reason=self._random.choice(_REASONS), note="")  # fmt: skip
                else:
                    yield say(de.OfferExpired, 30_000, auto_assigned=False)
                yield self._of_driver(dr.DriverReservationReleased, driver, at_ms=say.ms, offer_id=say.offer,
                                      delivery_id=say.name, why="rejected", free_capacity=1)  # fmt: skip
                continue
            yield say(de.DriverAccepted, response_ms, response_ms=response_ms)
            yield say(de.DriverAssigned, 0, fence=1, how="accepted", terms=terms, search_ms=say.ms - say.began_ms)
            yield say(de.DeliveryEconomicsEstimated, 0, seller_id=seller, zone=zone, economics=_money(500))
            yield self._of_driver(dr.DriverReservationConfirmed, driver, at_ms=say.ms, offer_id=say.offer,
                                  delivery_id=say.name, fence=1, how="accepted", free_capacity=0)  # fmt: skip
            yield self._moved(driver, "AVAILABLE", "BUSY", say.ms)
        return drivers[-1]

    def _made(self, say: "_Say", driver: str, seller: str, zone: str) -> Iterator[Made]:
        late = self._random.randint(-120_000, 240_000)
        yield say(de.PickupStarted, 5_000)
        yield say(de.ArrivedAtPickup, 240_000)
        yield say(de.PickupCompleted, 60_000 + max(late, 0), proof_ref=None)
        yield say(de.DeliveryStarted, 1_000)
        if abs(late) > 60_000:
            yield say(de.EtaChanged, 1_000, eta=_eta(say.ms + 300_000), why="moved")
        yield say(de.ArrivedAtDropoff, 400_000)
        outcome = "failed" if self._random.random() < 0.01 else "delivered"
        if outcome == "failed":
            yield say(de.DeliveryFailed, 60_000, reason="nobody_there", note="", returning=False)
        else:
            yield say(de.DeliveryCompleted, 30_000, proof_ref=None, total_ms=say.ms - say.began_ms)
        yield say(de.DeliveryEconomicsSettled, 0, seller_id=seller, zone=zone, outcome=outcome,
                  economics=_money(500 + late // 10_000))  # fmt: skip
        yield self._of_driver(dr.DriverReservationReleased, driver, at_ms=say.ms, offer_id=say.offer,
                              delivery_id=say.name, why="completed", free_capacity=1)  # fmt: skip
        yield self._moved(driver, "BUSY", "AVAILABLE", say.ms)

    def _moved(self, name: str, before: str, after: str, at_ms: int | None = None) -> Made:
        return self._of_driver(dr.DriverAvailabilityChanged, name, at_ms=at_ms, from_availability=before,
                               to_availability=after, reason="delivery", duty="on", free_capacity=1)  # fmt: skip

    def _of_driver(self, kind: type[Any], name: str, at_ms: int | None = None, **fields: Any) -> Made:
        made = filled(kind, driver_id=name, version=self.next_version(name), at_ms=at_ms or self._ms,
                      actor_type="driver", actor_id=name, **fields)  # fmt: skip
        return Made(topics.DRIVER_EVENTS, name, made)

    def next_version(self, name: str) -> int:
        """1, 2, 3 for each aggregate."""
        version = self._versions[name] = self._versions.get(name, 0) + 1
        return version


class _Say:
    """Makes the events of one delivery, time running on."""

    def __init__(self, histories: Histories, name: str, ms: int) -> None:
        self._histories, self.name, self.ms, self.began_ms = histories, name, ms, ms
        self.version, self.offer, self.driver = 0, identity.derived(name), ""

    def __call__(self, kind: type[Any], after_ms: int, **fields: Any) -> Made:
        self.ms += after_ms
        self.version += 1
        given = {"driver_id": self.driver, "offer_id": self.offer} | fields
        wanted = {name: given[name] for name in given if name in kind.__struct_fields__}
        event = filled(kind, delivery_id=self.name, version=self.version, at_ms=self.ms, actor_type="system",
                       actor_id="dispatch", **wanted)  # fmt: skip
        return Made(topics.DELIVERY_EVENTS, self.name, event)


def filled(kind: type[Any], **fields: Any) -> Any:
    """An event of this kind; what is neither given nor has a default is something that fits."""
    for name, plain in _wanted(kind):
        fields.setdefault(name, plain)
    fields["event_id"] = identity.derived(f"{fields.get('delivery_id') or fields['driver_id']}/{fields['version']}")
    return kind(**fields)


_WANTED: dict[type, list[tuple[str, Any]]] = {}


def _wanted(kind: type[Any]) -> list[tuple[str, Any]]:
    if kind not in _WANTED:
        _WANTED[kind] = [
            (field.name, _plain(field.name, field.type))
            for field in msgspec.structs.fields(kind)
            if field.default is msgspec.NODEFAULT and field.default_factory is msgspec.NODEFAULT
        ]
    return _WANTED[kind]


def _plain(name: str, hint: Any) -> Any:
    if name in ("causation_id", "correlation_id", "offer_id", "event_id"):
        return identity.derived("cause")
    return {int: 1, float: 1.0, bool: False, str: ""}.get(hint, "UNKNOWN")


def _candidate(driver: str, number: int) -> Candidate:
    return Candidate(
        driver_id=driver, distance_m=900 + 100 * number, travel_s=180 + 30 * number, orders=0, capacity=1, rating=4.5,
        vehicle="car", availability="AVAILABLE", score=3.0 + number, travel_min=3.0 + number, rating_min=0.0,
        fairness_min=0.0, load_min=0.0, source="valkey",
    )  # fmt: skip


def _terms(ms: int) -> OfferTerms:
    return OfferTerms(
        store_name="Anker", pickup_lat=48.0, pickup_lng=7.85, dropoff_lat=48.01, dropoff_lng=7.86,
        pickup_eta_ms=ms + 330_000, delivery_eta_ms=ms + 780_000, pickup_distance_m=900, total_distance_m=2_400,
        earning_minor=489, incentive_minor=0, currency="EUR", base_minor=250, distance_minor=144, time_minor=95,
        eta=_eta(ms + 780_000, ms + 330_000),
    )  # fmt: skip


def _eta(delivery_ms: int, pickup_ms: int | None = None) -> Eta:
    pickup = _band(pickup_ms) if pickup_ms is not None else None
    return Eta(pickup=pickup, delivery=_band(delivery_ms))


def _band(ms: int) -> EtaBand:
    return EtaBand(p10_ms=ms - 90_000, p50_ms=ms, p90_ms=ms + 150_000, confidence=80)


def _money(pay_minor: int) -> Economics:
    revenue = 700 if pay_minor else 0
    return Economics(
        currency="EUR", driver_pay_minor=pay_minor, compensation_minor=0, routing_minor=1, messages_minor=3,
        storage_minor=1, platform_minor=35, cost_minor=pay_minor + 40, commission_minor=revenue and revenue - 199,
        delivery_fee_minor=revenue and 199, revenue_minor=revenue, net_minor=revenue - pay_minor - 40,
    )  # fmt: skip
