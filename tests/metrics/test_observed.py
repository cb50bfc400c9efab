"""What is counted from events: each figure in the domain's words, and the whole against a naive count."""

from collections import Counter, defaultdict
from typing import Any, get_args

import pytest
from figures import counting, of
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.contract import identity
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.shared import Economics, Eta, EtaBand, OfferTerms
from dispatch.contract.records.system import DriverLocation
from projections.metrics import UNCOUNTED, Figures

NOW_MS = 1_790_000_000_000
S = 1_000
MIN = 60 * S
ECONOMICS = Economics(
    currency="EUR", driver_pay_minor=489, compensation_minor=0, routing_minor=2, messages_minor=4, storage_minor=0,
    platform_minor=35, cost_minor=530, commission_minor=436, delivery_fee_minor=150, revenue_minor=586, net_minor=56,
)  # fmt: skip


def terms(pickup_ms: int, delivery_ms: int, eta: Eta | None = None) -> OfferTerms:
    return OfferTerms(
        store_name="Anker", pickup_lat=1, pickup_lng=1, dropoff_lat=1, dropoff_lng=1, pickup_eta_ms=pickup_ms,
        delivery_eta_ms=delivery_ms, pickup_distance_m=1330, total_distance_m=4000, earning_minor=489,
        incentive_minor=0, currency="EUR", eta=eta,
    )  # fmt: skip


def event(kind: type[Any], name: str, at_ms: int, **fields: Any) -> Any:
    key = "delivery_id" if kind.__module__ == de.__name__ else "driver_id"
    header = {"event_id": identity.derived(f"{name} {at_ms}"), key: name, "version": 1, "at_ms": at_ms,
              "actor_type": "system", "actor_id": "t", "causation_id": "c", "correlation_id": "c"}  # fmt: skip
    if key == "delivery_id" and "driver_id" in kind.__struct_fields__ and "driver_id" not in fields:
        header["driver_id"] = "ana"
    if "offer_id" in kind.__struct_fields__:
        header["offer_id"] = "o1"
    return kind(**(header | fields))


class Life:
    """One delivery's events, told in the domain's words; seconds are since it became ready."""

    def __init__(self, name: str = "d1", *, escalation: bool = True, begin_ms: int = NOW_MS) -> None:
        self.name, self.begin_ms = name, begin_ms
        self.events: list[Any] = []
        self._add(
            de.AssignmentStarted, 0, driver_offers=True, reassignment=True, escalation=escalation, radius_m=5_000,
            level_1_ms=5 * MIN, level_2_ms=15 * MIN, level_3_ms=30 * MIN, policy_version=1,
        )  # fmt: skip

    def _add(self, kind: type[Any], at_s: float, **fields: Any) -> "Life":
        self.events.append(event(kind, self.name, self.begin_ms + round(at_s * S), **fields))
        return self

    def nobody(self, at_s: float) -> "Life":
        return self._add(de.NoDriverFound, at_s, search_no=1, why="all_drivers_busy", retry_at_ms=1)

    def offered(self, at_s: float) -> "Life":
        sent = self.begin_ms + round(at_s * S)
        return self._add(de.DriverOfferSent, at_s, fence=1, sent_at_ms=sent, expires_at_ms=1, terms=terms(1, 1),
                         notified_by="socket")  # fmt: skip

    def refused(self, at_s: float) -> "Life":
        return self._add(de.DriverRejected, at_s, response_ms=4_000, reason="too_far")

    def accepted(self, at_s: float) -> "Life":
        return self._add(de.DriverAccepted, at_s, response_ms=6_000)

    def expired(self, at_s: float, *, auto: bool = False) -> "Life":
        return self._add(de.OfferExpired, at_s, auto_assigned=auto)

    def withdrawn(self, at_s: float, why: str = "order_cancelled") -> "Life":
        return self._add(de.OfferWithdrawn, at_s, why=why)

    def assigned(self, at_s: float, how: str = "accepted", shown: OfferTerms | None = None) -> "Life":
        return self._add(de.DriverAssigned, at_s, fence=1, how=how, terms=shown or terms(1, 1),
                         search_ms=round(at_s * S))  # fmt: skip

    def lost(self, at_s: float, reason: str = "driver_offline") -> "Life":
        return self._add(de.AssignmentReassigned, at_s, reason=reason, assigned_at_ms=1, attempt_count=1,
                         notify_customer=False)  # fmt: skip

    def review(self, at_s: float) -> "Life":
        return self._add(de.ManualReviewRequired, at_s, reason="too_many", critical=True, attempt_count=4)

    def escalated(self, at_s: float, level: int = 1, *, by_admin: bool = False) -> "Life":
        return self._add(de.UnassignedEscalated, at_s, level=level, why="unknown", waiting_ms=round(at_s * S),
                         radius_m=1, by_admin=by_admin)  # fmt: skip

    def picked_up(self, at_s: float) -> "Life":
        return self._add(de.PickupCompleted, at_s)

    def delivered(self, at_s: float) -> "Life":
        return self._add(de.DeliveryCompleted, at_s, total_ms=round(at_s * S))

    def failed(self, at_s: float, *, returning: bool = False) -> "Life":
        return self._add(de.DeliveryFailed, at_s, reason="x", returning=returning)

    def returned(self, at_s: float) -> "Life":
        return self._add(de.DeliveryReturned, at_s)

    def cancelled(self, at_s: float, actor: str = "customer", *, by_policy: bool = False) -> "Life":
        return self._add(de.DeliveryCancelled, at_s, reason="x", by_policy=by_policy, actor_type=actor)


def observed(*lives: Life, later_s: float = 0.2) -> Any:
    """What is added by these, each event committed a moment after it."""
    figures = Figures()
    with counting() as added:
        for life in lives:
            for one in life.events:
                figures.observe([one], one.at_ms + round(later_s * S))
    return added


def test_every_event_is_counted_or_named_as_uncounted() -> None:
    kinds = {*get_args(de.DeliveryEvent), *get_args(dr.DriverEvent)}
    handlers = Figures()._handlers
    assert set(handlers) == kinds
    assert {kind for kind, handler in handlers.items() if handler is None} == set(UNCOUNTED)


def test_an_offer_that_is_taken_at_once() -> None:
    added = observed(Life().offered(0.3).accepted(6).assigned(6).picked_up(600).delivered(1_500))
    assert of(added, "baton_offers_ended_total") == {"accepted": 1}
    assert of(added, "baton_first_attempts_total") == {"taken": 1}
    assert of(added, "baton_first_offer_seconds_sum") == pytest.approx({"first": 0.3})
    assert of(added, "baton_assignment_seconds_sum") == pytest.approx({"": 6})
    assert of(added, "baton_offer_response_seconds_sum") == pytest.approx({"": 6})
    assert of(added, "baton_deliveries_ended_total") == {"delivered": 1}
    assert of(added, "baton_delivery_seconds_sum") == pytest.approx({"": 1_500})
    assert of(added, "baton_audit_lag_seconds_count") == {"": 6}
    assert of(added, "baton_audit_lag_seconds_sum")[""] == pytest.approx(1.2)
    assert of(added, "baton_escalation_deadlines_total") == {}


def test_the_first_driver_who_does_not_take_it_settles_the_first_attempt() -> None:
    twice = Life("d1").offered(1).refused(5).offered(6).expired(36).offered(37).accepted(40).assigned(40)
    gone = Life("d2").offered(1).withdrawn(5, "driver_unavailable").cancelled(60)
    called_off = Life("d3").offered(1).withdrawn(5).cancelled(5)
    by_hand = Life("d4").assigned(9, "manual")
    silent = Life("d5").offered(1).expired(31, auto=True).assigned(31, "auto")
    added = observed(twice, gone, called_off, by_hand, silent)
    assert of(added, "baton_first_attempts_total") == {"not_taken": 2, "taken": 1}
    assert of(added, "baton_offer_rejections_total") == {"too_far": 1}
    assert of(added, "baton_offers_ended_total") == {
        "accepted": 1, "rejected": 1, "expired": 1, "withdrawn": 2, "auto_assigned": 1,
    }  # fmt: skip
    assert of(added, "baton_cancellations_total") == {"customer": 2}


def test_who_had_to_wait_for_a_driver_has_a_later_first_offer() -> None:
    added = observed(Life().nobody(0).offered(20))
    assert of(added, "baton_first_offer_seconds_sum") == pytest.approx({"later": 20})
    assert of(added, "baton_searches_in_vain_total") == {"all_drivers_busy": 1}


def test_a_driver_who_is_lost_is_followed_by_another_by_people_or_by_an_end() -> None:
    again = Life("d1").offered(1).accepted(2).assigned(2).lost(100).offered(101).accepted(105).assigned(105)
    people = Life("d2").offered(1).accepted(2).assigned(2).lost(100, "driver_cancelled").review(100)
    over = Life("d3").offered(1).accepted(2).assigned(2).lost(100).cancelled(200)
    added = observed(again, people, over)
    assert of(added, "baton_reassignments_total") == {"driver_offline": 2, "driver_cancelled": 1}
    assert of(added, "baton_reassignments_ended_total") == {"assigned": 1, "manual_review": 1, "ended": 1}
    assert of(added, "baton_reassignment_seconds_sum") == pytest.approx({"": 5})
    assert of(added, "baton_first_offer_seconds_count") == {"first": 3}, "the second driver's offer is not a first one"
    assert of(added, "baton_manual_reviews_total") == {"": 1}


def test_deadlines_of_escalation_are_kept_or_missed_also_by_who_never_escalated() -> None:
    kept = Life("d1").nobody(0).escalated(300).escalated(905, 2)
    late = Life("d2").nobody(0).escalated(311)
    never = Life("d3").nobody(0).assigned(320)
    ended = Life("d4").nobody(0).escalated(301).cancelled(920)
    early = Life("d5").nobody(0).escalated(60, by_admin=True).assigned(890)
    off = Life("d6", escalation=False).nobody(0).assigned(2_000)
    again = Life("d7").assigned(5).lost(400).assigned(650)
    people = Life("d8").nobody(0).review(100).assigned(3_000)
    added = observed(kept, late, never, ended, early, off, again, people)
    assert of(added, "baton_escalation_deadlines_total") == {"kept": 3, "missed": 3}
    assert of(added, "baton_escalations_total") == {"deadline 1": 3, "deadline 2": 1, "admin 1": 1}


def test_arrivals_are_held_against_what_the_last_driver_s_assignment_foretold() -> None:
    def band(at_s: float) -> EtaBand:
        at_ms = NOW_MS + round(at_s * S)
        return EtaBand(p10_ms=at_ms - 60 * S, p50_ms=at_ms, p90_ms=at_ms + 120 * S, confidence=80)

    shown = terms(1, 1, Eta(pickup=band(600), delivery=band(1_500)))
    kept = Life("d1").assigned(5, shown=shown).picked_up(590).delivered(1_700)
    other = Life("d2").assigned(5, shown=shown).lost(50).assigned(60, shown=terms(NOW_MS + 600 * S, NOW_MS + 900 * S))
    other.picked_up(630).delivered(900)
    early = Life("d3").assigned(5, shown=shown).picked_up(300).delivered(1_500)
    added = observed(kept, other, early)
    assert of(added, "baton_eta_arrivals_total") == {
        "pickup within": 1, "dropoff late": 1, "pickup none": 1, "dropoff none": 1, "pickup early": 1,
        "dropoff within": 1,
    }  # fmt: skip
    assert of(added, "baton_eta_error_seconds_sum") == pytest.approx({"pickup": 10 + 30 + 300, "dropoff": 200})


def test_goods_on_their_way_back_end_with_their_return() -> None:
    added = observed(Life("d1").assigned(1).failed(50, returning=True).returned(90), Life("d2").failed(50))
    assert of(added, "baton_deliveries_ended_total") == {"returned": 1, "failed": 1}
    by_policy = observed(Life("d3").cancelled(1_800, "system", by_policy=True))
    assert of(by_policy, "baton_cancellations_total") == {"policy": 1}


def change(driver: str, at_ms: int, to: str, reason: str, duty: str, until_ms: int | None = None) -> Any:
    return event(
        dr.DriverAvailabilityChanged, driver, at_ms, from_availability="AVAILABLE", to_availability=to, reason=reason,
        duty=duty, paused=False, offline=False, free_capacity=1, until_ms=until_ms,
    )  # fmt: skip


def test_breaks_end_in_time_late_or_otherwise() -> None:
    def a_break(driver: str, *after: Any) -> list[Any]:
        return [change(driver, NOW_MS, "ON_BREAK", "lunch", "break", NOW_MS + 600 * S), *after]

    over = "AVAILABLE", "break_over", "working"
    longer = event(dr.DriverBreakExtended, "cy", NOW_MS + 100 * S, until_ms=NOW_MS + 900 * S)
    told = [
        *a_break("ana", change("ana", NOW_MS + 601 * S, *over)),
        *a_break("ben", change("ben", NOW_MS + 611 * S, *over)),
        *a_break("cy", longer, change("cy", NOW_MS + 905 * S, *over)),
        *a_break("dee", change("dee", NOW_MS + 50 * S, "AVAILABLE", "resumed", "working")),
        *a_break("eli", change("eli", NOW_MS + 300 * S, "OFFLINE", "nothing_heard", "break", NOW_MS + 600 * S),
                 change("eli", NOW_MS + 600 * S, "OFFLINE", "break_over", "working")),
    ]  # fmt: skip
    with counting() as added:
        Figures().observe(told, NOW_MS + 1_000 * S)
    assert of(added, "baton_breaks_ended_total") == {"in_time": 3, "late": 1, "otherwise": 1}
    assert of(added, "baton_drivers_lost_total") == {"": 1}
    assert of(added, "baton_availability_changes_total") == {"ON_BREAK": 5, "AVAILABLE": 4, "OFFLINE": 2}


def test_money_is_counted_by_part_zone_and_currency() -> None:
    settled = event(
        de.DeliveryEconomicsSettled, "d1", NOW_MS, seller_id="s1", zone="harbour", outcome="delivered",
        economics=ECONOMICS, routing_calls=1, messages=2, events=9, policy_version=1, paid_percent=100,
    )  # fmt: skip
    with counting() as added:
        Figures().observe([settled, settled], NOW_MS)
    revenue, cost = of(added, "baton_revenue_minor_total"), of(added, "baton_cost_minor_total")
    assert revenue == {"EUR commission harbour": 872, "EUR delivery_fee harbour": 300}
    assert sum(revenue.values()) == 2 * ECONOMICS.revenue_minor
    assert sum(cost.values()) == 2 * ECONOMICS.cost_minor
    assert of(added, "baton_deliveries_settled_total") == {"EUR harbour": 2}


def test_history_is_no_news() -> None:
    life = Life().offered(1).accepted(2).assigned(2)
    with counting() as added:
        Figures().observe(life.events, NOW_MS + 3_602 * S)
    assert of(added, "baton_history_events_total") == {"": 2}, "ready and the offer are more than an hour old"
    assert of(added, "baton_offers_sent_total") == {}
    assert of(added, "baton_offers_ended_total") == {"accepted": 1}
    assert of(added, "baton_audit_lag_seconds_count") == {"": 4}


def test_pings_are_no_events_and_what_is_remembered_goes_with_the_delivery(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = Figures()
    ping = DriverLocation(driver_id="ana", lat=1, lng=1, accuracy_m=5, at_ms=NOW_MS)
    with counting() as added:
        figures.observe([ping], NOW_MS)
    assert added == {}
    for ending in (Life().delivered(9), Life().failed(9), Life().returned(9), Life().cancelled(9)):
        figures.observe(ending.events, NOW_MS)
    assert figures.courses == {}
    monkeypatch.setattr("projections.metrics.MOST", 3)
    figures.observe([Life(f"d{number}").events[0] for number in range(5)], NOW_MS)
    assert list(figures.courses) == ["d2", "d3", "d4"]


STEPS = ("nobody", "offered", "refused", "accepted", "expired", "withdrawn", "assigned", "lost", "escalated",
         "picked_up", "delivered", "cancelled")  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(STEPS), st.integers(0, 400)), max_size=60),
    st.integers(1, 7),
)
def test_any_order_of_events_in_any_batches_gives_what_a_naive_count_gives(
    steps: list[tuple[str, str, int]], batch: int
) -> None:
    lives = {name: Life(name) for name in "abc"}
    told: list[Any] = [life.events[0] for life in lives.values()]
    at_s = 0.0
    for name, step, wait_s in steps:
        at_s += wait_s / 100
        getattr(lives[name], step)(at_s)
        told.append(lives[name].events[-1])
    figures = Figures()
    with counting() as added:
        for begin in range(0, len(told), batch):
            figures.observe(told[begin : begin + batch], NOW_MS + 60 * MIN)
    naive = naively(told)
    assert {name: of(added, name) for name in NAIVE} == {name: dict(naive[name]) for name in NAIVE}
    assert sum(of(added, "baton_audit_lag_seconds_count").values()) == len(told)


NAIVE = ("baton_offers_ended_total", "baton_first_attempts_total", "baton_reassignments_ended_total",
         "baton_deliveries_ended_total", "baton_offers_sent_total", "baton_first_offer_seconds_count")  # fmt: skip
ENDS = (de.DeliveryCompleted, de.DeliveryCancelled)
WORDS = {de.DriverAccepted: "accepted", de.DriverRejected: "rejected", de.OfferExpired: "expired",
         de.OfferWithdrawn: "withdrawn", de.DeliveryCompleted: "delivered",
         de.DeliveryCancelled: "cancelled"}  # fmt: skip


def naively(told: list[Any]) -> dict[str, Counter[str]]:
    """Each delivery's history looked at as a whole, figure by figure; after its end it is not known any more."""
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for one in told:
        if (word := WORDS.get(type(one))) is not None:
            found["baton_deliveries_ended_total" if isinstance(one, ENDS) else "baton_offers_ended_total"][word] += 1
        if isinstance(one, de.DriverOfferSent):
            found["baton_offers_sent_total"][""] += 1
    for name in "abc":
        history = [one for one in told if one.delivery_id == name]
        ends = [place for place, one in enumerate(history) if isinstance(one, ENDS)]
        known = history[: ends[0] + 1] if ends else history
        found["baton_first_attempts_total"] += first_attempt(known)
        found["baton_first_offer_seconds_count"] += first_offer(known)
        found["baton_reassignments_ended_total"] += after_loss(known)
    return found


def until_held(known: list[Any]) -> list[Any]:
    held = [place for place, one in enumerate(known) if isinstance(one, de.DriverAssigned)]
    return known[: held[0]] if held else known


def first_attempt(known: list[Any]) -> Counter[str]:
    before = until_held(known)
    if any(isinstance(one, de.DriverRejected | de.OfferExpired) for one in before):
        return Counter({"not_taken": 1})
    return Counter({"taken": 1}) if len(before) < len(known) else Counter()


def first_offer(known: list[Any]) -> Counter[str]:
    before = until_held(known)
    offers = [place for place, one in enumerate(before) if isinstance(one, de.DriverOfferSent)]
    if not offers:
        return Counter()
    vain = any(isinstance(one, de.NoDriverFound) for one in before[: offers[0]])
    return Counter({"later" if vain else "first": 1})


def after_loss(known: list[Any]) -> Counter[str]:
    """A driver lost is followed by an assignment or the end; a second loss before says nothing new."""
    counts: Counter[str] = Counter()
    lost = held = False
    for one in known:
        if isinstance(one, de.AssignmentReassigned):
            lost = True
        elif isinstance(one, de.DriverAssigned):
            counts["assigned"] += lost and held
            lost, held = lost and not held, True
        elif isinstance(one, ENDS):
            counts["ended"] += lost
    return +counts
