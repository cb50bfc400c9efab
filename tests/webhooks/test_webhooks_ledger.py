"""What is asked of a line of webhooks while its last message is sent or noted is not forgotten."""

import asyncio
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from dispatch.webhooks import ledger
from dispatch.webhooks.endpoints import MESSAGE, QUEUE, redeliver
from projections.migrate import down, up

pytestmark = pytest.mark.servers
AT = datetime(2026, 11, 29, tzinfo=UTC)
ENDPOINT = str(uuid.UUID(int=1))
WAITS = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def put(connection: "psycopg.Connection[Any]", sequence: int) -> None:
    row = {"message_id": str(uuid.uuid4()), "endpoint_id": ENDPOINT, "line": "one", "event_type": "delivery.created",
           "sequence": sequence, "body": "{}", "at": AT}  # fmt: skip
    connection.execute(QUEUE, row)
    connection.execute(MESSAGE, row)


async def noted_while_another_comes(database: str) -> ledger.Tried | None:
    """The intake has locked the line; whoever notes its last message waits, and then sees what was put in."""
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as sender:
        (last,) = await ledger.claim(sender, 100)
        with psycopg.connect(database) as intake, psycopg.connect(database, autocommit=True) as watching:
            put(intake, 2)
            noting = asyncio.create_task(ledger.report(sender, last, ledger.Tried("sent", AT, 17, 204)))
            ends = time.monotonic() + 10
            while not watching.execute(WAITS).rowcount:
                assert time.monotonic() < ends, "it did not wait for the intake"
                await asyncio.sleep(0.01)
            intake.commit()
        return await noting


@pytest.fixture
def ledger_of(database: str) -> Iterator[str]:
    """A database with one endpoint, in whose line is one message."""
    up(database)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO webhook_endpoints (endpoint_id, seller_id, url, event_types, description, state, secret)"
            " VALUES (%s, 'anker', 'https://a.example', '{}', '', 'enabled', '')",
            (ENDPOINT,),
        )
        put(connection, 1)
    yield database
    down(database)


async def asked_for_again_on_its_way(database: str, became: ledger.Tried) -> list[ledger.Claimed]:
    """What is claimed at once after an attempt during which its message was asked for again."""
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as sender:
        (first,) = await ledger.claim(sender, 100)
        await redeliver(sender, {"endpoint_id": ENDPOINT, "line": "one", "message_id": first.message_id})
        assert await ledger.claim(sender, 100) == [], "one of a line at a time"
        assert await ledger.report(sender, first, became)
        return await ledger.claim(sender, 100)


@pytest.mark.parametrize("became", [
    ledger.Tried("sent", AT, 17, 204), ledger.Tried("failed", AT, 17, 500, "no", 3600.0),
    ledger.Tried("dead", AT, 17, 500, "no", disable="given_up"),
], ids=lambda tried: tried.outcome)  # fmt: skip
def test_what_is_asked_for_again_on_its_way_is_sent_again(ledger_of: str, became: ledger.Tried) -> None:
    (again,) = asyncio.run(asked_for_again_on_its_way(ledger_of, became))
    with psycopg.connect(ledger_of) as connection:
        assert connection.execute("SELECT outcome FROM webhook_attempts").fetchall() == [(became.outcome,)]
        states = "SELECT message_id::text, state, attempts FROM webhook_messages"
        assert connection.execute(states).fetchall() == [(again.message_id, "pending", 0)]


def test_what_is_put_into_a_line_while_its_last_message_is_noted_is_sent(ledger_of: str) -> None:
    with psycopg.connect(ledger_of, autocommit=True) as connection:
        assert asyncio.run(noted_while_another_comes(ledger_of))
        assert connection.execute("SELECT state FROM webhook_lines").fetchall() == [("pending",)]
        messages = connection.execute("SELECT sequence, state FROM webhook_messages ORDER BY sequence").fetchall()
        assert messages == [(1, "sent"), (2, "pending")]
