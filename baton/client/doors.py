"""The doors by who uses them. `R` is an answer, or an awaitable of one: the same calls serve both clients."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, Literal, TypeVar
from uuid import uuid4

from baton.client.calls import Call, path

R = TypeVar("R")
Send = Callable[[Call], R]
Body = Mapping[str, Any]
Reason = Literal["too_far", "no_time", "bad_area", "vehicle", "earning", "other"]
Step = Literal[
    "enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff", "delivered"
]


class Doors(Generic[R]):
    """Sends calls. Whatever changes something takes `key`: give one of your own where you may ask again yourself."""

    def __init__(self, send: Send[R]) -> None:
        self._send = send

    def _get(self, where: str, **params: Any) -> R:
        wanted = {name: value for name, value in params.items() if value is not None}
        return self._send(Call("GET", where, params=wanted or None))

    def _do(self, where: str, body: Body | None = None, *, method: str = "POST", key: str = "") -> R:
        return self._send(Call(method, where, dict(body or {}), key=key or uuid4().hex))


class Orders(Doors[R]):
    """Order services."""

    def place(self, order: Body, *, key: str = "") -> R:
        """An order was placed; it becomes ready later."""
        return self._do("/v2/orders", order, key=key)

    def ready(self, order: Body, *, key: str = "") -> R:
        """An order is ready, placed before or not."""
        return self._do("/v2/orders/ready", order, key=key)

    def placed_is_ready(self, seller_id: str, seller_order_id: str, *, key: str = "") -> R:
        """An order that was placed before is ready now."""
        return self._do(path("/v2/orders/{}/{}/ready", seller_id, seller_order_id), key=key)

    def cancel(self, seller_id: str, seller_order_id: str, reason: str, note: str = "", *, key: str = "") -> R:
        """Not wanted any more. Raises Conflict once the goods are with the driver."""
        where = path("/v2/orders/{}/{}/cancel", seller_id, seller_order_id)
        return self._do(where, {"reason": reason, "note": note}, key=key)

    def prep_time(self, seller_id: str, seller_order_id: str, prep_s: int, *, key: str = "") -> R:
        """The store's new estimate of preparation."""
        return self._do(path("/v2/orders/{}/{}/prep-time", seller_id, seller_order_id), {"prep_s": prep_s}, key=key)

    def delivery(self, delivery_id: str) -> R:
        """How it stands."""
        return self._get(path("/v2/deliveries/{}", delivery_id))

    def audit(self, delivery_id: str) -> R:
        """Everything that happened to it, in order."""
        return self._get(path("/v2/deliveries/{}/audit", delivery_id))

    def tracking_link(self, delivery_id: str, *, key: str = "") -> R:
        """A new link for the customer; its token is shown this once."""
        return self._do(path("/v2/deliveries/{}/tracking-links", delivery_id), key=key)


class Drivers(Doors[R]):
    """Drivers' apps."""

    def sign_on(self, driver_id: str, body: Body, *, key: str = "") -> R:
        """Known and available from now on: vehicle, capacity, lat, lng."""
        return self._do(path("/v2/drivers/{}/sign-on", driver_id), body, key=key)

    def start_shift(self, driver_id: str, *, key: str = "") -> R:
        """Back to work."""
        return self._do(path("/v2/drivers/{}/shift/start", driver_id), key=key)

    def end_shift(self, driver_id: str, *, after_delivery: bool = False, key: str = "") -> R:
        """At once, or after the delivery in hand."""
        where = path("/v2/drivers/{}/shift/end", driver_id)
        return self._do(where, {"after_delivery": after_delivery}, key=key)

    def take_break(self, driver_id: str, minutes: float, reason: str = "", *, key: str = "") -> R:
        """A break of so many minutes."""
        where = path("/v2/drivers/{}/availability/take-break", driver_id)
        return self._do(where, {"minutes": minutes, "reason": reason}, key=key)

    def resume(self, driver_id: str, *, key: str = "") -> R:
        """Ends the break."""
        return self._do(path("/v2/drivers/{}/availability/resume", driver_id), key=key)

    def locations(self, driver_id: str, pings: Sequence[Body]) -> R:
        """Pings, up to 500: lat, lng, accuracy_m, at."""
        return self._send(Call("PUT", path("/v2/drivers/{}/location", driver_id), [dict(ping) for ping in pings]))

    def offers(self, driver_id: str, *, open_only: bool = True) -> R:
        """Newest first."""
        return self._get(path("/v2/drivers/{}/offers", driver_id), open_only=open_only)

    def accept(self, driver_id: str, offer_id: str, *, key: str = "") -> R:
        """Takes the offer. Raises Conflict when it is over; `code` says why."""
        return self._do(path("/v2/drivers/{}/offers/{}/accept", driver_id, offer_id), key=key)

    def reject(self, driver_id: str, offer_id: str, reason: Reason, note: str = "", *, key: str = "") -> R:
        """Refuses the offer."""
        where = path("/v2/drivers/{}/offers/{}/reject", driver_id, offer_id)
        return self._do(where, {"reason": reason, "note": note}, key=key)

    def in_hand(self, driver_id: str, delivery_id: str) -> R:
        """The delivery in hand, with its customer."""
        return self._get(path("/v2/drivers/{}/deliveries/{}", driver_id, delivery_id))

    def progress(self, driver_id: str, delivery_id: str, offer_id: str, step: Step, *, key: str = "", **more: Any) -> R:
        """The next step; `more`: proof where it is wanted."""
        where = path("/v2/drivers/{}/deliveries/{}/progress", driver_id, delivery_id)
        return self._do(where, {"offer_id": offer_id, "step": step, **more}, key=key)

    def give_up(self, driver_id: str, delivery_id: str, offer_id: str, note: str = "", *, key: str = "") -> R:
        """Before the goods are taken."""
        where = path("/v2/drivers/{}/deliveries/{}/give-up", driver_id, delivery_id)
        return self._do(where, {"offer_id": offer_id, "note": note}, key=key)


class Operations(Doors[R]):
    """People who see to deliveries and drivers. Every act has a note or a reason."""

    def unassigned(self, **filters: Any) -> R:
        """Those that wait, the most urgent first."""
        return self._get("/v2/admin/unassigned-orders", **filters)

    def reassign(self, delivery_id: str, note: str, *, key: str = "") -> R:
        """Takes it from its driver and searches again."""
        return self._do(path("/v2/admin/assignments/{}/reassign", delivery_id), {"note": note}, key=key)

    def assign(self, delivery_id: str, driver_id: str, note: str, *, key: str = "") -> R:
        """Names the driver."""
        where = path("/v2/admin/assignments/{}/assign", delivery_id)
        return self._do(where, {"driver_id": driver_id, "note": note}, key=key)

    def escalate(self, delivery_id: str, note: str, *, key: str = "") -> R:
        """The next level now."""
        return self._do(path("/v2/admin/deliveries/{}/escalate", delivery_id), {"note": note}, key=key)

    def cancel(self, delivery_id: str, reason: str, note: str = "", *, key: str = "") -> R:
        """Ends it."""
        where = path("/v2/admin/deliveries/{}/cancel", delivery_id)
        return self._do(where, {"reason": reason, "note": note}, key=key)

    def pause(self, driver_id: str, reason: str, held: Literal["keep", "reassign"] = "keep", *, key: str = "") -> R:
        """Out of service until an admin lifts it."""
        where = path("/v2/admin/drivers/{}/pause", driver_id)
        return self._do(where, {"reason": reason, "held": held}, key=key)

    def unpause(self, driver_id: str, reason: str, *, key: str = "") -> R:
        """In service again."""
        return self._do(path("/v2/admin/drivers/{}/unpause", driver_id), {"reason": reason}, key=key)


class Tracking(Doors[R]):
    """Where an order is."""

    def status(self, delivery_id: str) -> R:
        """For sellers and support."""
        return self._get(path("/v2/orders/{}/delivery-status", delivery_id))

    def by_token(self, token: str) -> R:
        """For customers: the token of their link."""
        return self._get(path("/v2/track/{}", token))
