"""A delivery's life, in the domain's words."""

from typing import Any

import pytest
from msgspec.structs import replace
from world import START_MS, World, agreement, an_order

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records.offers import AssignmentEnded, DeliveryAssigned, OfferCreated, OfferEnded
from dispatch.contract.records.system import Notice, Reply
from dispatch.core.facts import Refusal
from dispatch.core.policy import EscalationPolicy, Flag, Flags, OfferPolicy, Policy

STEPS = ["enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff", "delivered"]
GAVE_UP = {"note": "flat tyre"}


def city(*drivers: str, policy: Policy | None = None, flags: Flags | None = None) -> World:
    world = World(policy, flags)
    for name in drivers:
        world.sign_on(name)
    return world


def held(*drivers: str, **more: Any) -> tuple[World, str]:
    world = city(*drivers, **more)
    name = world.ready()
    world.accept(name)
    return world, name


def picked_up(*drivers: str) -> tuple[World, str]:
    world, name = held(*drivers)
    world.progress(name, "picked_up")
    return world, name


def code(result: Any) -> str:
    assert isinstance(result, Refusal), result
    assert result.detail
    return result.code


def told(world: World, kind: type) -> list[Any]:
    return [record for record in world.told if type(record) is kind]


# Orders


def test_an_order_that_is_ready_is_offered_accepted_and_delivered() -> None:
    world, name = held("ana")
    assert world.availability("ana") == "BUSY"
    for step in STEPS:
        assert world.progress(name, step) != ()
        assert world.status(name) == step
    assert world.availability("ana") == "AVAILABLE"
    assert agreement(world) == ""
    ours = [event for event in world.events if type(event).__module__ == de.__name__]
    assert [type(event).__name__ for event in ours] == [
        "DeliveryCreated", "AssignmentStarted", "DriverCandidatesFound", "ReservationRequested", "DriverOfferSent",
        "DriverAccepted", "DriverAssigned", "DeliveryEconomicsEstimated", "PickupStarted", "ArrivedAtPickup",
        "PickupCompleted", "DeliveryStarted", "ArrivedAtDropoff", "DeliveryEconomicsSettled", "DeliveryCompleted",
    ]  # fmt: skip
    assert [type(record).__name__ for record in world.told if not isinstance(record, Notice)] == [
        "OfferCreated", "OfferEnded", "DeliveryAssigned", "AssignmentEnded",
    ]  # fmt: skip


def test_a_repeat_of_an_order_changes_nothing_in_any_phase() -> None:
    world = city("ana")
    order = an_order()
    name = identity.delivery_id("s1", "o1")
    assert len(world.ask(dc.PlaceOrder, name, order=order)) == 1
    assert world.ask(dc.PlaceOrder, name, order=replace(order, prep_s=999)) == ()
    assert world.ask(dc.MarkReady, name, order=order) != ()
    world.settle()
    assert world.ask(dc.MarkReady, name, order=order) == ()
    assert world.ask(dc.PlaceOrder, name, order=order) == ()
    world.accept(name)
    for step in ("picked_up", "delivered"):
        world.progress(name, step)
    assert world.ask(dc.MarkReady, name, order=order) == ()


def test_a_repeat_with_other_content_is_refused_with_what_differs() -> None:
    world, name = held("ana")
    other = an_order(order_value_minor=1, currency="USD")
    refused = world.ask(dc.MarkReady, name, order=other)
    assert code(refused) == "order_conflict"
    assert isinstance(refused, Refusal)
    assert "order_value_minor, currency" in refused.detail
    world.ask(dc.CancelDelivery, name, reason="no")
    assert code(world.ask(dc.PlaceOrder, name, order=other)) == "order_conflict"


def test_ready_without_an_order_needs_one_placed_before() -> None:
    world = city("ana")
    name = identity.delivery_id("s1", "o1")
    assert code(world.ask(dc.MarkReady, name, order=None)) == "unknown_order"
    world.ask(dc.PlaceOrder, name, order=an_order())
    assert world.status(name) == "created"
    world.ask(dc.MarkReady, name, order=None)
    world.settle()
    assert world.status(name) == "offered"


def test_an_order_placed_too_long_ago_is_stale() -> None:
    world = city("ana")
    order = an_order(placed_at_ms=START_MS - 172_801_000)
    assert code(world.ask(dc.MarkReady, "d", order=order)) == "stale_order"
    order = an_order(placed_at_ms=START_MS + 301_000)
    assert code(world.ask(dc.MarkReady, "d", order=order)) == "placed_in_future"


def test_preparation_changes_until_the_goods_are_picked_up() -> None:
    world, name = held("ana")
    assert len(world.ask(dc.ChangePrepTime, name, prep_s=600)) == 1
    assert world.ask(dc.ChangePrepTime, name, prep_s=600) == ()
    world.progress(name, "picked_up")
    assert code(world.ask(dc.ChangePrepTime, name, prep_s=700)) == "not_allowed_now"
    world.progress(name, "delivered")
    assert code(world.ask(dc.ChangePrepTime, name, prep_s=700)) == "not_allowed_now"
    assert code(world.ask(dc.ChangePrepTime, "nobody", prep_s=1)) == "unknown_order"


# Offers


def test_a_refusal_goes_to_the_next_driver_and_never_back() -> None:
    world = city("ana", "ben")
    name = world.ready()
    first = world.offer(name)["driver_id"]
    world.ask(dc.RejectOffer, name, **world.offer(name), reason="too_far")
    world.settle()
    assert world.offer(name)["driver_id"] != first
    world.ask(dc.RejectOffer, name, **world.offer(name), reason="no_time")
    world.settle()
    assert world.status(name) == "searching"
    world.pass_s(240)
    assert world.status(name) == "searching"
    assert len(told(world, OfferCreated)) == 2


def test_only_the_driver_asked_may_answer() -> None:
    world = city("ana", "ben")
    name = world.ready()
    offer_id = world.offer(name)["offer_id"]
    other = {"offer_id": offer_id, "driver_id": "zoe"}
    assert code(world.ask(dc.AcceptOffer, name, **other)) == "not_yours"
    assert code(world.ask(dc.RejectOffer, name, **other, reason="other")) == "not_yours"
    assert code(world.ask(dc.AcceptOffer, "nobody", **other)) == "unknown_order"


def test_the_same_answer_twice_is_one() -> None:
    world = city("ana", "ben")
    name = world.ready()
    offer = world.offer(name)
    world.accept(name)
    assert world.ask(dc.AcceptOffer, name, **offer) == ()
    other = world.ready(2)
    offer = world.offer(other)
    world.ask(dc.RejectOffer, other, **offer, reason="other")
    assert world.ask(dc.RejectOffer, other, **offer, reason="other") == ()
    assert code(world.ask(dc.AcceptOffer, other, **offer)) == "offer_rejected"


def test_an_answer_after_the_time_is_refused_even_before_the_timer_came() -> None:
    world = city("ana")
    name = world.ready()
    offer = world.offer(name)
    world.now_ms += 30_000
    assert code(world.ask(dc.AcceptOffer, name, **offer)) == "offer_expired"
    assert code(world.ask(dc.RejectOffer, name, **offer, reason="other")) == "offer_expired"


def test_silence_assigns_by_default() -> None:
    world = city("ana")
    name = world.ready()
    offer = world.offer(name)
    world.pass_s(30)
    assert world.status(name) == "assigned"
    assert world.names_of(de.DriverAssigned)[-1].how == "auto"
    assert [record.outcome for record in told(world, OfferEnded)] == ["EXPIRED"]
    assert code(world.ask(dc.AcceptOffer, name, **offer)) == "offer_expired"


def test_silence_goes_to_the_next_driver_where_policy_says_so() -> None:
    world = city("ana", "ben", policy=Policy(offer=OfferPolicy(on_expiry="next_driver")))
    name = world.ready()
    world.pass_s(30)
    assert world.status(name) == "offered"
    world.pass_s(31)
    assert world.status(name) == "searching"
    assert len(told(world, OfferCreated)) == 2


def test_silence_assigns_after_two_refusals_where_policy_says_so() -> None:
    world = city("ana", "ben", "cleo", policy=Policy(offer=OfferPolicy(on_expiry="auto_assign_after_n")))
    name = world.ready()
    world.pass_s(30)
    assert world.status(name) == "offered"
    world.pass_s(30)
    assert world.status(name) == "offered"
    world.pass_s(30)
    assert world.status(name) == "assigned"


def test_an_unanswered_reservation_is_released_and_the_next_driver_asked() -> None:
    world = city("ana", "ben")
    name = identity.delivery_id("s1", "o1")
    world.ask(dc.MarkReady, name, order=an_order())
    asked = world.offer(name)
    due = next(due for owner, due in world.due() if owner == name and due.kind == "reserve_timeout")
    world.fire(name, due)
    assert world.offer(name)["driver_id"] != asked["driver_id"]
    world.settle()
    assert agreement(world) == ""
    assert world.ask(dc.ReservationGranted, name, "system", **asked, fence=9) == ()


def test_denied_reservations_end_in_waiting_not_in_a_hot_loop() -> None:
    world = city("ana", "ben")
    name = identity.delivery_id("s1", "o1")
    world.ask(dc.MarkReady, name, order=an_order())
    for driver in ("ana", "ben"):
        world.ask(vc.TakeBreak, driver, duration_ms=600_000)
    world.settle()
    assert world.status(name) == "searching"
    assert world.names_of(de.NoDriverFound)[-1].why == "all_drivers_busy"


def test_offers_off_assigns_at_once() -> None:
    world = city("ana", flags=Flags(driver_offers=Flag(enabled=False)))
    name = world.ready()
    assert world.status(name) == "assigned"
    assert world.names_of(de.DriverAssigned)[0].how == "direct"
    assert told(world, OfferCreated) == []
    assert len(told(world, DeliveryAssigned)) == 1


def test_a_variant_holds_for_the_delivery_s_life() -> None:
    world = city("ana")
    name = world.ready()
    world.flags = Flags(driver_offers=Flag(enabled=False))
    world.ask(dc.RejectOffer, name, **world.offer(name), reason="other")
    world.settle()
    world.sign_on("ben")
    world.pass_s(60)
    assert world.names_of(de.DriverOfferSent)[-1].driver_id == "ben"


def test_the_waiting_gateway_is_told_the_first_offer_once() -> None:
    world = city("ana")
    name = world.ready(reply_to=3)
    world.accept(name)
    replies = told(world, Reply)
    assert [(reply.stage, reply.status) for reply in replies] == [("first_offer", "offered")]
    assert replies[0].offer_id == world.offer(name)["offer_id"]
    empty = city()
    empty.ready(reply_to=3)
    assert [(reply.status, reply.offer_id) for reply in told(empty, Reply)] == [("searching", None)]


# Cancelling, failing, returning


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_an_order_can_be_cancelled_until_the_goods_are_picked_up(steps: int) -> None:
    world, name = held("ana")
    for step in STEPS[:steps]:
        world.progress(name, step)
    offer = world.offer(name)
    world.ask(dc.CancelDelivery, name, reason="changed my mind")
    world.settle()
    assert world.status(name) == "cancelled"
    assert world.availability("ana") == "AVAILABLE"
    assert len(told(world, AssignmentEnded)) == 1
    assert world.ask(dc.CancelDelivery, name, reason="again") == ()
    assert code(world.ask(dc.ReportProgress, name, **offer, step="picked_up")) == "order_cancelled"


def test_cancelling_an_open_offer_withdraws_it_and_a_late_answer_is_told_so() -> None:
    world = city("ana")
    name = world.ready()
    offer = world.offer(name)
    world.ask(dc.CancelDelivery, name, reason="no")
    world.settle()
    assert [record.outcome for record in told(world, OfferEnded)] == ["WITHDRAWN"]
    assert code(world.ask(dc.AcceptOffer, name, **offer)) == "order_cancelled"
    assert agreement(world) == ""


def test_cancelling_while_a_reservation_is_under_way_leaves_nobody_held() -> None:
    world = city("ana")
    name = identity.delivery_id("s1", "o1")
    world.ask(dc.MarkReady, name, order=an_order())
    world.ask(dc.CancelDelivery, name, reason="no")
    world.settle()
    assert agreement(world) == ""
    assert world.availability("ana") == "AVAILABLE"


def test_goods_picked_up_are_called_back_only_by_an_admin() -> None:
    world, name = picked_up("ana")
    assert code(world.ask(dc.CancelDelivery, name, reason="no")) == "goods_picked_up"
    world.ask(dc.CancelDelivery, name, "admin", reason="fraud")
    assert world.status(name) == "failed"
    assert code(world.ask(dc.CancelDelivery, name, reason="no")) == "goods_picked_up"
    assert world.ask(dc.CancelDelivery, name, "admin", reason="fraud") == ()
    assert code(world.ask(dc.ChangePrepTime, name, prep_s=1)) == "not_allowed_now"
    assert code(world.ask(dc.ReturnDelivery, name, offer_id="x", driver_id="y")) == "not_yours"
    world.ask(dc.ReturnDelivery, name, **world.offer(name))
    world.settle()
    assert world.status(name) == "returned"
    assert world.availability("ana") == "AVAILABLE"
    assert world.ask(dc.ReturnDelivery, name, offer_id="", driver_id="") == ()


def test_a_failure_before_the_pickup_ends_it() -> None:
    world, name = held("ana")
    offer = world.offer(name)
    assert code(world.ask(dc.FailDelivery, name, offer_id="x", driver_id="ana", reason="r")) == "not_yours"
    world.ask(dc.FailDelivery, name, **offer, reason="store closed")
    world.settle()
    assert world.status(name) == "failed"
    assert world.availability("ana") == "AVAILABLE"
    assert world.ask(dc.FailDelivery, name, **offer, reason="store closed") == ()
    assert code(world.ask(dc.ReturnDelivery, name, **offer)) == "not_allowed_now"


def test_a_failure_with_the_goods_sends_them_back_and_only_an_admin_closes_it_as_failed() -> None:
    world, name = picked_up("ana")
    offer = world.offer(name)
    world.ask(dc.FailDelivery, name, **offer, reason="nobody at home")
    world.settle()
    assert world.availability("ana") == "BUSY"
    assert world.ask(dc.FailDelivery, name, **offer, reason="nobody at home") == ()
    world.ask(dc.FailDelivery, name, "admin", reason="goods lost")
    world.settle()
    assert world.availability("ana") == "AVAILABLE"
    assert code(world.ask(dc.FailDelivery, "nobody", "admin", reason="x")) == "not_allowed_now"


# Progress


def test_steps_go_forward_only_and_never_past_the_pickup() -> None:
    world, name = held("ana")
    assert code(world.progress(name, "delivered")) == "not_allowed_now"
    assert world.progress(name, "arrived_at_pickup") != ()
    assert world.progress(name, "arrived_at_pickup") == ()
    assert code(world.progress(name, "enroute_to_pickup")) == "not_allowed_now"
    assert (
        code(
            world.ask(dc.ReportProgress, name, offer_id=world.offer(name)["offer_id"], driver_id="x", step="picked_up")
        )
        == "not_yours"
    )
    world.progress(name, "picked_up")
    assert code(world.progress(name, "enroute_to_pickup")) == "not_allowed_now"
    offer = world.offer(name)
    world.progress(name, "delivered")
    assert world.ask(dc.ReportProgress, name, **offer, step="delivered") == ()
    assert code(world.ask(dc.ReportProgress, name, **offer, step="picked_up")) == "already_ended"
    assert code(world.ask(dc.CancelDelivery, name, reason="late")) == "already_ended"


# Reassignment


def test_a_driver_who_gives_up_is_replaced_and_never_asked_again() -> None:
    world, name = held("ana", "ben")
    first = world.offer(name)["driver_id"]
    world.ask(dc.GiveUpDelivery, name, **world.offer(name), **GAVE_UP)
    world.settle()
    assert world.status(name) == "offered"
    assert world.offer(name)["driver_id"] != first
    gone = world.names_of(de.AssignmentReassigned)[0]
    assert (gone.reason, gone.attempt_count, gone.driver_id) == ("driver_cancelled", 1, first)
    assert code(world.ask(dc.GiveUpDelivery, name, offer_id="x", driver_id=first)) == "not_yours"


def test_giving_up_with_the_goods_calls_people_and_keeps_the_holder() -> None:
    world, name = picked_up("ana", "ben")
    offer = world.offer(name)
    world.ask(dc.GiveUpDelivery, name, **offer, **GAVE_UP)
    assert world.names_of(de.ManualReviewRequired)[0].critical
    assert world.ask(dc.GiveUpDelivery, name, **offer, **GAVE_UP) == ()
    assert world.offer(name) == offer
    assert code(world.ask(dc.GiveUpDelivery, name, offer_id=offer["offer_id"], driver_id="x")) == "not_yours"
    world.progress(name, "delivered")
    assert world.status(name) == "delivered"


def test_more_than_three_changes_need_people() -> None:
    world, name = held("a1", "a2", "a3", "a4", "a5")
    for _ in range(4):
        if world.status(name) == "offered":
            world.accept(name)
        world.ask(dc.GiveUpDelivery, name, **world.offer(name), **GAVE_UP)
        world.settle()
    review = world.names_of(de.ManualReviewRequired)
    assert [(event.reason, event.attempt_count, event.critical) for event in review] == [
        ("too_many_reassignments", 4, True)
    ]
    world.pass_s(200)
    assert len(world.names_of(de.DriverOfferSent)) == 4
    assert [event.notify_customer for event in world.names_of(de.AssignmentReassigned)] == [False, False, True, True]
    assert world.ask(dc.ReassignDelivery, name, "admin", reason="admin_forced", note="try again") != ()
    world.settle()
    assert world.status(name) == "offered"


def test_a_lost_driver_may_come_back_within_the_grace() -> None:
    world, name = held("ana", "ben")
    ana = world.offer(name)["driver_id"]
    world.ask(dc.DriverUnavailable, name, "system", **world.offer(name), why="offline")
    assert world.ask(dc.DriverUnavailable, name, "system", **world.offer(name), why="offline") == ()
    world.ask(dc.DriverBack, name, "system", **world.offer(name))
    assert world.ask(dc.DriverBack, name, "system", **world.offer(name)) == ()
    assert world.offer(name)["driver_id"] == ana
    world.ask(dc.DriverUnavailable, name, "system", **world.offer(name), why="offline")
    assert world.progress(name, "enroute_to_pickup") != ()
    assert len(world.names_of(de.DriverRecovered)) == 2


def test_a_driver_offline_beyond_the_grace_is_replaced() -> None:
    world, name = held("ana", "ben")
    ana = world.offer(name)["driver_id"]
    other = "ben" if ana == "ana" else "ana"
    for _ in range(8):
        world.pass_s(59)
        world.ask(vc.SeenAlive, other, seen_at_ms=world.now_ms)
        world.settle()
    assert world.availability(ana) == "OFFLINE"
    assert world.names_of(de.AssignmentReassigned)[0].reason == "driver_offline"
    assert world.offer(name)["driver_id"] == other


@pytest.mark.parametrize("why", ["offline", "paused_reassign"])
def test_a_driver_lost_with_the_goods_is_never_replaced_in_silence(why: str) -> None:
    world, name = picked_up("ana", "ben")
    offer = world.offer(name)
    world.ask(dc.DriverUnavailable, name, "system", **offer, why=why)
    world.ask(dc.DriverUnavailable, name, "system", **offer, why=why)
    assert len(world.names_of(de.ManualReviewRequired)) == 1
    assert world.offer(name) == offer


@pytest.mark.parametrize(
    ("how", "why", "kept"),
    [
        ("accepted", "break_started", True),
        ("auto", "break_started", False),
        ("auto", "shift_ended", False),
        ("auto", "paused_keep", True),
        ("accepted", "paused_reassign", False),
    ],
)
def test_what_becomes_of_an_assignment_whose_driver_stops(how: str, why: str, kept: bool) -> None:
    world = city("ana")
    name = world.ready()
    if how == "accepted":
        world.accept(name)
    else:
        world.pass_s(30)
    world.ask(dc.DriverUnavailable, name, "system", **world.offer(name), why=why)
    world.settle()
    assert (world.status(name) == "assigned") == kept


def test_an_offer_whose_driver_stops_goes_to_the_next() -> None:
    world = city("ana", "ben")
    name = world.ready()
    asked = world.offer(name)["driver_id"]
    world.ask(vc.TakeBreak, asked, duration_ms=600_000)
    world.settle()
    assert world.offer(name)["driver_id"] != asked
    assert told(world, OfferEnded)[0].outcome == "WITHDRAWN"


def test_reassignment_off_hands_it_to_people() -> None:
    world, name = held("ana", "ben", flags=Flags(reassignment=Flag(enabled=False)))
    offer = world.offer(name)
    too_far = {"reason": "driver_distance_too_far", "offer_id": offer["offer_id"]}
    assert code(world.ask(dc.ReassignDelivery, name, "system", **too_far)) == "feature_off"
    world.ask(dc.GiveUpDelivery, name, **offer, **GAVE_UP)
    world.settle()
    assert world.names_of(de.ManualReviewRequired)[0].reason == "reassignment_is_off"
    assert world.status(name) == "searching"
    world.ask(dc.AssignDriver, name, "admin", driver_id="ben", note="by hand")
    world.settle()
    assert world.names_of(de.DriverAssigned)[-1].how == "manual"


def test_a_watcher_reassigns_only_the_offer_it_judged_and_no_manual_one() -> None:
    world, name = held("ana", "ben")
    too_far: dict[str, Any] = {"reason": "driver_distance_too_far"}
    assert code(world.ask(dc.ReassignDelivery, name, "system", offer_id="x", **too_far)) == "not_yours"
    offer_id = world.offer(name)["offer_id"]
    assert world.ask(dc.ReassignDelivery, name, "system", offer_id=offer_id, **too_far) != ()
    world.settle()
    assert code(world.ask(dc.ReassignDelivery, name, "system", offer_id=offer_id, **too_far)) == "not_allowed_now"
    world.ask(dc.AssignDriver, name, "admin", driver_id="ana", note="x")
    world.settle()
    offer_id = world.offer(name)["offer_id"]
    assert code(world.ask(dc.ReassignDelivery, name, "system", offer_id=offer_id, **too_far)) == "not_allowed_now"
    world.progress(name, "picked_up")
    assert code(world.ask(dc.ReassignDelivery, name, "admin", reason="admin_forced")) == "goods_picked_up"


# Admins


@pytest.mark.parametrize("phase", ["searching", "reserving", "offered", "held"])
def test_an_admin_names_the_driver_in_any_phase_before_the_pickup(phase: str) -> None:
    world = city() if phase == "searching" else city("ana")
    name = identity.delivery_id("s1", "o1")
    world.ask(dc.MarkReady, name, order=an_order())
    if phase != "reserving":
        world.settle()
    if phase == "held":
        world.accept(name)
    world.sign_on("zoe")
    world.ask(dc.AssignDriver, name, "admin", driver_id="zoe", note="regular customer")
    world.settle()
    assert world.offer(name)["driver_id"] == "zoe"
    assert world.names_of(de.DriverAssigned)[-1].how == "manual"
    assert world.ask(dc.AssignDriver, name, "admin", driver_id="zoe", note="again") == ()
    assert agreement(world) == ""


def test_a_named_driver_who_is_not_to_be_had_is_told_to_operations() -> None:
    world = city()
    name = world.ready()
    world.ask(dc.AssignDriver, name, "admin", driver_id="ghost", note="x")
    world.settle()
    assert world.status(name) == "searching"
    assert "manual_assignment_denied" in [record.kind for record in told(world, Notice)]


def test_admin_commands_on_what_does_not_wait_are_refused_with_the_reason() -> None:
    world, name = picked_up("ana")
    assert code(world.ask(dc.AssignDriver, name, "admin", driver_id="x", note="n")) == "goods_picked_up"
    assert code(world.ask(dc.EscalateDelivery, name, "admin")) == "not_allowed_now"
    world.progress(name, "delivered")
    assert code(world.ask(dc.AssignDriver, name, "admin", driver_id="x", note="n")) == "already_ended"
    assert code(world.ask(dc.EscalateDelivery, "nobody", "admin")) == "unknown_order"
    other = world.ready(2)
    world.ask(dc.CancelDelivery, other, reason="no")
    assert code(world.ask(dc.EscalateDelivery, other, "admin")) == "order_cancelled"


def test_an_admin_takes_an_open_offer_back_or_hurries_a_search() -> None:
    world = city("ana", "ben")
    name = world.ready()
    asked = world.offer(name)
    world.ask(dc.ReassignDelivery, name, "admin", reason="admin_forced", note="n")
    world.settle()
    assert world.offer(name) != asked
    empty = city()
    other = empty.ready()
    empty.sign_on("zoe")
    empty.ask(dc.ReassignDelivery, other, "admin", reason="admin_forced", note="n")
    empty.settle()
    assert empty.status(other) == "offered"


# Nobody found


def test_the_search_is_repeated_after_5_10_20_and_then_every_30_seconds() -> None:
    world = city(flags=Flags(escalation=Flag(enabled=False)))
    world.ready()
    world.pass_s(130)
    moments = [(event.at_ms - START_MS) // 1000 for event in world.names_of(de.NoDriverFound)]
    assert moments == [0, 5, 15, 35, 65, 95, 125]


def test_a_driver_who_becomes_available_is_asked_at_once() -> None:
    world = city()
    name = world.ready()
    world.sign_on("ana")
    world.ask(dc.SearchAgain, name, "system", driver_id="ana")
    world.settle()
    assert world.status(name) == "offered"
    assert world.ask(dc.SearchAgain, name, "system") == ()


def test_waiting_escalates_at_5_15_and_30_minutes_and_widens_the_search() -> None:
    world = city()
    world.ready()
    world.pass_s(1801)
    levels = world.names_of(de.UnassignedEscalated)
    assert [(event.level, (event.at_ms - START_MS) // 1000, event.radius_m) for event in levels] == [
        (1, 300, 5000), (2, 900, 10_000), (3, 1800, 10_000),
    ]  # fmt: skip
    assert world.names_of(de.DriverCandidatesFound)[-1].radius_m == 10_000
    kinds = [(record.audience, record.kind) for record in told(world, Notice)]
    assert kinds == [
        ("operations", "unassigned"), ("support", "support_ticket"), ("operations", "unassigned_wider_search"),
        ("operations", "unassigned_critical"),
    ]  # fmt: skip


def test_the_highest_level_cancels_where_policy_says_so() -> None:
    world = city(policy=Policy(escalation=EscalationPolicy(auto_cancel=True)))
    name = world.ready()
    world.pass_s(1801)
    assert world.status(name) == "cancelled"
    assert world.names_of(de.DeliveryCancelled)[0].by_policy


def test_an_admin_escalates_without_waiting_for_the_clock() -> None:
    world = city()
    name = world.ready()
    for level in (1, 2, 3):
        assert world.ask(dc.EscalateDelivery, name, "admin") != ()
        assert world.names_of(de.UnassignedEscalated)[-1].level == level
    assert code(world.ask(dc.EscalateDelivery, name, "admin")) == "not_allowed_now"


@pytest.mark.parametrize("fails", [True, False])
def test_the_reason_for_finding_nobody_is_the_honest_one(fails: bool) -> None:
    world = city()
    world.index_fails = fails
    world.ready()
    expected = "redis_timeout" if fails else "no_available_drivers"
    assert world.names_of(de.NoDriverFound)[0].why == expected


def test_a_closed_delivery_leaves_a_marker_for_48_hours() -> None:
    world, name = held("ana")
    world.progress(name, "picked_up")
    world.progress(name, "delivered")
    (owner, due), *_ = [(owner, due) for owner, due in world.due() if owner == name]
    assert (due.kind, due.at_ms) == ("forget", world.now_ms + 172_800_000)
    assert world.deliveries[owner].order is None
