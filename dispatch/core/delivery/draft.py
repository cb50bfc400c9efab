"""A decision in the making: events are added one by one and folded at once; the next is decided on what is true."""

from typing import Any

from dispatch.contract import identity
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.delivery_commands import DeliveryCommand
from dispatch.contract.records.delivery_events import DeliveryEvent
from dispatch.contract.records.shared import (
    AssignHow,
    Candidate,
    DenyReason,
    OfferTerms,
    SettledAs,
    UnassignedReason,
    WithdrawReason,
)
from dispatch.core.delivery import settling
from dispatch.core.delivery.evolve import evolve
from dispatch.core.delivery.states import Delivery, Held, Listed, Offered, Reserving, Searching
from dispatch.core.eta import with_eta
from dispatch.core.facts import Facts, SearchResult, ZoneFacts
from dispatch.core.pay import PayFacts, earning_of
from dispatch.core.ranking import rank, variant
from dispatch.core.terms import offer_terms, unassigned_reason
from dispatch.core.zones import reach_m


class Draft:
    """The state as decided so far, and the events that led there."""

    def __init__(self, state: Delivery, command: DeliveryCommand, facts: Facts) -> None:
        self.state = state
        self.command = command
        self.facts = facts
        self.events: list[DeliveryEvent] = []

    def add(self, event_type: type[Any], **fields: Any) -> None:
        """Adds the next event, with its header, and folds it; before one that ends the delivery its settlement."""
        if outcome := settling.ends(event_type, fields):
            self._settle(outcome)
        state, command = self.state, self.command
        version = state.version + 1
        event = event_type(
            event_id=identity.event_id(state.id, version),
            delivery_id=state.id,
            version=version,
            at_ms=self.facts.now_ms,
            actor_type=command.actor_type,
            actor_id=command.actor_id,
            causation_id=command.command_id,
            correlation_id=state.correlation_id or command.correlation_id,
            **fields,
        )
        self.state = evolve(state, event)
        self.events.append(event)

    def search(self) -> None:
        """Records the candidates and asks the best; nobody: waits."""
        facts, state = self.facts, self.state
        if facts.search is None:
            self.nobody("unknown")
            return
        placed = state.order.zone if state.order else "none"
        zone = facts.zone.zone if facts.zone is not None and facts.zone.version else placed
        acceptance = facts.flags.acceptance_ranking.covers(state.id, zone)
        switched = variant(state.id, facts.policy.ranking, acceptance=acceptance)
        ranked = rank(facts.search, facts.policy, frozenset(state.former), facts.now_ms, switched)
        self._found(facts.search, ranked)
        if self.state.shortlist:
            self.ask(self.state.shortlist[0], rank=0)
        else:
            self.nobody(unassigned_reason(facts.search))

    def next_candidate(self) -> None:
        """After a refusal, silence or denial: the next of the list while it is fresh, else the new search, if made."""
        former = self.state.former
        fit = [listed for listed in self.state.shortlist if listed.driver_id not in former]
        if fit and is_fresh(self.state, self.facts):
            self.ask(fit[0], rank=1)
        elif self.facts.search is not None:
            self.search()
        else:
            self.nobody("all_drivers_busy")

    def ask(self, listed: Listed, *, rank: int, how: AssignHow | None = None) -> None:
        """Reserves a driver: for an offer, or at once where offers are off."""
        offers = self.state.variant is not None and self.state.variant.driver_offers
        wait_ms = round(self.facts.policy.offer.reserve_timeout_s * 1000)
        self.add(
            events.ReservationRequested,
            offer_id=identity.offer_id(self.state.id, self.state.version + 1),
            driver_id=listed.driver_id,
            rank=rank,
            how=how or ("accepted" if offers else "direct"),
            answer_by_ms=self.facts.wall_ms + wait_ms,
        )

    def name(self, driver_id: str) -> None:
        """Reserves the driver whom an admin named, recording what is known of them."""
        found = self.facts.search or SearchResult(source="none")
        self._found(found, rank(found, self.facts.policy, frozenset(), self.facts.now_ms))
        listed = next((seen for seen in self.state.shortlist if seen.driver_id == driver_id), None)
        self.ask(listed or Listed(driver_id, 0, 0, "UNKNOWN"), rank=0, how="manual")

    def nobody(self, why: UnassignedReason) -> None:
        """Waits, longer each time."""
        policy = self.facts.policy.search
        wait_s = min(policy.retry_first_s * 2 ** min(self.state.retries, 10), policy.retry_max_s)
        retry_at_ms = self.facts.wall_ms + round(wait_s * 1000)
        self.add(events.NoDriverFound, search_no=self.state.search_no, why=why, retry_at_ms=retry_at_ms)

    def assign(self, held: Offered | Reserving, how: AssignHow, fence: int) -> None:
        """The driver holds it from now on."""
        order = self.state.order
        if order is None:
            raise AssertionError("a delivery that is dispatched has an order")
        before, terms = self.state, self.terms(held)
        self.add(
            events.DriverAssigned,
            offer_id=held.offer_id,
            driver_id=held.driver_id,
            fence=fence,
            how=how,
            terms=terms,
            search_ms=max(0, self.facts.now_ms - self.state.ready_at_ms),
        )
        estimated = settling.estimate(before, order, earning_of(terms), self.facts)
        self.add(events.DeliveryEconomicsEstimated, offer_id=held.offer_id, driver_id=held.driver_id, **estimated)

    def terms(self, asked: Offered | Reserving) -> OfferTerms:
        """What the driver asked is shown; the earning of an open offer stays as it was shown."""
        facts, order = self.facts, self.state.order
        if order is None:
            raise AssertionError("a delivery that is dispatched has an order")
        pay = PayFacts(self.state.multiplier_percent, facts.zone, settling.agreed(asked))
        terms = offer_terms(order, asked, facts.policy, facts.now_ms, pay)
        state = self.state
        return with_eta(terms, order, asked, state.route, state.eta_shape, facts.policy, facts.now_ms)

    def withdraw(self, why: WithdrawReason) -> None:
        """Takes the open offer or reservation back, whichever it is."""
        match self.state.phase:
            case Offered(offer_id=offer_id, driver_id=driver_id):
                self.add(events.OfferWithdrawn, offer_id=offer_id, driver_id=driver_id, why=why)
            case Reserving():
                self.reservation_failed("abandoned")
            case _:
                return

    def reservation_failed(self, why: DenyReason) -> None:
        """The driver asked for is not to be had."""
        asked = self.state.phase
        if isinstance(asked, Reserving):
            self.add(
                events.ReservationFailed, offer_id=asked.offer_id, driver_id=asked.driver_id, why=why, how=asked.how
            )

    def take_away(self, held: Held, reason: str, note: str) -> None:
        """The holder loses it before pickup. What comes next is the caller's."""
        attempts = self.state.attempt_count + 1
        self.add(
            events.AssignmentReassigned,
            offer_id=held.offer_id,
            driver_id=held.driver_id,
            reason=reason,
            note=note,
            assigned_at_ms=held.assigned_at_ms,
            attempt_count=attempts,
            notify_customer=attempts > self.facts.policy.reassignment.tell_customer_after,
            compensation_minor=settling.compensation_minor(held, reason, self.facts.policy),
        )

    def review(self, reason: str, *, critical: bool) -> None:
        """People must look at it."""
        self.add(events.ManualReviewRequired, reason=reason, critical=critical, attempt_count=self.state.attempt_count)

    def _settle(self, outcome: SettledAs) -> None:
        drivers_word = self.command.actor_type == "driver"
        settled = settling.settlement(self.state, outcome, self.facts, drivers_word=drivers_word)
        if settled is not None:
            self.add(events.DeliveryEconomicsSettled, **settled)

    def _found(self, found: SearchResult, ranked: tuple[Candidate, ...]) -> None:
        state, zone = self.state, self.facts.zone or ZoneFacts()
        balancing = state.variant is not None and state.variant.zone_balancing
        tracking = state.variant is not None and state.variant.eta_tracking
        self.add(
            events.DriverCandidatesFound,
            search_no=state.search_no + 1,
            radius_m=found.radius_m or reach_m(state.radius_m, zone, self.facts.policy, balancing=balancing),
            candidates=ranked,
            source=found.source,
            redis_ok=found.redis_ok,
            free_in_radius=sum(1 for candidate in ranked if not candidate.excluded),
            busy_in_radius=found.busy_in_radius,
            nearest_m=found.nearest_m,
            policy_version=self.facts.policy.version,
            zone=state.order.zone if state.order else "none",
            zone_version=zone.version,
            zone_drivers_online=-1 if zone.drivers_online is None else zone.drivers_online,
            zone_min_drivers=zone.min_drivers_online,
            model_version=found.model_version,
            route=found.route if tracking else None,
            eta=found.eta if tracking else None,
        )


def is_fresh(state: Delivery, facts: Facts) -> bool:
    """Whether the rest of the candidate list may still be used."""
    return facts.now_ms - state.found_at_ms <= facts.policy.search.fresh_s * 1000


def waits(state: Delivery) -> bool:
    """Ready and without a holder."""
    return isinstance(state.phase, Searching | Reserving | Offered)
