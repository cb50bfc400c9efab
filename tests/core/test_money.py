"""Money, by properties: parts add up to totals, one currency, bounds, monotone; estimates and settlements agree."""

from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from world import START_MS, World, an_order

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.shared import Economics
from dispatch.core.economics import Bill, Usage, economics
from dispatch.core.facts import Facts, Refusal, ZoneFacts
from dispatch.core.money import MixedCurrencies, one_currency, rounded, whole_parts
from dispatch.core.pay import Earning, earning, earning_of, incentive_minor
from dispatch.core.policy import CostPolicy, Flag, Flags, PayPolicy, Policy, PricingPolicy, scaled
from dispatch.core.pricing import delivery_fee_minor, in_force, multiplier_percent, priced, smoothed
from dispatch.core.quotes import ZonePriceFact
from dispatch.core.quoting import Asked, NoCurrency, quoted

amounts = st.integers(0, 10**6)
metres, seconds, percents = st.integers(0, 200_000), st.integers(0, 40_000), st.integers(100, 200)
pay_policies = st.builds(PayPolicy, base_minor=amounts, per_km_minor=amounts, per_minute_minor=amounts)
pressures = st.floats(0, 10_000)


@given(st.lists(st.integers(0, 10**12), max_size=8), st.integers(1, 10**6))
def test_whole_parts_add_up_to_the_sum_rounded_once_and_each_is_within_one_unit(exact: list[int], of: int) -> None:
    parts = whole_parts(exact, of)
    assert sum(parts) == floor(Fraction(sum(exact), of) + Fraction(1, 2))
    assert all(abs(part - Fraction(amount, of)) <= 1 for part, amount in zip(parts, exact, strict=True))
    assert all(part >= 0 for part in parts)


@given(st.lists(st.integers(-(10**9), 10**9), max_size=8))
def test_whole_amounts_stay_what_they_are(exact: list[int]) -> None:
    assert whole_parts([amount * 1000 for amount in exact], 1000) == tuple(exact)


def test_half_a_unit_is_rounded_up() -> None:
    assert [rounded(n, 2) for n in (0, 1, 2, 3, -1)] == [0, 1, 1, 2, 0]


@given(pay_policies, metres, seconds, percents, amounts)
def test_the_parts_of_an_earning_add_up_and_the_incentive_is_not_multiplied(
    policy: PayPolicy, way_m: int, way_s: int, percent: int, bonus: int
) -> None:
    parts = earning(way_m, way_s, policy, percent, bonus)
    exact = policy.base_minor + Fraction(policy.per_km_minor * way_m, 1000)
    exact = (exact + Fraction(policy.per_minute_minor * way_s, 60)) * Fraction(percent, 100)
    assert parts.total_minor == floor(exact + Fraction(1, 2)) + bonus
    assert (parts.base_minor, parts.incentive_minor) == (policy.base_minor, bonus)
    assert all(isinstance(part, int) and part >= 0 for part in parts.__struct_fields__ and _parts(parts))
    assert percent != 100 or parts.multiplier_minor == 0


def _parts(of: Earning) -> list[int]:
    return [of.base_minor, of.distance_minor, of.time_minor, of.multiplier_minor, of.incentive_minor]


@given(pay_policies, metres, seconds, percents, metres, seconds, percents)
def test_who_goes_farther_longer_or_at_a_higher_price_never_earns_less(
    policy: PayPolicy, way_m: int, way_s: int, percent: int, more_m: int, more_s: int, other: int
) -> None:
    low, high = sorted((percent, other))
    less = earning(way_m, way_s, policy, low)
    assert earning(way_m + more_m, way_s + more_s, policy, high).total_minor >= less.total_minor


@given(pay_policies, metres, seconds, percents, amounts, st.integers(0, 100))
def test_a_share_of_an_earning_is_never_more_than_it_and_never_of_the_incentive(
    policy: PayPolicy, way_m: int, way_s: int, percent: int, bonus: int, share: int
) -> None:
    parts = earning(way_m, way_s, policy, percent, bonus)
    assert 0 <= parts.shared_minor(share) <= parts.without_incentive_minor == parts.total_minor - bonus
    assert parts.shared_minor(100) == parts.without_incentive_minor


# The dynamic price.


@given(pressures, pressures, st.integers(1, 100), st.integers(100, 200), st.integers(0, 1000))
def test_a_multiplier_keeps_its_bounds_and_steps_and_rises_with_the_pressure(
    one: float, other: float, step: int, highest: int, per_pressure: int
) -> None:
    policy = PricingPolicy(step_percent=step, max_percent=highest, percent_per_pressure=per_pressure)
    low, high = (multiplier_percent(pressure, policy) for pressure in sorted((one, other)))
    assert 100 <= low <= high <= highest <= 200
    assert high == highest or (high - 100) % step == 0
    assert multiplier_percent(policy.free_pressure, policy) == 100


@given(pressures, pressures, st.floats(0, 1e6))
def test_a_smoothed_pressure_lies_between_the_old_and_the_new(before: float, now: float, passed_s: float) -> None:
    low, high = sorted((before, now))
    assert low - 1e-6 <= smoothed(before, now, passed_s, PricingPolicy()) <= high + 1e-6


def test_a_price_of_which_nothing_was_heard_for_long_is_not_believed() -> None:
    policy = PricingPolicy(stale_s=300, max_percent=150)
    price = ZonePriceFact(zone="z", multiplier_percent=180, at_ms=START_MS)
    assert in_force(None, START_MS, policy) == 100
    assert in_force(price, START_MS + 300_000, policy) == 150  # the policy's limit of now
    assert in_force(price, START_MS + 300_001, policy) == 100


@given(metres, percents)
def test_a_fee_is_a_whole_amount_that_rises_with_the_way_and_the_price(way_m: int, percent: int) -> None:
    policy = PricingPolicy()
    fee = delivery_fee_minor(way_m, percent, policy)
    assert policy.fee_base_minor <= delivery_fee_minor(way_m, 100, policy) <= fee
    assert delivery_fee_minor(way_m + 1, percent, policy) >= fee


# Quotes and currencies.


def facts(quote: Any = None, price: Any = None, now_ms: int = START_MS, flags: Flags | None = None) -> Facts:
    return Facts(
        now_ms=now_ms, wall_ms=now_ms, policy=Policy(), flags=flags or Flags(), quote=quote,
        price=price or ZonePriceFact(zone="none", multiplier_percent=130, at_ms=now_ms),
    )  # fmt: skip


ASKED = Asked(pickup=(48.0, 7.85), dropoff=(48.0104, 7.8599), currency="EUR")
QUOTE = quoted(ASKED, ZonePriceFact(zone="none", multiplier_percent=115, at_ms=START_MS), Policy(), Flags(), START_MS)


def an_order_for_it(**changes: Any) -> Any:
    fields = {"quote_id": "sealed", "delivery_fee_minor": QUOTE.delivery_fee_minor} | changes
    return (
        an_order(dropoff_lat=48.01, dropoff_lng=7.86, **fields) if "dropoff_lat" not in fields else an_order(**fields)
    )


def test_a_quote_that_holds_keeps_its_multiplier_even_when_the_flag_goes_off() -> None:
    off = Flags(dynamic_pricing=Flag(enabled=False))
    assert QUOTE.multiplier_percent == 115
    assert QUOTE.expires_ms == START_MS + 300_000
    for flags in (Flags(), off):
        price = priced(an_order_for_it(), "d", "none", facts(QUOTE, flags=flags))
        assert (price.multiplier_percent, price.priced_by, price.quote) == (115, "quote", "held")


@pytest.mark.parametrize(
    ("order", "quote", "later_ms", "outcome"),
    [
        (an_order_for_it(), QUOTE, 300_000, "expired"),
        (an_order_for_it(), None, 0, "unknown"),
        (an_order_for_it(pickup_lat=48.1), QUOTE, 0, "changed"),
        (an_order_for_it(dropoff_lat=48.02), QUOTE, 0, "changed"),
        (an_order_for_it(currency="CHF"), QUOTE, 0, "changed"),
        (an_order_for_it(delivery_fee_minor=1), QUOTE, 0, "changed"),
        (an_order_for_it(quote_id=""), None, 0, "none"),
    ],
)
def test_a_quote_that_does_not_hold_is_priced_anew_and_said_so(
    order: Any, quote: Any, later_ms: int, outcome: str
) -> None:
    price = priced(order, "d", "none", facts(quote, now_ms=START_MS + later_ms))
    assert (price.multiplier_percent, price.priced_by, price.quote) == (130, "zone", outcome)


def test_with_the_flag_off_every_multiplier_is_one() -> None:
    off = Flags(dynamic_pricing=Flag(enabled=False))
    price = priced(an_order(), "d", "none", facts(flags=off))
    assert (price.multiplier_percent, price.priced_by) == (100, "off")
    assert quoted(ASKED, ZonePriceFact(zone="none", multiplier_percent=180, at_ms=START_MS), Policy(), off,
                  START_MS).multiplier_percent == 100  # fmt: skip


def test_currencies_are_never_mixed() -> None:
    euros, francs = PayPolicy(currency="EUR"), CostPolicy(currency="CHF")
    assert one_currency((PayPolicy(), euros), "EUR") == "EUR"
    for chapters, currency in (((euros, francs), ""), ((euros,), "INR")):
        with pytest.raises(MixedCurrencies):
            one_currency(chapters, currency)
    with pytest.raises(NoCurrency):
        quoted(Asked(pickup=(1, 1), dropoff=(1, 1)), None, Policy(), Flags(), START_MS)
    refused = World(Policy(pay=euros)).ask(dc.PlaceOrder, NAME, order=an_order(currency="CHF"))
    assert isinstance(refused, Refusal)
    assert refused.code == "other_currency"
    assert "CHF and EUR" in refused.detail


def test_an_incentive_in_another_currency_does_not_apply_and_says_so() -> None:
    zone = ZoneFacts(zone="z", incentive_minor=150, incentive_currency="EUR")
    assert incentive_minor(zone, "EUR") == (150, "")
    assert incentive_minor(zone, "CHF") == (0, "the zone's incentive is in EUR, the order in CHF")
    assert incentive_minor(None, "EUR") == (0, "")


# Cost and revenue.

bills = st.builds(
    Bill, usage=st.builds(Usage, st.integers(0, 99), st.integers(0, 999), amounts), events=st.integers(0, 999),
    driver_pay_minor=amounts, dispatched=st.booleans(), had_driver=st.booleans(),
)  # fmt: skip
costs = st.builds(
    CostPolicy, routing_call_thousandths=amounts, message_thousandths=amounts, event_thousandths=amounts,
    platform_minor=amounts, commission_percent=st.integers(0, 100), fee_kept_percent=st.integers(0, 100),
)  # fmt: skip


def agrees(money: Economics) -> bool:
    """Whether totals are the sums of their parts."""
    cost = money.driver_pay_minor + money.compensation_minor + money.routing_minor + money.messages_minor
    revenue = money.commission_minor + money.delivery_fee_minor
    return (
        money.cost_minor == cost + money.storage_minor + money.platform_minor
        and money.revenue_minor == revenue
        and money.net_minor == money.revenue_minor - money.cost_minor
    )


@given(bills, costs, st.sampled_from(["delivered", "failed", "returned", "cancelled"]), amounts, amounts)
def test_cost_and_revenue_are_the_sums_of_their_parts_in_the_orders_currency(
    bill: Bill, policy: CostPolicy, outcome: Any, value: int, fee: int
) -> None:
    order = an_order(order_value_minor=value, delivery_fee_minor=fee)
    money = economics(order, bill, outcome, policy)
    assert agrees(money)
    assert money.currency == order.currency
    assert money.driver_pay_minor == bill.driver_pay_minor
    assert outcome == "delivered" or money.commission_minor == 0
    assert money.revenue_minor <= value + fee


# In the decisions of a delivery.

NAME = "7d1a7c0c-0000-4000-8000-000000000000"


def told(world: World, kind: type[Any]) -> list[Any]:
    return [event for event in world.events if isinstance(event, kind)]


def a_city(**policy: Any) -> World:
    return World(Policy(**policy)).sign_on("ana").sign_on("bob")


def delivered_by_every_step(world: World) -> str:
    name = world.ready()
    world.accept(name)
    for step in ("enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff",
                 "delivered"):  # fmt: skip
        world.progress(name, step)
    return name


def test_a_delivery_without_a_detour_settles_as_estimated() -> None:
    world = a_city()
    delivered_by_every_step(world)
    (estimated,), (settled,) = (
        told(world, kind) for kind in (de.DeliveryEconomicsEstimated, de.DeliveryEconomicsSettled)
    )
    assert settled.economics == estimated.economics
    assert (settled.events, settled.messages) == (estimated.events, estimated.messages)
    assert settled.events == world.deliveries[settled.delivery_id].version
    (assigned,) = told(world, de.DriverAssigned)
    assert settled.economics.driver_pay_minor == assigned.terms.earning_minor == earning_of(assigned.terms).total_minor
    assert settled.economics.revenue_minor == 2000 * 20 // 100 + 299


def test_what_an_offer_showed_is_what_its_driver_earns_whatever_changed_since() -> None:
    world = a_city()
    name = world.ready()
    (offer,) = told(world, de.DriverOfferSent)
    world.policy = Policy(pay=PayPolicy(base_minor=9_999))
    world.accept(name)
    (assigned,) = told(world, de.DriverAssigned)
    assert assigned.terms.earning_minor == offer.terms.earning_minor


@pytest.mark.parametrize(
    ("steps", "kind", "fields", "percent"),
    [
        ([], dc.CancelDelivery, {"reason": "changed their mind"}, 25),
        (["arrived_at_pickup"], dc.CancelDelivery, {"reason": "changed their mind"}, 50),
        ([], dc.FailDelivery, {"reason": "store closed"}, 0),
        (["arrived_at_pickup"], dc.FailDelivery, {"reason": "store closed"}, 50),
    ],
)
def test_who_made_the_way_for_nothing_is_paid_a_share_without_the_incentive(
    steps: list[str], kind: Any, fields: dict[str, Any], percent: int
) -> None:
    world = a_city()
    name = world.ready()
    world.accept(name)
    for step in steps:
        world.progress(name, step)
    more = world.offer(name) if kind is dc.FailDelivery else {}
    world.ask(kind, name, "driver" if more else "order_service", **more, **fields)
    (settled,), (assigned,) = told(world, de.DeliveryEconomicsSettled), told(world, de.DriverAssigned)
    assert settled.paid_percent == percent
    assert settled.economics.driver_pay_minor == earning_of(assigned.terms).shared_minor(percent)
    assert (settled.economics.revenue_minor, agrees(settled.economics)) == (0, True)
    assert isinstance(world.events[-1], de.DeliveryCancelled | de.DeliveryFailed)  # the ending stays the last


def test_goods_that_come_back_are_paid_and_bring_nothing() -> None:
    world = a_city()
    name = world.ready()
    world.accept(name)
    world.progress(name, "picked_up")
    offer = world.offer(name)
    world.ask(dc.FailDelivery, name, **offer, reason="nobody at the door")
    assert told(world, de.DeliveryEconomicsSettled) == []
    world.ask(dc.ReturnDelivery, name, **offer)
    (settled,) = told(world, de.DeliveryEconomicsSettled)
    assert (settled.outcome, settled.paid_percent, settled.economics.revenue_minor) == ("returned", 100, 0)
    assert settled.economics.driver_pay_minor > 0


@pytest.mark.parametrize(("by_admin", "paid"), [(True, True), (False, False)])
def test_a_former_driver_is_paid_for_what_an_admin_decides_and_not_for_giving_up(by_admin: bool, paid: bool) -> None:
    world = a_city()
    name = world.ready()
    world.accept(name)
    if by_admin:
        world.ask(dc.ReassignDelivery, name, "admin", reason="admin_forced", note="x")
    else:
        world.ask(dc.GiveUpDelivery, name, **world.offer(name), note="")
    world.settle()
    world.accept(name)
    world.progress(name, "picked_up")
    world.progress(name, "delivered")
    (taken,), (settled,) = told(world, de.AssignmentReassigned), told(world, de.DeliveryEconomicsSettled)
    assert (taken.compensation_minor > 0) is paid
    assert settled.economics.compensation_minor == taken.compensation_minor
    assert agrees(settled.economics)


def test_an_order_cancelled_before_it_was_ready_costs_its_messages_and_storage_only() -> None:
    world = World()
    world.ask(dc.PlaceOrder, NAME, order=an_order())
    world.ask(dc.CancelDelivery, NAME, reason="changed their mind")
    (settled,) = told(world, de.DeliveryEconomicsSettled)
    money = settled.economics
    assert (settled.driver_id, money.driver_pay_minor, money.platform_minor, money.revenue_minor) == ("", 0, 0, 0)
    assert money.cost_minor == money.messages_minor + money.storage_minor


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["accept", "give_up", "reassign", "step", "fail", "back", "cancel", "wait"]),
                max_size=14))  # fmt: skip
def test_whatever_happens_each_ended_delivery_is_settled_once_right_before_its_end(acts: list[str]) -> None:
    world = World().sign_on("ana").sign_on("bob").sign_on("cleo")
    name = world.ready()
    for act in acts:
        state = world.deliveries[name]
        offer = world.offer(name) if hasattr(state.phase, "offer_id") else None
        if act == "cancel":
            world.ask(dc.CancelDelivery, name, "admin", reason="x", note="x")
        elif act == "reassign":
            world.ask(dc.ReassignDelivery, name, "admin", reason="admin_forced", note="x")
        elif act == "wait":
            world.pass_s(40)
        elif offer is not None:
            step = ("picked_up", "delivered")[min(1, getattr(state.phase, "progress", 0) // 3)]
            kind, fields = {
                "accept": (dc.AcceptOffer, {}), "give_up": (dc.GiveUpDelivery, {"note": ""}),
                "step": (dc.ReportProgress, {"step": step}), "fail": (dc.FailDelivery, {"reason": "x"}),
                "back": (dc.ReturnDelivery, {}),
            }[act]  # fmt: skip
            world.ask(kind, name, "driver", **offer, **fields)
        world.settle()
    settlements = told(world, de.DeliveryEconomicsSettled)
    ended = [one for kind in (de.DeliveryCompleted, de.DeliveryReturned, de.DeliveryCancelled)
             for one in told(world, kind)]  # fmt: skip
    ended += [event for event in told(world, de.DeliveryFailed) if not event.returning]
    assert [one.version + 1 for one in settlements] == [one.version for one in ended]
    estimates = told(world, de.DeliveryEconomicsEstimated)
    assert len(estimates) == len(told(world, de.DriverAssigned))
    assert all(agrees(one.economics) for one in (*settlements, *estimates))
    compensated = sum(one.compensation_minor for one in told(world, de.AssignmentReassigned))
    assert all(one.economics.compensation_minor == compensated for one in settlements)


def test_a_multiplier_is_fixed_when_the_order_becomes_known_and_paid_whatever_the_price_is_later() -> None:
    world = a_city()
    world.price = ZonePriceFact(zone="none", multiplier_percent=150, at_ms=START_MS)
    world.ask(
        dc.PlaceOrder, name := identity.delivery_id(an_order().seller_id, an_order().seller_order_id), order=an_order()
    )
    world.price = ZonePriceFact(zone="none", multiplier_percent=200, at_ms=START_MS)
    assert world.ready() == name
    (created,), (offer,) = told(world, de.DeliveryCreated), told(world, de.DriverOfferSent)
    assert (created.multiplier_percent, created.priced_by, created.quote) == (150, "zone", "none")
    terms = offer.terms
    assert terms.multiplier_percent == 150
    assert terms.multiplier_minor == pytest.approx((terms.earning_minor - terms.multiplier_minor) / 2, abs=1)
    world.accept(name)
    world.progress(name, "picked_up")
    world.progress(name, "delivered")
    (settled,) = told(world, de.DeliveryEconomicsSettled)
    assert (settled.multiplier_percent, settled.economics.driver_pay_minor) == (150, terms.earning_minor)


def test_a_fast_city_pays_for_a_minute_what_a_slow_one_pays() -> None:
    slow, fast = Policy(), scaled(Policy(), 60)
    assert earning(3000, 600, slow.pay).total_minor == earning(3000, 10, fast.pay).total_minor
    assert (fast.pricing.stale_s, fast.pricing.repeat_s) == (slow.pricing.stale_s, slow.pricing.repeat_s)


def test_a_delivery_taken_under_a_release_that_kept_no_earnings_ends_without_a_made_up_settlement() -> None:
    world = a_city()
    name = world.ready()
    world.accept(name)
    state = world.deliveries[name]
    world.deliveries[name] = replace(state, phase=replace(state.phase, earning=None))
    world.progress(name, "picked_up")
    world.progress(name, "delivered")
    assert world.status(name) == "delivered"
    assert told(world, de.DeliveryEconomicsSettled) == []


def test_an_offer_made_before_parts_were_shown_is_paid_as_shown() -> None:
    world = a_city()
    world.ready()
    (offer,) = told(world, de.DriverOfferSent)
    old = replace(offer.terms, base_minor=0, distance_minor=0, time_minor=0, multiplier_minor=0, incentive_minor=70)
    parts = earning_of(old)
    assert (parts.total_minor, parts.incentive_minor) == (old.earning_minor, 70)
