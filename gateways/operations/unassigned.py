"""The queue of orders for which nobody was found: look, by zone or as CSV; escalate, search again, assign, cancel."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from dispatch.contract.records import delivery_commands as deliveries
from gateways.access import principal
from gateways.commands import DELIVERIES, Commander, json
from gateways.models import Body, Id, Identifier, Note
from gateways.operations import csv_form, cursors
from gateways.operations.asking import Listing, Word, question, same, told
from gateways.problems import Problem
from gateways.reads import Reads
from projections import queries_operations as queries
from projections.queries_paging import Asked, Filter

OPEN = ("PENDING", "NOTIFIED")
COLUMNS = (
    "delivery_id", "seller_id", "seller_order_id", "store_name", "zone", "status", "delivery_status", "why",
    "escalation_level", "searches", "attempt_count", "needs_manual_review", "review_reason", "queued_at", "age_s",
    "retry_at", "left_at", "left_how", "driver_id",
)  # fmt: skip
_PATH = "/v2/admin/unassigned-orders"
_AGE_MAX_S = 10 * 365 * 86_400
Status = Literal["PENDING", "NOTIFIED", "REASSIGNED", "CANCELLED"]
Why = Literal["no_available_drivers", "all_drivers_busy", "distance_exceeded", "redis_timeout", "unknown"]
Age = Annotated[float, Field(ge=0, le=_AGE_MAX_S, allow_inf_nan=False, description="Seconds in the queue.")]
Reason = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class Waiting(Listing):
    """Which of the queue."""

    zone: Word | None = None
    level: Annotated[int, Field(ge=0, le=3)] | None = None
    why: Why | None = Field(None, alias="reason")
    status: list[Status] = Field([], description="Of the queue; without it those that wait.")
    min_age_s: Age | None = None
    max_age_s: Age | None = None
    needs_manual_review: bool | None = None
    sort: Literal["critical", "oldest", "newest", "level"] = "critical"
    group_by: Literal["zone"] | None = None
    form: Literal["json", "csv"] | None = Field(None, alias="format")

    def filters(self) -> list[Filter]:
        """All but the age, which goes on while pages are read."""
        states = sorted(set(self.status or OPEN))
        made = same(
            d__zone=self.zone, q__escalation_level=self.level, q__why=self.why,
            q__needs_manual_review=self.needs_manual_review,
        )  # fmt: skip
        if states != sorted(OPEN):  # those that wait are all that have not left
            made.append(("q.queue_status = ANY(%s)", states))
        if set(states) <= set(OPEN):
            made.append(("q.left_at IS NULL AND d.ended_at IS NULL AND %s", True))  # so that small indexes are enough
        return made


class ActBody(Body):
    """Why an admin acts."""

    reason: Reason
    note: Note = ""


class ReassignBody(ActBody):
    """Search again, or the driver who shall take it."""

    driver_id: Identifier | None = None


def routes(commander: Commander, reads: Reads) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["operations"])

    @router.get(_PATH)
    async def unassigned(request: Request, asked: Annotated[Waiting, Query()]) -> Response:
        """Those that wait, the critical and the oldest first; by zone; as CSV."""
        filters = asked.filters()
        ordering = queries.QUEUE_ORDERS[asked.sort]
        asks = question(f"unassigned {asked.sort}", [*filters, ("age", (asked.min_age_s, asked.max_age_s))])
        after = cursors.read(asks, ordering, asked.cursor)
        filters += _aged(asked.min_age_s, asked.max_age_s)
        page = await reads.ask(queries.unassigned, filters, asked.sort, Asked(asked.limit, after))
        following = cursors.write(asks, ordering, page.after)
        if asked.group_by is not None:
            zones = await reads.ask(queries.unassigned_by_zone, filters)
            return json({"zones": _grouped(zones, page.rows), "next_cursor": following})
        if csv_form.wanted(request, asked.form):
            return csv_form.response(page.rows, COLUMNS, "unassigned-orders", following)
        return told("orders", page.rows, following)

    _acts(router, commander)
    return router


def _acts(router: APIRouter, commander: Commander) -> None:
    async def act(request: Request, delivery_id: str, kind: type[Any], **fields: Any) -> Response:
        header = await commander.header(request, "admin", principal.of(request).subject, delivery_id)
        command = kind(**header, delivery_id=delivery_id, **fields)
        return await commander.decided(DELIVERIES, delivery_id, command, where=f"/v2/deliveries/{delivery_id}")

    @router.post(f"{_PATH}/{{delivery_id}}/escalate")
    async def escalate_unassigned(delivery_id: Id, body: ActBody, request: Request) -> Response:
        """The next level now."""
        return await act(request, delivery_id, deliveries.EscalateDelivery, note=_why(body))

    @router.post(f"{_PATH}/{{delivery_id}}/reassign")
    async def reassign_unassigned(delivery_id: Id, body: ReassignBody, request: Request) -> Response:
        """Searches again now, or gives it to the driver who is named."""
        if body.driver_id is not None:
            named = {"driver_id": body.driver_id, "note": _why(body)}
            return await act(request, delivery_id, deliveries.AssignDriver, **named)
        fields = {"reason": "admin_forced", "note": _why(body)}
        return await act(request, delivery_id, deliveries.ReassignDelivery, **fields)

    @router.post(f"{_PATH}/{{delivery_id}}/cancel")
    async def cancel_unassigned(delivery_id: Id, body: ActBody, request: Request) -> Response:
        """Ends it."""
        return await act(request, delivery_id, deliveries.CancelDelivery, reason=body.reason, note=body.note)


def _why(body: ActBody) -> str:
    """Reason and note in one text of at most 1,000 characters, as the command has room for."""
    return f"{body.reason}: {body.note}"[:1000] if body.note else body.reason


def _aged(least_s: float | None, most_s: float | None) -> list[Filter]:
    if least_s is not None and most_s is not None and least_s > most_s:
        raise Problem(422, "bad_range", "`min_age_s` must not be above `max_age_s`.")
    now = datetime.now(UTC)
    made: list[Filter] = []
    if least_s is not None:
        made.append(("q.queued_at <= %s", now - timedelta(seconds=least_s)))
    if most_s is not None:
        made.append(("q.queued_at >= %s", now - timedelta(seconds=most_s)))
    return made


def _grouped(zones: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The zones' sums, each with those of its orders that are on the page."""
    return [
        zone | {"orders": [row for row in rows if row["zone"] == zone["zone"]], "waiting": zone["orders"]}
        for zone in zones
    ]
