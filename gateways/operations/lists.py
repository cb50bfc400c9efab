"""Lists: deliveries, drivers, the audit; a driver's history."""

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from gateways.models import Id, Uuid
from gateways.operations import cursors
from gateways.operations.asking import Listing, Ranged, Word, money, question, same, told, within
from gateways.operations.whereabouts import ZonesOf, drivers_in
from gateways.problems import Problem
from gateways.reads import Reads
from projections import queries_operations as queries
from projections.queries_paging import Asked, Filter

DeliveryStatus = Literal[
    "created", "searching", "offered", "assigned", "enroute_to_pickup", "arrived_at_pickup", "picked_up",
    "enroute_to_dropoff", "arrived_at_dropoff", "delivered", "failed", "returned", "cancelled",
]  # fmt: skip
Availability = Literal["AVAILABLE", "BUSY", "ON_BREAK", "SHIFT_ENDED", "OFFLINE", "PAUSED"]
ActorWord = Literal["driver", "system", "admin", "customer", "order_service"]
_ENDS = frozenset(("delivered", "failed", "returned", "cancelled"))
_LIKE = re.compile(r"([\\%_])")


class Deliveries(Ranged):
    """Which deliveries; the time is that of their creation."""

    status: list[DeliveryStatus] = Field(default_factory=list)
    zone: Word | None = None
    seller_id: Word | None = None
    driver_id: Word | None = None
    needs_manual_review: bool | None = None
    q: Word | None = Field(None, description="How the seller's order id begins.")


class Drivers(Listing):
    """Which drivers."""

    state: list[Availability] = Field(default_factory=list)
    zone: Word | None = Field(None, description="Those whose last place lies in it; `none`: outside every zone.")
    prefers_zone: Word | None = None


class Happened(Ranged):
    """Which events."""

    delivery_id: Uuid | None = None
    driver_id: Word | None = None
    actor: Word | None = None
    actor_type: ActorWord | None = None
    type: Annotated[list[Word], Field(max_length=20)] = Field([], description="Words of the audit.")


def routes(reads: Reads, zones_of: ZonesOf) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["operations"])
    _deliveries(router, reads)
    _drivers(router, reads, zones_of)
    _audit(router, reads)
    return router


def _deliveries(router: APIRouter, reads: Reads) -> None:
    @router.get("/v2/admin/deliveries")
    async def find_deliveries(asked: Annotated[Deliveries, Query()]) -> Response:
        """Deliveries, newest first."""
        filters = same(
            zone=asked.zone, seller_id=asked.seller_id, driver_id=asked.driver_id,
            needs_manual_review=asked.needs_manual_review,
        )  # fmt: skip
        filters += _statuses(sorted(set(asked.status)))
        filters += within("created_at", asked.since, asked.until)
        if asked.q is not None:
            filters.append(("seller_order_id LIKE %s", _LIKE.sub(r"\\\1", asked.q) + "%"))
        asks = question("deliveries", filters)
        after = cursors.read(asks, queries.NEWEST_DELIVERIES, asked.cursor)
        page = await reads.ask(queries.deliveries, filters, Asked(asked.limit, after))
        rows = [money(row, "order_value_minor", "delivery_fee_minor", "earning_minor") for row in page.rows]
        return told("deliveries", rows, cursors.write(asks, queries.NEWEST_DELIVERIES, page.after))


def _statuses(wanted: list[str]) -> list[Filter]:
    if not wanted:
        return []
    made: list[Filter] = [("status = %s", wanted[0])] if len(wanted) == 1 else [("status = ANY(%s)", wanted)]
    if not _ENDS & set(wanted):
        made.append(("ended_at IS NULL AND %s", True))  # so that the index of open ones is enough
    return made


def _drivers(router: APIRouter, reads: Reads, zones_of: ZonesOf) -> None:
    @router.get("/v2/admin/drivers")
    async def find_drivers(asked: Annotated[Drivers, Query()]) -> Response:
        """Drivers by id."""
        filters: list[Filter] = [("d.availability = ANY(%s)", sorted(set(asked.state)))] if asked.state else []
        if asked.prefers_zone is not None:
            filters.append(("%s = ANY(d.preferred_in)", asked.prefers_zone))
        asks = question(f"drivers {asked.zone}", filters)
        after = cursors.read(asks, queries.BY_DRIVER, asked.cursor)
        page = await drivers_in(reads, zones_of, filters, Asked(asked.limit, after), asked.zone)
        return told("drivers", page.rows, cursors.write(asks, queries.BY_DRIVER, page.after))

    @router.get("/v2/admin/drivers/{driver_id}/availability-history")
    async def availability_history(driver_id: Id, asked: Annotated[Listing, Query()]) -> Response:
        """How a driver's availability changed, by whom and why, newest first."""
        filters = same(driver_id=driver_id, event="DriverAvailabilityChanged")
        asks = question("availability", filters)
        after = cursors.read(asks, queries.NEWEST_AUDIT, asked.cursor)
        page = await reads.ask(queries.availability_history, filters, Asked(asked.limit, after))
        if not page.rows and after is None:
            await reads.driver(driver_id)
        return told("changes", page.rows, cursors.write(asks, queries.NEWEST_AUDIT, page.after))


def _audit(router: APIRouter, reads: Reads) -> None:
    @router.get("/v2/admin/audit-logs")
    async def audit_logs(asked: Annotated[Happened, Query()]) -> Response:
        """Everything that happened, newest first."""
        filters = same(driver_id=asked.driver_id, actor_id=asked.actor, actor_type=asked.actor_type)
        if asked.delivery_id is not None:
            filters.append(("delivery_id = %s::uuid", asked.delivery_id))
        if asked.type:
            filters.append(("audit_word = ANY(%s)", sorted(set(asked.type))))
        filters += within("at", asked.since, asked.until)
        asks = question("audit", filters)
        after = cursors.read(asks, queries.NEWEST_AUDIT, asked.cursor)
        page = await reads.ask(queries.audit_logs, filters, Asked(asked.limit, after))
        return told("events", page.rows, cursors.write(asks, queries.NEWEST_AUDIT, page.after))

    @router.get("/v2/admin/deliveries/{delivery_id}/story")
    async def story(delivery_id: Id) -> Response:
        """A delivery's history in sentences: who was considered, and why the first was first."""
        rows: list[dict[str, Any]] = []
        if re.fullmatch(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", delivery_id):
            rows = await reads.ask(queries.story, delivery_id)
        if not rows:
            raise Problem(404, "unknown_order", "No delivery of this id is known.")
        return told("story", rows, None)
