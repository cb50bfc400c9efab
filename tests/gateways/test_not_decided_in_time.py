"""An answer without a decision says what it is about, in the shape that the document promises."""

import orjson

from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import driver_commands as vc
from gateways.commands import outcome
from gateways.documents.shapes import Pending

HEAD = {"command_id": "c", "at_ms": 1, "actor_type": "order_service", "actor_id": "shop", "correlation_id": "x"}


def test_an_order_that_is_not_decided_in_time_is_told_with_its_delivery() -> None:
    answer = outcome(dc.CancelDelivery(**HEAD, delivery_id="d", reason="sold_out"), None, "/v2/deliveries/d")
    said = orjson.loads(answer.body)
    assert said == {"command_id": "c", "outcome": "pending", "ask": "/v2/deliveries/d", "delivery_id": "d"}
    assert (answer.status_code, answer.headers["location"]) == (202, "/v2/deliveries/d")
    Pending.model_validate(said)


def test_what_is_of_an_offer_names_driver_and_offer_too() -> None:
    command = dc.AcceptOffer(**HEAD, delivery_id="d", driver_id="ana", offer_id="o")
    said = orjson.loads(outcome(command, None, "/v2/deliveries/d").body)
    assert {name: said[name] for name in ("delivery_id", "driver_id", "offer_id")} == {
        "delivery_id": "d", "driver_id": "ana", "offer_id": "o",
    }  # fmt: skip


def test_a_drivers_command_names_the_driver_alone() -> None:
    said = orjson.loads(outcome(vc.EndShift(**HEAD, driver_id="ana"), None, "/v2/drivers/ana").body)
    assert said == {"command_id": "c", "outcome": "pending", "ask": "/v2/drivers/ana", "driver_id": "ana"}
