"""Reading one delivery: by the index, and what is no id names nothing."""

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from test_models import UUID, an_event

from dispatch.contract import codec
from dispatch.contract.records import delivery_events as de
from dispatch.log.application import Record
from projections import queries
from projections.migrate import down, up
from projections.runtime import Projection, fold, positions

pytestmark = pytest.mark.servers
PLACE = ("delivery.events", 0)
NAMES_NOTHING = ("", "x", UUID.upper(), UUID.replace("-", ""), f"{{{UUID}}}", f"urn:uuid:{UUID}", f" {UUID}", "é" * 40)


@pytest.fixture(scope="module")
def filled(database: str) -> Iterator[str]:
    up(database)
    with psycopg.connect(database) as connection:
        connection.execute("SELECT baton_month('public', 'driver_offers', now()::date)")  # of no month nothing is read
        at = positions(connection, [PLACE])
        made = [an_event(de.DeliveryCreated), an_event(de.PickupStarted, version=2)]
        records = [Record(*PLACE, offset, 0, b"", codec.encode(event)) for offset, event in enumerate(made)]
        Projection(connection).write(fold(records, at, ""), at)
    yield database
    down(database)


def ask(dsn: str, question: Any, *about: Any) -> Any:
    async def asked() -> Any:
        async with await psycopg.AsyncConnection.connect(dsn) as connection:
            return await question(connection, *about)

    return asyncio.run(asked())


def test_its_events_come_in_order(filled: str) -> None:
    assert [row["version"] for row in ask(filled, queries.audit, UUID)] == [1, 2]
    assert [name for name, _ in queries.story_of(filled, UUID)] == ["DeliveryCreated", "PickupStarted"]
    assert ask(filled, queries.delivery, UUID)["version"] == 2


@pytest.mark.parametrize("text", NAMES_NOTHING)
def test_what_is_no_id_names_nothing(filled: str, text: str) -> None:
    assert ask(filled, queries.audit, text) == []
    assert ask(filled, queries.delivery, text) is None
    assert ask(filled, queries.delivery_of, text) is None
    assert queries.story_of(filled, text) == []


@pytest.mark.parametrize("question", [queries.audit, queries.delivery, queries.delivery_of])
def test_it_is_found_by_an_index(filled: str, question: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def explained(connection: Any, statement: str, *about: Any) -> list[Any]:
        await connection.execute("SET enable_seqscan = off")  # small tables are read whole otherwise
        cursor = await connection.execute(f"EXPLAIN {statement}".encode(), about)
        plans.append(str(await cursor.fetchall()))
        return []

    plans: list[str] = []
    monkeypatch.setattr(queries, "_rows", explained)
    ask(filled, question, UUID)
    assert "Index Cond" in plans[0], plans


@pytest.mark.parametrize(
    ("question", "table", "more"),
    [
        (queries.contacts, "contacts", "INSERT INTO contacts (delivery_id, name, phone, address, note)"
                                       " SELECT gen_random_uuid(), 'A', '', '', '' FROM generate_series(1, 20000)"),
        (queries.as_of, "deliveries", "INSERT INTO deliveries SELECT other.* FROM deliveries,"
                                      " generate_series(1, 20000) number, jsonb_populate_record(deliveries,"
                                      " jsonb_build_object('delivery_id', md5(number::text)::uuid)) other"),
    ],
)  # fmt: skip
def test_rows_are_found_by_the_index_by_who_asked_when_the_table_was_small(
    filled: str, question: Any, table: str, more: str
) -> None:
    """A plan kept from then read all rows for each question, until Postgres next analysed the table."""

    async def asked() -> int:
        async with await psycopg.AsyncConnection.connect(filled) as connection:
            await connection.execute(f"ANALYZE {table}".encode())
            for _ in range(20):  # so often that a statement is prepared, and its plan kept
                await question(connection, [UUID])
            await connection.execute(more.encode())
            read = f"SELECT sum(seq_tup_read) FROM pg_stat_xact_user_tables WHERE relname LIKE '{table}%'".encode()
            before = await (await connection.execute(read)).fetchone()
            await question(connection, [UUID])
            after = await (await connection.execute(read)).fetchone()
            await connection.rollback()
            assert before is not None
            assert after is not None
            return int(after[0]) - int(before[0])

    assert asyncio.run(asked()) == 0
