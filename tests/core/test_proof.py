"""What an order asks for as proof of the hand-over, and what is made of it."""

import pytest
from world import World, an_order

from dispatch.contract import identity
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.core import delivery
from dispatch.core.delivery.orders import NOT_IDENTITY, OF_PROOF
from dispatch.core.delivery.proof import MOST_WRONG_PINS
from dispatch.core.facts import Refusal
from dispatch.inputs.pins import Pins

PINS = Pins(b"a key of this test")


def at_the_door(proof: str) -> tuple[World, str]:
    """The goods are with the driver."""
    order = an_order(proof=proof)
    name = identity.delivery_id(order.seller_id, order.seller_order_id)
    if proof == "pin":
        order = an_order(proof=proof, pin_mark=PINS.mark(name, "4711"))
    world = World().sign_on("ana")
    world.ask(dc.MarkReady, name, order=order)
    world.settle()
    world.accept(name)
    world.progress(name, "picked_up")
    return world, name


def handed_over(world: World, name: str, actor: str = "driver", **fields: str) -> object:
    return world.ask(dc.ReportProgress, name, actor, **world.offer(name), step="delivered", **fields)


def code(result: object) -> str:
    assert isinstance(result, Refusal), result
    return result.code


@pytest.mark.parametrize(("proof", "fields"), [("photo", {"proof_ref": "p1"}), ("signature", {"signature_ref": "s1"})])
def test_without_the_proof_asked_for_it_is_not_delivered(proof: str, fields: dict[str, str]) -> None:
    world, name = at_the_door(proof)
    other = {"proof_ref": "p1", "signature_ref": "s1"}.keys() - fields.keys()
    assert code(handed_over(world, name)) == "proof_wanted"
    assert code(handed_over(world, name, **dict.fromkeys(other, "x"))) == "proof_wanted"
    assert delivery.status(world.deliveries[name]) == "picked_up"
    handed_over(world, name, **fields)
    (done,) = world.names_of(de.DeliveryCompleted)
    assert (done.proof_ref, done.signature_ref, done.pin_checked) == (
        fields.get("proof_ref"), fields.get("signature_ref"), False,
    )  # fmt: skip


def test_other_steps_ask_for_no_proof() -> None:
    world, name = at_the_door("pin")
    world.progress(name, "arrived_at_dropoff")
    assert delivery.status(world.deliveries[name]) == "arrived_at_dropoff"


def test_the_right_pin_is_taken_and_a_wrong_one_counted() -> None:
    world, name = at_the_door("pin")
    assert code(handed_over(world, name)) == "proof_wanted"
    handed_over(world, name, pin_mark=PINS.mark(name, "4712"))
    assert [event.wrong for event in world.names_of(de.ProofRefused)] == [1]
    assert delivery.status(world.deliveries[name]) == "picked_up"
    handed_over(world, name, pin_mark=PINS.mark(name, "4711"))
    assert world.names_of(de.DeliveryCompleted)[0].pin_checked


def test_after_five_wrong_pins_none_is_taken_and_people_must_look() -> None:
    world, name = at_the_door("pin")
    for _ in range(MOST_WRONG_PINS):
        handed_over(world, name, pin_mark=PINS.mark(name, "0000"))
    assert [event.reason for event in world.names_of(de.ManualReviewRequired)] == ["wrong_pins"]
    assert code(handed_over(world, name, pin_mark=PINS.mark(name, "4711"))) == "pin_locked"
    assert len(world.names_of(de.ProofRefused)) == MOST_WRONG_PINS
    assert code(handed_over(world, name, "admin")) == "pin_locked"
    handed_over(world, name, "admin", note="the customer called")
    (done,) = world.names_of(de.DeliveryCompleted)
    assert (done.pin_checked, done.note, done.actor_type) == (False, "the customer called", "admin")


def test_a_pin_of_ours_is_the_same_each_time_and_its_mark_is_of_one_delivery_and_one_key() -> None:
    first, second = identity.derived("one"), identity.derived("two")
    assert PINS.pin(first) == Pins(b"a key of this test").pin(first)
    assert PINS.pin(first).isdigit()
    assert len(PINS.pin(first)) == 4
    marks = {PINS.mark(first, "4711"), PINS.mark(second, "4711"), PINS.mark(first, "4712"),
             Pins(b"another key").mark(first, "4711")}  # fmt: skip
    assert len(marks) == 4
    assert PINS.mark(first, "") == ""


def test_an_order_without_proof_has_the_digest_it_had_before_there_were_proofs() -> None:
    from dispatch.contract import codec

    world, order = World(), an_order()
    name = identity.delivery_id(order.seller_id, order.seller_order_id)
    world.ask(dc.PlaceOrder, name, order=order)
    assert world.deliveries[name].order_digest == codec.digest(order, without=NOT_IDENTITY | OF_PROOF)
    assert world.ask(dc.PlaceOrder, name, order=order) == ()
    assert code(world.ask(dc.PlaceOrder, name, order=an_order(proof="photo"))) == "order_conflict"


@pytest.mark.parametrize("actor", ["admin", "order_service"])
def test_who_asks_for_an_offer_that_cannot_be_made_is_told(actor: str) -> None:
    world, order = World().sign_on("ana"), an_order()
    name = identity.delivery_id(order.seller_id, order.seller_order_id)
    assert code(world.ask(dc.SearchAgain, name, actor)) == "unknown_order"
    world.ask(dc.MarkReady, name, order=order)
    assert world.ask(dc.SearchAgain, name, actor) == ()  # ana is being reserved
    world.settle()
    assert code(world.ask(dc.SearchAgain, name, actor)) == "not_allowed_now"
    world.ask(dc.CancelDelivery, name, actor, reason="no more")
    assert code(world.ask(dc.SearchAgain, name, actor)) == "order_cancelled"
