"""Dead letters: list them, look at one, put its record where it came from again, or drop it."""

import asyncio
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from dispatch.contract.records.shared import DeadLetterAct
from dispatch.contract.records.system import DeadLetterHandled
from gateways.access import principal
from gateways.commands import Commander, json
from gateways.models import Body
from gateways.operations import cursors
from gateways.operations.asking import Ranged, Word, question, same, told, within
from gateways.operations.letter_desk import LetterDesk, Wish, content_of
from gateways.problems import Problem
from gateways.reads import Reads
from projections import queries_operations as queries
from projections.queries_paging import Asked, Filter

LetterId = Annotated[str, Path(pattern=r"^[0-9]{1,9}-[0-9]{1,18}$", description="Partition and offset of the letter.")]
_PATH = "/v2/admin/dead-letters"
_STATUSES: dict[str, Filter] = {
    "open": ("a.letter_id IS NULL AND %s", True),
    "retried": ("a.act = %s", "retried"),
    "dropped": ("a.act = %s", "dropped"),
}


class Letters(Ranged):
    """Which dead letters."""

    topic: Word | None = None
    status: Literal["open", "retried", "dropped"] | None = None


class HandleBody(Body):
    """Why an admin acts."""

    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]


def routes(desk: LetterDesk, commander: Commander, reads: Reads, namespace: str) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["operations"])

    @router.get(_PATH)
    async def dead_letters(asked: Annotated[Letters, Query()]) -> Response:
        """What was set aside, newest first."""
        filters = same(l__source_topic=namespace + asked.topic if asked.topic is not None else None)
        filters += within("l.at", asked.since, asked.until)
        if asked.status is not None:
            filters.append(_STATUSES[asked.status])
        asks = question("dead letters", filters)
        after = cursors.read(asks, queries.NEWEST_LETTERS, asked.cursor)
        page = await reads.ask(queries.dead_letters, filters, Asked(asked.limit, after))
        rows = [_row(row, namespace) for row in page.rows]
        return told("dead_letters", rows, cursors.write(asks, queries.NEWEST_LETTERS, page.after))

    @router.get(f"{_PATH}/{{letter_id}}")
    async def dead_letter(letter_id: LetterId) -> Response:
        """Where it was, what was wrong, whether it can be retried; its content, where that is nobody's affair."""
        row = await reads.ask(queries.dead_letter, letter_id)
        if row is None:
            raise Problem(404, "unknown_dead_letter", "No dead letter of this id is known.")
        letter = await asyncio.to_thread(desk.letter, letter_id)
        why_not = await asyncio.to_thread(desk.why_not, letter)
        shown = _row(row, namespace)
        if shown["status"] != "open":
            why_not = f"It was {shown['status']}."
        content = content_of(shown["source_topic"], letter) if letter is not None else None
        return json(shown | {"retryable": why_not is None, "not_retryable_why": why_not, "content": content})

    async def handle(request: Request, letter_id: str, body: HandleBody, act: DeadLetterAct) -> Response:
        header = await commander.header(request, "admin", principal.of(request).subject, letter_id)
        wish = Wish(letter_id, act, header["command_id"], header["actor_id"], body.reason)
        done: DeadLetterHandled = await asyncio.to_thread(partial(desk.handle, wish))
        return json({"letter_id": letter_id, "status": done.act, "by": done.actor_id, "reason": done.reason})

    @router.post(f"{_PATH}/{{letter_id}}/retry")
    async def retry_dead_letter(letter_id: LetterId, body: HandleBody, request: Request) -> Response:
        """Puts its record where it came from again, once."""
        return await handle(request, letter_id, body, "retried")

    @router.post(f"{_PATH}/{{letter_id}}/drop")
    async def drop_dead_letter(letter_id: LetterId, body: HandleBody, request: Request) -> Response:
        """Nothing more is done with it."""
        return await handle(request, letter_id, body, "dropped")

    return router


def _row(row: dict[str, Any], namespace: str) -> dict[str, Any]:
    """Topics by the names that everybody knows; the letter's own place is its id."""
    rest = {name: value for name, value in row.items() if name not in ("letter_partition", "letter_offset")}
    return rest | {"source_topic": row["source_topic"].removeprefix(namespace)}
