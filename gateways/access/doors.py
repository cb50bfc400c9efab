"""The table of doors: for every route who may use it, whose resource it must be, and how often."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Role = Literal["order_service", "driver", "customer", "support", "ops", "analyst", "admin"]
Rate = Literal["open", "read", "write", "ping", "admin", "stream"]


class Owner(StrEnum):
    """Whose resource it must be, for roles that own something; support, ops, analysts and admins own nothing."""

    ANYONE = "anyone"
    DRIVER = "driver"
    """`driver_id` in the path is who asks."""
    SELLER = "seller"
    """`seller_id`, in the path or the body, is one of those whom the asker speaks for."""
    DELIVERY = "delivery"
    """`delivery_id` in the path is of the seller who asks, or in the hands of the driver who asks."""
    WEBHOOK = "webhook"
    """Endpoint or message in the path is of a seller whom the asker speaks for; the handler looks, else 404."""
    TRACKING = "tracking"
    """The token in the path is the right to ask."""


@dataclass(frozen=True, slots=True)
class Door:
    """One route."""

    method: str
    """GET, POST ...; SOCKET for a WebSocket."""
    path: str
    """As the router has it."""
    roles: frozenset[Role]
    """Empty: no sign-in is asked for."""
    owner: Owner = Owner.ANYONE
    rate: Rate = "read"
    reason: bool = False
    """An act of an admin: the body says why."""
    body_max: int = 65_536
    """Bytes."""


_PUBLIC: frozenset[Role] = frozenset()
_SELLERS: frozenset[Role] = frozenset({"order_service", "ops", "admin"})
_DRIVERS: frozenset[Role] = frozenset({"driver", "ops", "admin"})
_DESK: frozenset[Role] = frozenset({"support", "ops", "admin"})
_OPS: frozenset[Role] = frozenset({"ops", "admin"})
_PARTIES: frozenset[Role] = frozenset({"order_service", "driver", "support", "ops", "admin"})
_FOLLOWERS: frozenset[Role] = frozenset({"order_service", "customer", "support", "ops", "admin"})

_ADMIN: frozenset[Role] = frozenset({"admin"})
_BOOK: frozenset[Role] = frozenset({"analyst", "ops", "admin"})
_SIGNED_IN: frozenset[Role] = frozenset({"order_service", "driver", "support", "ops", "analyst", "admin"})

_V2 = "/v2/drivers/{driver_id}"
_HAND = f"{_V2}/deliveries/{{delivery_id}}"
_ORDER = "/v2/orders/{seller_id}/{seller_order_id}"
_OFFER = f"{_V2}/offers/{{offer_id}}"
_HOOKS = "/v2/webhooks/endpoints"
_HOOK = f"{_HOOKS}/{{endpoint_id}}"
_DOCUMENTS = (
    "/openapi.json", "/asyncapi.json", "/docs", "/docs/page.js", "/docs/page.css", "/docs/swagger-ui.js",
    "/docs/swagger-ui.css", "/schemas/types", "/schemas/ids/{schema_id}", "/schemas/ids/{schema_id}/schema",
    "/schemas/ids/{schema_id}/versions", "/schemas/ids/{schema_id}/subjects", "/subjects",
    "/subjects/{subject}/versions", "/subjects/{subject}/versions/{version}",
    "/subjects/{subject}/versions/{version}/schema", "/config", "/config/{subject}", "/mode",
)  # fmt: skip
_REGISTRY_WRITES = (
    ("POST", "/subjects/{subject}/versions"), ("DELETE", "/subjects/{subject}"),
    ("DELETE", "/subjects/{subject}/versions/{version}"), ("PUT", "/config"), ("PUT", "/config/{subject}"),
    ("DELETE", "/config/{subject}"), ("PUT", "/mode"),
)  # fmt: skip
"""Open to all, and refused to all in the registry's words."""

DOORS: tuple[Door, ...] = (
    # The process
    Door("GET", "/health", _PUBLIC, rate="open"),
    Door("GET", "/ready", _PUBLIC, rate="open"),
    Door("GET", "/metrics", _PUBLIC, rate="open"),
    # Documents for machines
    *(Door("GET", path, _PUBLIC) for path in _DOCUMENTS),
    Door("POST", "/subjects/{subject}", _PUBLIC),
    *(Door(method, path, _PUBLIC) for method, path in _REGISTRY_WRITES),
    # Order services
    Door("POST", "/events/seller-order-ready", _SELLERS, Owner.SELLER, "write"),
    Door("POST", "/v2/orders", _SELLERS, Owner.SELLER, "write"),
    Door("POST", "/v2/orders/ready", _SELLERS, Owner.SELLER, "write"),
    Door("POST", f"{_ORDER}/ready", _SELLERS, Owner.SELLER, "write"),
    Door("POST", f"{_ORDER}/cancel", _SELLERS, Owner.SELLER, "write"),
    Door("POST", f"{_ORDER}/prep-time", _SELLERS, Owner.SELLER, "write"),
    # Webhooks to sellers; ops and admins say why, in the body
    Door("POST", _HOOKS, _SELLERS, Owner.SELLER, "write"),
    Door("GET", _HOOKS, _SELLERS, Owner.WEBHOOK),
    Door("GET", _HOOK, _SELLERS, Owner.WEBHOOK),
    Door("GET", f"{_HOOK}/attempts", _SELLERS, Owner.WEBHOOK),
    Door("PATCH", _HOOK, _SELLERS, Owner.WEBHOOK, "write"),
    Door("DELETE", _HOOK, _SELLERS, Owner.WEBHOOK, "write"),
    *(Door("POST", f"{_HOOK}/{act}", _SELLERS, Owner.WEBHOOK, "write") for act in ("rotate-secret", "test", "enable")),
    Door("POST", "/v2/webhooks/messages/{message_id}/redeliver", _SELLERS, Owner.WEBHOOK, "write"),
    # Drivers
    *(
        Door("POST", f"{_V2}/{act}", _DRIVERS, Owner.DRIVER, "write")
        for act in (
            "sign-on",
            "shift/start",
            "shift/end",
            "availability/end-shift",
            "availability/take-break",
            "availability/extend-break",
            "availability/resume",
        )
    ),
    Door("PUT", f"{_V2}/zone-preferences/{{zone}}", _DRIVERS, Owner.DRIVER, "write"),
    Door("GET", _V2, _DRIVERS | _DESK, Owner.DRIVER),
    *(
        Door(method, f"{path}/location", _DRIVERS, Owner.DRIVER, "ping")
        for path, methods in ((_V2, ("PUT", "PATCH")), ("/drivers/{driver_id}", ("POST", "PUT")))
        for method in methods
    ),
    Door("POST", f"{_V2}/heartbeat", _DRIVERS, Owner.DRIVER, "ping"),
    Door("POST", "/drivers/{driver_id}/heartbeat", _DRIVERS, Owner.DRIVER, "ping"),
    Door("GET", f"{_V2}/offers", _DRIVERS, Owner.DRIVER),
    Door("POST", f"{_OFFER}/accept", _DRIVERS, Owner.DRIVER, "write"),
    Door("POST", f"{_OFFER}/reject", _DRIVERS, Owner.DRIVER, "write"),
    Door("GET", _HAND, _DRIVERS, Owner.DRIVER),
    *(
        Door("POST", f"{_HAND}/{act}", _DRIVERS, Owner.DRIVER, "write")
        for act in ("progress", "fail", "return", "give-up")
    ),
    Door("SOCKET", f"{_V2}/socket", _DRIVERS, Owner.DRIVER, "stream"),
    Door("SOCKET", "/drivers/{driver_id}/socket", _DRIVERS, Owner.DRIVER, "stream"),
    # Deliveries
    Door("GET", "/v2/deliveries/{delivery_id}", _PARTIES, Owner.DELIVERY),
    Door("GET", "/v2/deliveries/{delivery_id}/audit", _DESK | {"order_service"}, Owner.DELIVERY),
    # Following deliveries
    Door("GET", "/v2/orders/{delivery_id}/delivery-status", _FOLLOWERS, Owner.DELIVERY),
    Door("GET", f"{_ORDER}/delivery-status", _SELLERS | _DESK, Owner.SELLER),
    Door("GET", "/v2/deliveries/{delivery_id}/location", _FOLLOWERS, Owner.DELIVERY),
    Door("GET", "/v2/orders/{delivery_id}/events", _FOLLOWERS, Owner.DELIVERY, "stream"),
    Door("POST", "/v2/deliveries/{delivery_id}/tracking-links", _SELLERS | _DESK, Owner.DELIVERY, "write"),
    Door("DELETE", "/v2/deliveries/{delivery_id}/tracking-links", _SELLERS | _DESK, Owner.DELIVERY, "write"),
    Door("GET", "/v2/track/{token}", _PUBLIC, Owner.TRACKING),
    Door("GET", "/v2/track/{token}/pin", _PUBLIC, Owner.TRACKING),
    Door("GET", "/v2/track/{token}/events", _PUBLIC, Owner.TRACKING, "stream"),
    # Operations
    Door("GET", "/v2/admin/events", _DESK, rate="stream"),
    Door("GET", "/v2/admin/live-map", _DESK),
    Door("GET", "/v2/admin/deliveries/{delivery_id}/audit", _DESK),
    Door("GET", "/v2/admin/deliveries/{delivery_id}/story", _DESK),
    *(
        Door("GET", f"/v2/admin/{of}", _DESK)
        for of in (
            "unassigned-orders",
            "deliveries",
            "drivers",
            "drivers/{driver_id}/availability-history",
            "audit-logs",
        )
    ),
    *(Door("GET", f"/v2/admin/analytics/{of}", _BOOK) for of in ("zone-health", "driver-performance", "economics")),
    Door("GET", "/v2/admin/dead-letters", _OPS),
    Door("GET", "/v2/admin/dead-letters/{letter_id}", _OPS),
    *(
        Door("POST", path, _OPS, rate="admin", reason=True)
        for path in (
            "/v2/admin/assignments/{delivery_id}/reassign",
            "/v2/admin/assignments/{delivery_id}/assign",
            "/v2/admin/deliveries/{delivery_id}/escalate",
            "/v2/admin/deliveries/{delivery_id}/cancel",
            "/v2/admin/deliveries/{delivery_id}/fail",
            "/v2/admin/deliveries/{delivery_id}/return",
            "/v2/admin/drivers/{driver_id}/pause",
            "/v2/admin/drivers/{driver_id}/unpause",
            "/v2/admin/unassigned-orders/{delivery_id}/escalate",
            "/v2/admin/unassigned-orders/{delivery_id}/reassign",
            "/v2/admin/unassigned-orders/{delivery_id}/cancel",
            "/v2/admin/dead-letters/{letter_id}/retry",
            "/v2/admin/dead-letters/{letter_id}/drop",
        )
    ),
    Door("POST", "/v2/admin/broadcasts", _OPS, rate="admin", reason=True),
    # Rules and commerce
    Door("GET", "/v2/admin/policy", _BOOK),
    Door("GET", "/v2/admin/policy/history", _BOOK),
    Door("POST", "/v2/admin/policy/check", _BOOK, rate="admin", body_max=1_000_000),
    Door("PUT", "/v2/admin/policy", _ADMIN, rate="admin", reason=True, body_max=1_000_000),
    Door("PATCH", "/v2/admin/policy", _ADMIN, rate="admin", reason=True, body_max=1_000_000),
    Door("GET", "/v2/admin/flags", _BOOK),
    Door("GET", "/v2/admin/flags/history", _BOOK),
    Door("PUT", "/v2/admin/flags/{name}", _OPS, rate="admin", reason=True),
    Door("GET", "/v2/zones", _SIGNED_IN),
    Door("GET", "/v2/zones/at", _SIGNED_IN),
    Door("PUT", "/v2/admin/zones", _OPS, rate="admin", reason=True, body_max=5_000_000),
    Door("POST", "/v2/admin/zones/{zone}/request-drivers", _OPS, rate="admin", reason=True),
    Door("GET", "/v2/admin/incentives", _BOOK),
    Door("POST", "/v2/admin/incentives", _OPS, rate="admin", reason=True),
    Door("DELETE", "/v2/admin/incentives/{incentive_id}", _OPS, rate="admin", reason=True),
    Door("GET", f"{_V2}/zone-preferences", _DRIVERS | _DESK, Owner.DRIVER),
    Door("POST", "/v2/deliveries/{delivery_id}/offers", _SELLERS, Owner.DELIVERY, "write"),
    Door("GET", "/v2/deliveries/{delivery_id}/proof", _DESK | {"order_service"}, Owner.DELIVERY),
    Door("POST", "/v2/admin/deliveries/{delivery_id}/deliver", _OPS, rate="admin", reason=True),
    Door("POST", "/v2/serviceability", _SELLERS),
    Door("POST", "/v2/quotes", _SELLERS),
)
