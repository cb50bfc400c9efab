"""What each operation answers: its id, which never changes, its tag, and the shape and an example of its success.

Whoever adds a route adds its row; a test names the routes without one. Rows of the same room stand in one table.
"""

from typing import Any

from gateways.documents import shapes
from gateways.documents.desk_answers import DESK
from gateways.documents.row import DELIVERY_ID, OFFER_ID, Answer, decided, of_driver

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
        example={"assigned": True, "delivery_id": DELIVERY_ID, "offer_id": OFFER_ID}, decided=True,
    ),
    "POST /v2/orders": decided("placeOrder", "orders", 201, status="created", version=1),
    "POST /v2/orders/ready": decided("orderReady", "orders", 201, status="searching", version=2),
    f"POST {_ORDER}/ready": decided("placedOrderReady", "orders", status="searching", version=2),
    f"POST {_ORDER}/cancel": decided("cancelOrder", "orders", status="cancelled"),
    f"POST {_ORDER}/prep-time": decided("changePrepTime", "orders", status="searching"),
}  # fmt: skip
DRIVERS = {
    f"POST {_V2}/sign-on": of_driver("signOn"),
    f"POST {_V2}/shift/start": of_driver("startShift"),
    f"POST {_V2}/shift/end": of_driver("endShift", "SHIFT_ENDED"),
    f"POST {_V2}/availability/end-shift": of_driver("endShiftAsAvailability", "SHIFT_ENDED"),
    f"POST {_V2}/availability/take-break": of_driver("takeBreak", "ON_BREAK"),
    f"POST {_V2}/availability/extend-break": of_driver("extendBreak", "ON_BREAK"),
    f"POST {_V2}/availability/resume": of_driver("resumeWork"),
    f"PUT {_V2}/zone-preferences/{{zone}}": of_driver("setZonePreference"),
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
    f"POST {_V2}/offers/{{offer_id}}/accept": decided("acceptOffer", "drivers", offer_id=OFFER_ID, driver_id="ana"),
    f"POST {_V2}/offers/{{offer_id}}/reject": decided("rejectOffer", "drivers", status="searching"),
    f"GET {_HAND}": Answer("getDeliveryInHand", "drivers", shapes.InHand),
    f"POST {_HAND}/progress": decided("reportProgress", "drivers", status="picked_up", driver_id="ana"),
    f"POST {_HAND}/fail": decided("failDeliveryInHand", "drivers", status="failed", driver_id="ana"),
    f"POST {_HAND}/return": decided("returnDeliveryInHand", "drivers", status="returned", driver_id="ana"),
    f"POST {_HAND}/give-up": decided("giveUpDelivery", "drivers", status="searching", driver_id="ana"),
}  # fmt: skip
DELIVERIES = {
    "GET /v2/deliveries/{delivery_id}": Answer("getDelivery", "deliveries", shapes.Delivery),
    "GET /v2/deliveries/{delivery_id}/audit": Answer("getAudit", "deliveries", shapes.Audit),
}
OPERATIONS = {
    f"GET {_DELIVERY}/audit": Answer("getAuditAsOperations", "operations", shapes.Audit),
    "POST /v2/admin/assignments/{delivery_id}/reassign": decided("reassignDelivery", "operations", status="searching"),
    "POST /v2/admin/assignments/{delivery_id}/assign": decided("assignDriver", "operations", driver_id="ana"),
    f"POST {_DELIVERY}/escalate": decided("escalateDelivery", "operations", status="searching"),
    f"POST {_DELIVERY}/cancel": decided("cancelDelivery", "operations", status="cancelled"),
    f"POST {_DELIVERY}/fail": decided("failDelivery", "operations", status="failed"),
    f"POST {_DELIVERY}/return": decided("returnDelivery", "operations", status="returned"),
    "POST /v2/admin/drivers/{driver_id}/pause": of_driver("pauseDriver", "PAUSED"),
    "POST /v2/admin/drivers/{driver_id}/unpause": of_driver("unpauseDriver"),
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

ANSWERS: dict[str, Answer] = {**PROCESS, **ORDERS, **DRIVERS, **DELIVERIES, **OPERATIONS, **DESK, **REGISTRY}
"""By method and path, as in the table of doors."""
