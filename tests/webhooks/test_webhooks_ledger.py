"""Many messages that were taken are noted in one transaction, as each would have been by itself."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from dispatch.webhooks import ledger
from dispatch.webhooks.endpoints import MESSAGE, QUEUE
from dispatch.webhooks.ledger import Claimed, Tried
from projections.migrate import down, up

pytestmark = pytest.mark.servers
Connection = psycopg.AsyncConnection[Any]
Told = list[tuple[Claimed, Tried]]
AT = datetime(2026, 11, 29, tzinfo=UTC)
SENT = Tried("sent", AT, 17, 204)
ROWS = (
    "SELECT e.url, l.line, l.state, l.claimed_at IS NULL, l.claim, m.sequence, m.state, m.attempts, m.reason,"
    " m.ended_at IS NULL, a.at, a.outcome, a.status, a.reason, a.took_ms, e.failures, e.state"
    " FROM webhook_endpoints e JOIN webhook_lines l USING (endpoint_id)"
    " JOIN webhook_messages m USING (endpoint_id, line)"
    " LEFT JOIN webhook_attempts a USING (message_id) ORDER BY e.url, l.line, m.sequence"
)


@pytest.fixture
def address(database: str) -> Iterator[str]:
    up(database)
    yield database
    down(database)


def a_line(connection: "psycopg.Connection[Any]", endpoint: str, line: str, *sequence: int) -> None:
    connection.execute(QUEUE, {"endpoint_id": endpoint, "line": line})
    for number in sequence:
        connection.execute(
            MESSAGE,
            {"message_id": str(uuid.uuid4()), "endpoint_id": endpoint, "line": line, "event_type": "delivery.created",
             "sequence": number, "body": "{}", "at": AT},
        )  # fmt: skip


def endpoints(address: str, *failures: int) -> list[str]:
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute("TRUNCATE webhook_endpoints CASCADE")
        made = []
        for number, count in enumerate(failures):
            made.append(str(uuid.UUID(int=number + 1)))
            connection.execute(
                "INSERT INTO webhook_endpoints (endpoint_id, seller_id, url, event_types, description, state, secret,"
                " failures) VALUES (%s, 'anker', %s, '{}', '', 'enabled', '', %s)",
                (made[-1], f"https://{number}.example", count),
            )
            a_line(connection, made[-1], "one", 1)
            a_line(connection, made[-1], "two", 1, 2)
            a_line(connection, made[-1], "three", 4, 5, 6)
        return made


def rows(address: str) -> list[Any]:
    with psycopg.connect(address) as connection:
        return connection.execute(ROWS.encode()).fetchall()


def claimed_and(address: str, then: Callable[[Connection, list[Claimed]], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with await psycopg.AsyncConnection.connect(address, autocommit=True) as connection:
            return await then(connection, await ledger.claim(connection, 100))

    return asyncio.run(run())


async def one_by_one(connection: Connection, told: Told) -> set[tuple[str, str]]:
    return {
        (claimed.endpoint_id, claimed.line)
        for claimed, tried in told
        if await ledger.report(connection, claimed, tried)
    }


def test_noted_together_is_noted_one_by_one(address: str) -> None:
    seen = []
    for report in (one_by_one, ledger.report_sent):
        endpoints(address, 0, 3, 0)

        async def noted(connection: Connection, claims: list[Claimed], report: Any = report) -> Any:
            lapsed = [replace(one, claim=one.claim - 1) if one.line == "two" else one for one in claims]
            return len(claims), await report(connection, [(one, SENT) for one in lapsed])

        seen.append((claimed_and(address, noted), rows(address)))
    assert seen[0] == seen[1]
    (claims, held), _ = seen[0]
    assert claims == 7, "three and three lines, and one of the endpoint that is failing"
    assert 0 < len(held) < claims


def test_what_is_put_into_a_line_while_its_last_message_is_noted_is_sent(address: str) -> None:
    (endpoint,) = endpoints(address, 0)

    async def noted(connection: Connection, claims: list[Claimed]) -> set[tuple[str, str]]:
        (last,) = [one for one in claims if one.line == "one"]
        with psycopg.connect(address) as intake, psycopg.connect(address, autocommit=True) as watching:
            a_line(intake, endpoint, "one", 2)
            noting = asyncio.create_task(ledger.report_sent(connection, [(last, SENT)]))
            ends = time.monotonic() + 10
            while not watching.execute("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'").rowcount:
                assert time.monotonic() < ends, "it did not wait for the intake"
                await asyncio.sleep(0.01)
            intake.commit()
        return await noting

    assert claimed_and(address, noted) == {(endpoint, "one")}
    states = [(row[5], row[2], row[6]) for row in rows(address) if row[1] == "one"]
    assert states == [(1, "pending", "sent"), (2, "pending", "pending")]


def test_nothing_to_note_changes_nothing(address: str) -> None:
    endpoints(address, 0)

    async def noted(connection: Connection, claims: list[Claimed]) -> set[tuple[str, str]]:
        return await ledger.report_sent(connection, [(replace(one, claim=99), SENT) for one in claims])

    assert claimed_and(address, noted) == set()
    assert {row[6] for row in rows(address)} == {"pending"}
