"""What operations' doors answer, and those of rules, checkout, tracking and webhooks: rows of the table of answers."""

from typing import Any

from pydantic import BaseModel

from gateways.documents import desk_shapes as shapes
from gateways.documents.row import Answer, decided

_ADMIN = "/v2/admin"
_HOOKS = "/v2/webhooks/endpoints"
_HOOK = f"{_HOOKS}/{{endpoint_id}}"
_LETTERS = f"{_ADMIN}/dead-letters"
_WAITING = f"{_ADMIN}/unassigned-orders"
_DELIVERY = "/v2/deliveries/{delivery_id}"
_ORDER = "/v2/orders/{seller_id}/{seller_order_id}"


def _of(tag: str, rows: dict[str, tuple[str, type[BaseModel] | None] | Answer]) -> dict[str, Answer]:
    return {where: row if isinstance(row, Answer) else Answer(row[0], tag, row[1]) for where, row in rows.items()}


def _stream(name: str, tag: str) -> Answer:
    return Answer(name, tag, media="text/event-stream", also={204: "It has ended, and the reader has all of it."})


def _with(status: int, name: str, tag: str, shape: Any) -> Answer:
    return Answer(name, tag, shape, status)


DESK: dict[str, Answer] = {
    **_of("operations", {
        f"GET {_WAITING}": ("listUnassignedOrders", shapes.UnassignedOrders),
        f"POST {_WAITING}/{{delivery_id}}/escalate": decided("escalateUnassigned", "operations"),
        f"POST {_WAITING}/{{delivery_id}}/reassign": decided("reassignUnassigned", "operations"),
        f"POST {_WAITING}/{{delivery_id}}/cancel": decided("cancelUnassigned", "operations"),
        f"GET {_ADMIN}/deliveries": ("findDeliveries", shapes.DeliveryList),
        f"GET {_ADMIN}/drivers": ("findDrivers", shapes.DriverList),
        f"GET {_ADMIN}/drivers/{{driver_id}}/availability-history": ("availabilityHistory", shapes.AvailabilityHistory),
        f"GET {_ADMIN}/audit-logs": ("auditLogs", shapes.AuditLogs),
        f"GET {_ADMIN}/deliveries/{{delivery_id}}/story": ("tellDelivery", shapes.Story),
        f"POST {_ADMIN}/deliveries/{{delivery_id}}/deliver": decided("deliverAsOperations", "operations"),
        f"GET {_ADMIN}/analytics/zone-health": ("zoneHealth", shapes.Series),
        f"GET {_ADMIN}/analytics/driver-performance": ("driverPerformance", shapes.Performance),
        f"GET {_ADMIN}/analytics/economics": ("economics", shapes.Economics),
        f"GET {_LETTERS}": ("listDeadLetters", shapes.DeadLetterList),
        f"GET {_LETTERS}/{{letter_id}}": ("getDeadLetter", shapes.DeadLetter),
        f"POST {_LETTERS}/{{letter_id}}/retry": ("retryDeadLetter", shapes.DeadLetterHandled),
        f"POST {_LETTERS}/{{letter_id}}/drop": ("dropDeadLetter", shapes.DeadLetterHandled),
        f"POST {_ADMIN}/broadcasts": _with(202, "broadcast", "operations", shapes.BroadcastTaken),
        f"GET {_ADMIN}/events": _stream("watchOperations", "operations"),
        f"GET {_ADMIN}/live-map": ("liveMap", shapes.LiveMap),
    }),
    **_of("rules", {
        f"GET {_ADMIN}/policy": ("getPolicy", shapes.Policy),
        f"PUT {_ADMIN}/policy": ("putPolicy", shapes.PolicyChanged),
        f"PATCH {_ADMIN}/policy": ("changePolicy", shapes.PolicyChanged),
        f"POST {_ADMIN}/policy/check": ("checkPolicy", shapes.PolicyCheck),
        f"GET {_ADMIN}/policy/history": ("policyHistory", shapes.PolicyHistory),
        f"GET {_ADMIN}/flags": ("listFlags", shapes.FlagList),
        f"GET {_ADMIN}/flags/history": ("flagHistory", shapes.Changes),
        f"PUT {_ADMIN}/flags/{{name}}": ("setFlag", shapes.Flag),
        "GET /v2/zones": Answer("getZones", "rules", shapes.FeatureCollection, media="application/geo+json"),
        "GET /v2/zones/at": ("zoneAt", shapes.ZoneAt),
        f"PUT {_ADMIN}/zones": ("importZones", shapes.ZonesImported),
        f"POST {_ADMIN}/zones/{{zone}}/request-drivers": _with(202, "requestDrivers", "rules", shapes.DriversRequested),
        f"GET {_ADMIN}/incentives": ("listIncentives", shapes.Incentives),
        f"POST {_ADMIN}/incentives": _with(201, "setIncentive", "rules", shapes.Incentive),
        f"DELETE {_ADMIN}/incentives/{{incentive_id}}": ("endIncentive", shapes.Incentive),
    }),
    **_of("commerce", {
        "POST /v2/serviceability": ("serviceability", shapes.Serviceability),
        "POST /v2/quotes": _with(201, "quote", "commerce", shapes.Quote),
    }),
    **_of("deliveries", {
        f"GET {_DELIVERY}/proof": ("getProof", shapes.Proof),
        f"POST {_DELIVERY}/offers": Answer(
            "offerNow", "deliveries", shapes.Offered, decided=True, also={201: "Offered."}
        ),
        f"GET {_DELIVERY}/location": ("getDeliveryLocation", shapes.DeliveryLocation),
    }),
    **_of("drivers", {
        "GET /v2/drivers/{driver_id}/zone-preferences": ("getZonePreferences", shapes.ZonePreferences),
    }),
    **_of("tracking", {
        "GET /v2/orders/{delivery_id}/delivery-status": ("getDeliveryStatus", shapes.DeliveryStatus),
        f"GET {_ORDER}/delivery-status": ("getOrderStatus", shapes.DeliveryStatus),
        "GET /v2/orders/{delivery_id}/events": _stream("followDelivery", "tracking"),
        f"POST {_DELIVERY}/tracking-links": _with(201, "createTrackingLink", "tracking", shapes.TrackingLink),
        f"DELETE {_DELIVERY}/tracking-links": ("revokeTrackingLinks", shapes.LinksRevoked),
        "GET /v2/track/{token}": ("track", shapes.DeliveryStatus),
        "GET /v2/track/{token}/pin": ("getPin", shapes.Pin),
        "GET /v2/track/{token}/events": _stream("followByToken", "tracking"),
    }),
    **_of("webhooks", {
        f"POST {_HOOKS}": _with(201, "createEndpoint", "webhooks", shapes.Endpoint),
        f"GET {_HOOKS}": ("listEndpoints", shapes.Endpoints),
        f"GET {_HOOK}": ("getEndpoint", shapes.Endpoint),
        f"PATCH {_HOOK}": ("changeEndpoint", shapes.Endpoint),
        f"DELETE {_HOOK}": Answer("deleteEndpoint", "webhooks", None, 204),
        f"POST {_HOOK}/rotate-secret": ("rotateSecret", shapes.Endpoint),
        f"POST {_HOOK}/test": _with(202, "testEndpoint", "webhooks", shapes.MessageSent),
        f"POST {_HOOK}/enable": ("enableEndpoint", shapes.Endpoint),
        f"GET {_HOOK}/attempts": ("listAttempts", shapes.Attempts),
        "POST /v2/webhooks/messages/{message_id}/redeliver": _with(
            202, "redeliverMessage", "webhooks", shapes.MessageSent
        ),
    }),
}  # fmt: skip
"""By method and path."""
