"""Random histories of deliveries and drivers as events, and the tables folded from them."""

import random
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg
from test_models import ORDER, TERMS, an_event

from dispatch.contract import codec
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.shared import Economics, Eta, EtaBand, OfferTerms
from dispatch.log.application import Record
from projections.runtime import Projection, fold, positions

START_MS = 1_789_999_200_000
"""A full hour, 2026-09-21T14:00Z."""
HOURS = 30
ZONES, SELLERS, DRIVERS = ("old-town", "north", "none"), ("s1", "s2", "s3"), ("ana", "ben", "cleo", "dan", "eve")
REASONS = ("too_far", "no_time", "earning")
STATES = ("AVAILABLE", "BUSY", "ON_BREAK", "PAUSED", "OFFLINE", "SHIFT_ENDED")


class History:
    """What happened to some deliveries and drivers."""

    def __init__(self, seed: int, deliveries: int = 60, changes: int = 60) -> None:
        self._random = random.Random(seed)
        self.events: list[Any] = []
        for _ in range(deliveries):
            self._delivery()
        self._drivers(changes)

    def of(self, *kinds: type) -> list[Any]:
        """The events of these kinds, as they came."""
        return [event for event in self.events if isinstance(event, kinds)]

    def _delivery(self) -> None:
        chance = self._random
        course = _Course(self, str(uuid.UUID(int=chance.getrandbits(128))), chance.choice(ZONES))
        order = {"seller_id": course.seller, "zone": course.zone, "currency": course.currency}
        course.add(de.DeliveryCreated, order=_changed(ORDER, **order))
        course.pass_ms(0, 600_000)
        if chance.random() < 0.06:
            return course.end(de.DeliveryCancelled, reason="changed my mind, call 0170 1", note="")
        course.add(de.AssignmentStarted, zone=course.zone)
        course.ready_ms = course.now_ms
        for _ in range(4):
            if not self._assigned(course):
                return course.end_somehow(held=False)
            if chance.random() > 0.2:
                break
            course.pass_ms(1_000, 200_000)
            reason = chance.choice(("driver_offline", "driver_cancelled"))
            course.lose(reason)
        else:
            return None
        if chance.random() < 0.1:
            return course.end_somehow(held=True)
        course.pass_ms(60_000, 900_000)
        course.add(de.PickupCompleted, offer_id=course.offer, driver_id=course.driver)
        course.pass_ms(60_000, 1_800_000)
        if chance.random() < 0.1:
            return course.end_somehow(held=True)
        return course.end(de.DeliveryCompleted, driver_id=course.driver, offer_id=course.offer)

    def _assigned(self, course: "_Course") -> bool:
        """Searches and offers until somebody has it, or it is given up."""
        chance = self._random
        for _ in range(6):
            course.pass_ms(5, 3_000)
            if chance.random() < 0.2:
                course.add(de.NoDriverFound, why="no_available_drivers", retry_at_ms=course.now_ms, search_no=1)
                course.pass_ms(5_000, 400_000)
                continue
            course.offer, course.driver = str(uuid.UUID(int=chance.getrandbits(128))), chance.choice(DRIVERS)
            if chance.random() < 0.05:
                course.assign("direct")
                return True
            named = {"offer_id": course.offer, "driver_id": course.driver}
            course.add(de.DriverOfferSent, **named, sent_at_ms=course.now_ms, expires_at_ms=course.now_ms + 30_000,
                       terms=course.terms())  # fmt: skip
            course.pass_ms(500, 30_000)
            spent = course.now_ms - course.events[-1].sent_at_ms
            match chance.choices(("accept", "reject", "expire", "withdraw", "wait"), (60, 15, 10, 4, 2))[0]:
                case "accept":
                    course.add(de.DriverAccepted, **named, response_ms=spent)
                    course.assign("accepted")
                    return True
                case "reject":
                    course.add(de.DriverRejected, **named, response_ms=spent, reason=chance.choice(REASONS), note="")
                case "expire":
                    course.add(de.OfferExpired, **named, auto_assigned=False)
                case "withdraw":
                    course.add(de.OfferWithdrawn, **named, why="driver_unavailable")
                case _:
                    return False
        return False

    def _drivers(self, changes: int) -> None:
        chance = self._random
        for driver in DRIVERS:
            now_ms, state = START_MS + chance.randrange(3_600_000), "OFFLINE"
            self.events.append(an_event(dr.DriverSignedOn, driver_id=driver, at_ms=now_ms, vehicle="car",
                                        actor_type="driver"))  # fmt: skip
            for version in range(2, changes // len(DRIVERS) + 2):
                now_ms += chance.randrange(60_000, 5_000_000)
                to = chance.choice([other for other in STATES if other != state])
                self.events.append(an_event(
                    dr.DriverAvailabilityChanged, driver_id=driver, version=version, at_ms=now_ms,
                    from_availability=state, to_availability=to, reason="word", actor_type="driver",
                ))  # fmt: skip
                state = to


class _Course:
    """One delivery on its way."""

    def __init__(self, history: History, name: str, zone: str) -> None:
        self.events, self.chance = history.events, history._random
        self.name, self.zone, self.version = name, zone, 0
        self.seller = self.chance.choice(SELLERS)
        self.currency = "CHF" if self.seller == "s3" else "EUR"
        self.now_ms = START_MS + self.chance.randrange(HOURS * 3_600_000)
        self.ready_ms, self.attempts, self.driver, self.offer, self.assigned_ms = 0, 0, "", "", 0

    def pass_ms(self, least: int, most: int) -> None:
        self.now_ms += self.chance.randrange(least, most)

    def add(self, kind: type, **fields: Any) -> None:
        self.version += 1
        self.events.append(an_event(
            kind, delivery_id=self.name, version=self.version, at_ms=self.now_ms, actor_type="system", **fields
        ))  # fmt: skip

    def terms(self) -> OfferTerms:
        middle = self.now_ms + self.chance.randrange(300_000, 2_400_000)
        width = self.chance.randrange(60_000, 900_000)
        band = EtaBand(p10_ms=middle - width, p50_ms=middle, p90_ms=middle + width, confidence=80)
        eta = Eta(pickup=band, delivery=band) if self.chance.random() < 0.9 else None
        changes = {"eta": eta, "pickup_eta_ms": middle, "delivery_eta_ms": middle, "currency": self.currency}
        return _changed(TERMS, **changes)

    def assign(self, how: str) -> None:
        self.assigned_ms = self.now_ms
        self.add(de.DriverAssigned, offer_id=self.offer, driver_id=self.driver, how=how, terms=self.terms(),
                 search_ms=self.now_ms - self.ready_ms)  # fmt: skip
        self.add(de.DeliveryEconomicsEstimated, offer_id=self.offer, driver_id=self.driver, seller_id=self.seller,
                 zone=self.zone, economics=self.money())  # fmt: skip

    def lose(self, reason: str) -> None:
        self.attempts += 1
        self.add(de.AssignmentReassigned, offer_id=self.offer, driver_id=self.driver, reason=reason, note="",
                 assigned_at_ms=self.assigned_ms, attempt_count=self.attempts)  # fmt: skip

    def money(self) -> Economics:
        parts = [self.chance.randrange(900) for _ in range(6)]
        brought = [self.chance.randrange(1200), self.chance.randrange(500)]
        return Economics(
            currency=self.currency, driver_pay_minor=parts[0], compensation_minor=parts[1], routing_minor=parts[2],
            messages_minor=parts[3], storage_minor=parts[4], platform_minor=parts[5], cost_minor=sum(parts),
            commission_minor=brought[0], delivery_fee_minor=brought[1], revenue_minor=sum(brought),
            net_minor=sum(brought) - sum(parts),
        )  # fmt: skip

    def end_somehow(self, *, held: bool) -> None:
        if not held and self.chance.random() < 0.3:
            return  # it waits still
        if self.chance.random() < 0.5:
            self.end(de.DeliveryCancelled, reason="nobody_found", note="", held=held)
        elif held:
            self.end(de.DeliveryFailed, reason="customer_absent", note="", returning=False)
        else:
            self.end(de.DeliveryCancelled, reason="order_cancelled", note="", held=False)

    def end(self, kind: type, *, held: bool = True, **fields: Any) -> None:
        """As the core ends it: an open offer is withdrawn before."""
        if not held and isinstance(self.events[-1], de.DriverOfferSent):
            self.add(de.OfferWithdrawn, offer_id=self.offer, driver_id=self.driver, why="order_cancelled")
        outcome = {de.DeliveryCompleted: "delivered", de.DeliveryCancelled: "cancelled"}.get(kind, "failed")
        self.add(de.DeliveryEconomicsSettled, driver_id=self.driver if held else "", seller_id=self.seller,
                 zone=self.zone, outcome=outcome, economics=self.money())  # fmt: skip
        self.add(kind, **fields)


def _changed(struct: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(struct, **fields)


def folded(dsn: str, events: Sequence[Any]) -> None:
    """Folds them into the tables, as the projector does."""
    with psycopg.connect(dsn) as connection:
        projection = Projection(connection)
        for topic in ("delivery.events", "driver.events"):
            mine = [event for event in events if isinstance(event, _DELIVERY) == topic.startswith("delivery")]
            place = (topic, 0)
            at = positions(connection, [place])
            first = at[place].next_offset
            records = [
                Record(*place, first + number, event.at_ms, b"key", codec.encode(event))
                for number, event in enumerate(mine)
            ]
            if records:
                projection.write(fold(records, at, ""), at)


_DELIVERY: tuple[type, ...] = tuple(de.AUDIT_WORDS)
