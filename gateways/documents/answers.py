"""What each operation answers: its id, which never changes, its tag, and the shape and an example of its success.

Whoever adds a route adds its row; a test names the routes without one. Rows of the same room stand in one table.
"""

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from gateways.documents import shapes

TAGS = {
    "orders": "Order services: placed, ready, cancelled.",
    "drivers": "Drivers: duty, places, offers, deliveries in hand.",
    "deliveries": "How deliveries stand, and why.",
    "tracking": "Customers: where their order is.",
    "webhooks": "Sellers' endpoints, and what was sent to them.",
    "commerce": "Before checkout: whether and for how much.",
    "operations": "People who see to deliveries, drivers and letters that went astray.",
    "rules": "Policy, flags, zones and incentives.",
    "registry": "The Avro schemas, as Confluent's clients ask for them; for reading only.",
    "process": "Whether it is up; documents for machines.",
}
_ID = "6a0f1d0e-3c0f-5d53-9c5d-0d1b1b7e7a11"
_OFFER = "2b1e0a44-52c4-5a0e-8a51-0a2f6d4d9c02"
DECIDED = {"command_id": _OFFER, "outcome": "accepted", "status": "assigned", "version": 7, "delivery_id": _ID}


@dataclass(frozen=True, slots=True)
class Answer:
    """One operation's row."""

    id: str
    """The operation's id: camelCase, unique, never changed."""
    tag: str
    shape: type[BaseModel] | list[type[BaseModel]] | None = None
    """Of success; a list of one: an array of it; None: see `media`."""
    status: int = 200
    example: Any = None
    media: str = "application/json"
    decided: bool = False
    """A command: it may be answered 202 (not decided in time) and 409 (refused)."""
    also: dict[int, str] = field(default_factory=dict)
    """Further answers by status: what they mean."""


def _decided(name: str, tag: str, http: int = 200, /, **changes: Any) -> Answer:
    return Answer(name, tag, shapes.Outcome, http, DECIDED | changes, decided=True)


def _driver(id: str, status: str = "AVAILABLE") -> Answer:
    example = {"command_id": _OFFER, "outcome": "accepted", "status": status, "version": 4, "driver_id": "ana"}
    return Answer(id, "drivers", shapes.Outcome, 200, example, decided=True)


_V2 = "/v2/drivers/{driver_id}"
_HAND = f"{_V2}/deliveries/{{delivery_id}}"
_ORDER = "/v2/orders/{seller_id}/{seller_order_id}"
_DELIVERY = "/v2/admin/deliveries/{delivery_id}"
_UP = {"status": "up", "parts": {"kafka": "up", "postgres": "up"}}
_REFUSED = [{"index": 1, "code": "older_than_known", "reason": "is older than the last one"}]

PROCESS = {
    "GET /health": Answer("health", "process", shapes.Health, example=_UP),
    "GET /ready": Answer("ready", "process", shapes.Health, example=_UP),
    "GET /metrics": Answer("metrics", "process", media="text/plain"),
    "GET /asyncapi.json": Answer("asyncapi", "process", shapes.Document),
}
ORDERS = {
    "POST /events/seller-order-ready": Answer(
        "sellerOrderReady", "orders", shapes.FirstAnswer,
        example={"assigned": True, "delivery_id": _ID, "offer_id": _OFFER}, decided=True,
    ),
    "POST /v2/orders": _decided("placeOrder", "orders", 201, status="created", version=1),
    "POST /v2/orders/ready": _decided("orderReady", "orders", 201, status="searching", version=2),
    f"POST {_ORDER}/ready": _decided("placedOrderReady", "orders", status="searching", version=2),
    f"POST {_ORDER}/cancel": _decided("cancelOrder", "orders", status="cancelled"),
    f"POST {_ORDER}/prep-time": _decided("changePrepTime", "orders", status="searching"),
}  # fmt: skip
DRIVERS = {
    f"POST {_V2}/sign-on": _driver("signOn"),
    f"POST {_V2}/shift/start": _driver("startShift"),
    f"POST {_V2}/shift/end": _driver("endShift", "SHIFT_ENDED"),
    f"POST {_V2}/availability/end-shift": _driver("endShiftAsAvailability", "SHIFT_ENDED"),
    f"POST {_V2}/availability/take-break": _driver("takeBreak", "ON_BREAK"),
    f"POST {_V2}/availability/extend-break": _driver("extendBreak", "ON_BREAK"),
    f"POST {_V2}/availability/resume": _driver("resumeWork"),
    f"PUT {_V2}/zone-preferences/{{zone_id}}": _driver("setZonePreference"),
    f"PUT {_V2}/zone-preferences/{{zone}}": _driver("setZonePreference"),
    f"GET {_V2}": Answer("getDriver", "drivers", shapes.Driver),
    **{
        f"{method} {path}/location": Answer(
            name, "drivers", shapes.PingsTaken, 202, {"taken": 2, "refused": _REFUSED}
        )
        for method, path, name in (
            ("PUT", _V2, "putLocation"), ("PATCH", _V2, "patchLocation"),
            ("POST", "/drivers/{driver_id}", "postLocationV1"), ("PUT", "/drivers/{driver_id}", "putLocationV1"),
        )
    },
    f"POST {_V2}/heartbeat": Answer("heartbeat", "drivers", shapes.Taken, 202, {"outcome": "taken"}),
    "POST /drivers/{driver_id}/heartbeat": Answer("heartbeatV1", "drivers", shapes.Taken, 202, {"outcome": "taken"}),
    f"GET {_V2}/offers": Answer("listOffers", "drivers", shapes.Offers),
    f"POST {_V2}/offers/{{offer_id}}/accept": _decided("acceptOffer", "drivers", offer_id=_OFFER, driver_id="ana"),
    f"POST {_V2}/offers/{{offer_id}}/reject": _decided("rejectOffer", "drivers", status="searching"),
    f"GET {_HAND}": Answer("getDeliveryInHand", "drivers", shapes.InHand),
    f"POST {_HAND}/progress": _decided("reportProgress", "drivers", status="picked_up", driver_id="ana"),
    f"POST {_HAND}/fail": _decided("failDeliveryInHand", "drivers", status="failed", driver_id="ana"),
    f"POST {_HAND}/return": _decided("returnDeliveryInHand", "drivers", status="returned", driver_id="ana"),
    f"POST {_HAND}/give-up": _decided("giveUpDelivery", "drivers", status="searching", driver_id="ana"),
}  # fmt: skip
DELIVERIES = {
    "GET /v2/deliveries/{delivery_id}": Answer("getDelivery", "deliveries", shapes.Delivery),
    "GET /v2/deliveries/{delivery_id}/audit": Answer("getAudit", "deliveries", shapes.Audit),
}
OPERATIONS = {
    f"GET {_DELIVERY}/audit": Answer("getAuditAsOperations", "operations", shapes.Audit),
    "GET /v2/admin/unassigned-orders": Answer("listUnassignedOrders", "operations", shapes.Page),
    "POST /v2/admin/assignments/{delivery_id}/reassign": _decided("reassignDelivery", "operations", status="searching"),
    "POST /v2/admin/assignments/{delivery_id}/assign": _decided("assignDriver", "operations", driver_id="ana"),
    f"POST {_DELIVERY}/escalate": _decided("escalateDelivery", "operations", status="searching"),
    f"POST {_DELIVERY}/cancel": _decided("cancelDelivery", "operations", status="cancelled"),
    f"POST {_DELIVERY}/fail": _decided("failDelivery", "operations", status="failed"),
    f"POST {_DELIVERY}/return": _decided("returnDelivery", "operations", status="returned"),
    "POST /v2/admin/drivers/{driver_id}/pause": _driver("pauseDriver", "PAUSED"),
    "POST /v2/admin/drivers/{driver_id}/unpause": _driver("unpauseDriver"),
}
_SUBJECT = "/subjects/{subject}"
_AVRO = "application/vnd.schemaregistry.v1+json"


def _registry(id: str, shape: Any, example: Any = None) -> Answer:
    return Answer(id, "registry", shape, example=example, media=_AVRO)


REGISTRY = {
    "GET /schemas/types": _registry("registrySchemaTypes", None, ["AVRO"]),
    "GET /schemas/ids/{schema_id}": _registry("registrySchema", shapes.SchemaText),
    "GET /schemas/ids/{schema_id}/schema": _registry("registryBareSchema", shapes.Document),
    "GET /schemas/ids/{schema_id}/versions": _registry("registryVersionsOfId", [shapes.SubjectVersion]),
    "GET /schemas/ids/{schema_id}/subjects": _registry("registrySubjectsOfId", None, ["baton.offers.OfferCreated"]),
    "GET /subjects": _registry("registrySubjects", None, ["baton.offers.OfferCreated"]),
    f"POST {_SUBJECT}": _registry("registryLookUp", shapes.Version),
    f"GET {_SUBJECT}/versions": _registry("registryVersions", None, [1, 2]),
    f"GET {_SUBJECT}/versions/{{version}}": _registry("registryVersion", shapes.Version),
    f"GET {_SUBJECT}/versions/{{version}}/schema": _registry("registryBareVersion", shapes.Document),
    "GET /config": _registry("registryConfig", shapes.Compatibility),
    "GET /config/{subject}": _registry("registrySubjectConfig", shapes.Compatibility),
    "GET /mode": _registry("registryMode", shapes.Mode),
}

ANSWERS: dict[str, Answer] = {**PROCESS, **ORDERS, **DRIVERS, **DELIVERIES, **OPERATIONS, **REGISTRY}
"""By method and path, as in the table of doors."""
