"""The Kafka door: records of orders.inbound become commands, re-keyed by delivery, and the contact goes its own way."""

from typing import Any

from dispatch.contract import codec, identity, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.personal import split
from dispatch.contract.records import delivery_commands as commands
from dispatch.contract.records import inbound
from dispatch.contract.records.shared import Order
from dispatch.contract.records.system import Contact
from dispatch.inputs.pins import Pins
from dispatch.log.application import Message, Record
from dispatch.log.errors import BadRecord
from dispatch.processors.routing import Router


class InboundDoor:
    """Stateless: the delivery tells repeats apart."""

    name = "inbound"

    def __init__(self, namespace: str, pins: Pins | None = None) -> None:
        self._pins = pins
        self.topic = namespace + topics.ORDERS_INBOUND.name
        self._router = Router(namespace)

    def transform(self, record: Record) -> list[Message]:
        """The command for the delivery, and the contact. Raises BadRecord, naming the place."""
        try:
            order = codec.decode_checked(record.value)
        except ContractError as error:
            raise BadRecord(error.reason, error.place) from error
        return [self._router.message(made) for made in self._become(order, record)]

    def _become(self, order: Any, record: Record) -> list[Any]:
        match order:
            case inbound.InboundOrderReady():
                delivery_id, content, contact = self._split(order)
                return [contact, commands.MarkReady(**_header(order, delivery_id, record), order=content)]
            case inbound.InboundOrderPlaced():
                delivery_id, content, contact = self._split(order)
                return [contact, commands.PlaceOrder(**_header(order, delivery_id, record), order=content)]
            case inbound.InboundPrepTimeChanged(prep_s=prep_s):
                delivery_id = identity.delivery_id(order.seller_id, order.seller_order_id)
                return [commands.ChangePrepTime(**_header(order, delivery_id, record), prep_s=prep_s)]
            case inbound.InboundOrderCancelled(reason=reason):
                delivery_id = identity.delivery_id(order.seller_id, order.seller_order_id)
                return [commands.CancelDelivery(**_header(order, delivery_id, record), reason=reason)]
        raise BadRecord(f"a {type(order).__name__} is no order", "schema id")

    def _split(self, order: Any) -> tuple[str, Order, Contact]:
        delivery_id, content, contact = split(order)
        if self._pins is None:
            return delivery_id, content, contact
        return delivery_id, *self._pins.put(delivery_id, content, contact)


def _header(order: Any, delivery_id: str, record: Record) -> dict[str, Any]:
    """A repeated message gives the same command id only when it is the very same message, of the same kind."""
    kind = type(order).__name__
    return {
        "command_id": identity.command_id(delivery_id, f"inbound {kind} {order.seller_id} {order.message_id}"),
        "delivery_id": delivery_id,
        "at_ms": record.timestamp_ms,
        "actor_type": "order_service",
        "actor_id": order.seller_id,
        "correlation_id": delivery_id,
    }
