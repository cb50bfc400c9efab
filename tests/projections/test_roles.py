"""Each role, logged in as itself: it can do its work, and is refused what is not its own."""

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from filling import a_life, as_records, filled
from test_models import an_event

from dispatch.contract.records.delivery_events import UnassignedEscalated
from dispatch.contract.records.system import Notice
from dispatch.core.facts import SearchNeed
from dispatch.core.policy import Policy
from dispatch.inputs.candidates.postgres import PostgresIndex
from dispatch.notices import kinds, ledger, tickets
from dispatch.webhooks import endpoints
from dispatch.webhooks import ledger as webhook_ledger
from dispatch.webhooks.intake import Intake
from gateways.shell.answers import Answer, Answers
from projections import queries, queries_analytics, queries_operations, queries_proof, queries_tracking
from projections.keeping import dictionary
from projections.keeping.roles import ROLES, let_in
from projections.migrate import up

pytestmark = pytest.mark.servers
REFUSED = psycopg.errors.InsufficientPrivilege
STATEMENTS = {
    "SELECT": "SELECT * FROM public.{0} LIMIT 0",
    "INSERT": "INSERT INTO public.{0} DEFAULT VALUES",
    "UPDATE": 'UPDATE public.{0} SET "{1}" = DEFAULT WHERE false',
    "DELETE": "DELETE FROM public.{0} WHERE false",
}
Login = Callable[[str], psycopg.Connection[Any]]


@pytest.fixture(scope="module")
def address(database: str) -> str:
    up(database)
    with psycopg.connect(database.replace("//baton@", "//baton_projector@")) as connection:
        filled(connection, (datetime.now(UTC) - timedelta(days=1)).isoformat())
    with psycopg.connect(database, autocommit=True) as owner:
        owner.execute("CREATE SCHEMA IF NOT EXISTS analytics")
        owner.execute("CREATE OR REPLACE VIEW analytics.of_a_test AS SELECT delivery_id, zone FROM deliveries")
        owner.execute("GRANT USAGE ON SCHEMA analytics TO baton_analyst")
        owner.execute("GRANT SELECT ON analytics.of_a_test TO baton_analyst")
    return database


@pytest.fixture
def login(address: str) -> Iterator[Login]:
    opened: list[psycopg.Connection[Any]] = []

    def as_role(role: str) -> psycopg.Connection[Any]:
        opened.append(psycopg.connect(address.replace("//baton@", f"//{role}@"), autocommit=True))
        return opened[-1]

    yield as_role
    for connection in opened:
        connection.close()


@pytest.mark.parametrize("role", [role.name for role in ROLES])
def test_a_role_can_do_what_the_dictionary_says_and_is_refused_all_else(login: Login, role: str) -> None:
    connection = login(role)
    tried = 0
    for table, described in dictionary.tables().items():
        may = set(described.may.get(role, ()))
        column = next(iter(described.columns))
        for right, statement in STATEMENTS.items():
            asked = statement.format(table, column).encode()
            tried += 1
            if right not in may:
                with pytest.raises((REFUSED, psycopg.errors.ReadOnlySqlTransaction)):
                    connection.execute(asked)
            elif right == "INSERT":
                with pytest.raises(psycopg.IntegrityError):  # allowed; but a row has more to it than its defaults
                    connection.execute(asked)
            else:
                connection.execute(asked)
        for statement in ("TRUNCATE {}", "ALTER TABLE {} ADD COLUMN x int", "DROP TABLE {}"):
            with pytest.raises((REFUSED, psycopg.errors.ReadOnlySqlTransaction)):
                connection.execute(statement.format(f"public.{table}").encode())
    assert tried == 4 * len(dictionary.tables())


@pytest.mark.parametrize("role", [role.name for role in ROLES])
def test_nobody_makes_tables_or_sees_what_the_owner_alone_calls(login: Login, role: str) -> None:
    connection = login(role)
    for statement in ("CREATE TABLE public.mine (x int)", "CREATE SCHEMA mine", "CREATE ROLE mine"):
        with pytest.raises((REFUSED, psycopg.errors.ReadOnlySqlTransaction)):
            connection.execute(statement.encode())
    if role != "baton_projector":
        for call in ("baton_old_months()", "baton_drop_month('x')", "baton_drop_rows('x', 1)", "baton_end_slow(1)",
                     "baton_month('public', 'deliveries', '2020-01-01')"):  # fmt: skip
            with pytest.raises(REFUSED):
                connection.execute(f"SELECT public.{call}".encode())


def test_analysts_see_views_and_no_personal_data(login: Login) -> None:
    analyst = login("baton_analyst")
    assert analyst.execute("SELECT count(*) FROM of_a_test").fetchone() == (1,)
    for table in ("contacts", "driver_contacts", "deliveries", "delivery_audit_logs", "tracking_links", "notices"):
        with pytest.raises(REFUSED):
            analyst.execute(f"SELECT count(*) FROM public.{table}".encode())


def test_the_notifier_does_its_work(login: Login) -> None:
    notifier = login("baton_notifier")
    notice = Notice(
        notice_id=str(uuid.uuid4()), audience="operations", kind="unassigned_critical",
        at_ms=time.time_ns() // 1_000_000, details={},
    )  # fmt: skip
    kind = kinds.CATALOGUE["operations", "unassigned_critical"]
    with notifier.transaction():
        page = ledger.Page(notifier)
        page.add(notice, kind, ["mail"], Policy().notices, notice.at_ms)
        page.write()
    (claimed,) = ledger.claim(notifier, 5)
    ledger.report(notifier, claimed, "sent")
    assert ledger.recover(notifier, [], 0) == 0
    assert ledger.forget(notifier) == 0
    assert notifier.execute("SELECT state FROM notices").fetchall() == [("sent",)]
    event = an_event(UnassignedEscalated, level=1)
    tickets.take(notifier, event)
    assert tickets.close(notifier, "delivery_id", event.delivery_id, "ana", "done", event.at_ms + 1)


async def _reads(connection: psycopg.AsyncConnection[Any]) -> None:
    one, now = str(uuid.uuid4()), datetime.now(UTC)
    for ask in (
        queries.delivery, queries.parties, queries.audit, queries_proof.pin, queries_proof.wanted,
        queries_tracking.status, queries_tracking.links, queries_operations.story, queries_operations.dead_letter,
    ):  # fmt: skip
        await ask(connection, one)
    assert await queries.driver(connection, "ana") is not None
    assert len(await queries.offers(connection, "ana", False)) == 1
    assert await queries_tracking.link_is_there(connection, "ab" * 32)
    assert await queries_tracking.driver_card(connection, "ana") is not None
    assert await queries.contacts(connection, [one]) == {}
    await queries_tracking.live_map(connection, (-90, 90, -180, 180), 10)
    assert await queries_analytics.economics(connection, "driver", now - timedelta(days=9), now, 10)


async def _works_as_gateway(address: str) -> None:
    async with await psycopg.AsyncConnection.connect(address) as connection:
        await _reads(connection)
        await connection.commit()
        row = {"endpoint_id": str(uuid.uuid4()), "seller_id": "s1", "url": "https://a.example", "event_types": [],
               "description": "", "secret": b"sealed"}  # fmt: skip
        actor = endpoints.Actor("admin", "ana", "a test")
        made = await endpoints.create(connection, row, "a.example", actor)
        message = {"message_id": str(uuid.uuid4()), "line": "test", "event_type": "webhook.test", "sequence": 1,
                   "body": "{}", "at": now_text()}  # fmt: skip
        await endpoints.say(connection, made["endpoint_id"], message)
        found = await endpoints.message(connection, message["message_id"])
        assert found is not None
        await endpoints.redeliver(connection, found)
        await endpoints.change(connection, made, {"description": "ours"}, "a.example", actor)
        await endpoints.rotate(connection, made, b"sealed too", "a.example", actor)
        await endpoints.enable(connection, made, "a.example", actor, redeliver=True)
        assert await endpoints.attempts(connection, made["endpoint_id"], None, 10) == []
        assert len(await endpoints.changes(connection, made["endpoint_id"])) == 4
    answers = Answers(address, 5)
    await answers.open()
    key = b"k" * 32
    assert await answers.claim(key, b"p", b"c") is None
    await answers.keep(key, b"c", Answer(200, (), b"x"))
    held = await answers.claim(key, b"p", b"d")
    assert held is not None
    assert held.answer == Answer(200, (), b"x")
    await answers.forget(key, b"c")
    await answers.close()


async def _works_as_webhooks(address: str) -> None:
    async with await psycopg.AsyncConnection.connect(address) as connection:
        (claimed,) = await webhook_ledger.claim(connection, 5)
        tried = webhook_ledger.Tried("failed", datetime.now(UTC), 5, 500, "no", 0.0, disable="given_up")
        assert await webhook_ledger.report(connection, claimed, tried)
        assert await webhook_ledger.recover(connection, 0) == 0
        assert await webhook_ledger.forget(connection) == 0


def now_text() -> str:
    return datetime.now(UTC).isoformat()


def test_the_gateway_and_the_webhooks_do_their_work(login: Login, address: str) -> None:
    asyncio.run(_works_as_gateway(address.replace("//baton@", "//baton_gateway@")))
    asyncio.run(_works_as_webhooks(address.replace("//baton@", "//baton_webhooks@")))
    intake = Intake(None, "delivery.events")  # type: ignore[arg-type]  # only its writing is wanted
    created = as_records(a_life("told", 1_790_000_000_000))[:1]
    intake.take(login("baton_webhooks"), created, lambda _record, error: pytest.fail(str(error)))
    webhooks = login("baton_webhooks")
    assert webhooks.execute("SELECT seller_order_id FROM webhook_deliveries").fetchall() == [("told",)]
    assert webhooks.execute("UPDATE webhook_changes SET told_at = now() WHERE told_at IS NULL").rowcount == 5


def test_the_fallback_search_reads_drivers(address: str) -> None:
    index = PostgresIndex(address.replace("//baton@", "//baton_worker@"), timeout_ms=2_000)
    need = SearchNeed(lat=48.0, lng=7.8, radius_m=5_000, limit=5, named="ana")
    (found,) = index.search([need])
    assert (found.failed, found.source) == (False, "named")
    index.close()


def test_settings_come_with_the_log_in(login: Login) -> None:
    for role in ROLES:
        connection = login(role.name)
        for name, wanted in role.settings.items():
            row = connection.execute("SELECT setting FROM pg_settings WHERE name = %s", (name,)).fetchone()
            shown = connection.execute(f"SHOW {name}".encode()).fetchone()
            assert row is not None
            assert shown == (wanted if wanted != "60s" else "1min",), (role.name, name)


def test_a_slow_query_of_an_analyst_ends_with_the_reason(login: Login, address: str) -> None:
    with psycopg.connect(address, autocommit=True) as owner:
        limited = f"ALTER ROLE baton_analyst IN DATABASE {owner.info.dbname}"
        owner.execute(f"{limited} SET statement_timeout = '300ms'".encode())
        try:
            with pytest.raises(psycopg.errors.QueryCanceled, match="statement timeout"):
                login("baton_analyst").execute("SELECT count(*) FROM generate_series(1, 10000000000)")
        finally:
            owner.execute(f"{limited} RESET statement_timeout".encode())


def test_an_analyst_cannot_write_by_mistake(login: Login) -> None:
    analyst = login("baton_analyst")
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        analyst.execute("CREATE TEMP TABLE mine (x int)")


def test_one_connection_more_than_the_role_has_is_refused(login: Login) -> None:
    most = next(role.connections for role in ROLES if role.name == "baton_analyst")
    for _ in range(most):
        login("baton_analyst")
    with pytest.raises(psycopg.OperationalError, match="too many connections for role"):
        login("baton_analyst")


def test_an_analyst_who_stays_in_a_transaction_holds_up_nobody_for_ever(login: Login, address: str) -> None:
    """As a rebuild that puts tables in place: it wants the table alone."""
    with psycopg.connect(address, autocommit=True) as owner:
        limited = f"ALTER ROLE baton_analyst IN DATABASE {owner.info.dbname}"
        owner.execute(f"{limited} SET idle_in_transaction_session_timeout = '400ms'".encode())
        try:
            analyst = login("baton_analyst")
            began = time.monotonic()
            analyst.execute("BEGIN")
            analyst.execute("SELECT count(*) FROM of_a_test")
            with owner.transaction():
                owner.execute("SET LOCAL lock_timeout = '20s'")
                owner.execute("LOCK TABLE deliveries IN ACCESS EXCLUSIVE MODE")
            assert 0.4 <= time.monotonic() - began < 20
            with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
                analyst.execute("SELECT 1")
        finally:
            owner.execute(f"{limited} RESET idle_in_transaction_session_timeout".encode())


def test_who_lifts_the_limits_for_themselves_is_ended_by_the_keeper(login: Login) -> None:
    analyst = login("baton_analyst")
    for name in ("statement_timeout", "transaction_timeout", "idle_in_transaction_session_timeout"):
        analyst.execute(f"SET {name} = 0".encode())
    ended: list[Exception] = []

    def ask() -> None:
        try:
            analyst.execute("SELECT pg_sleep(60)")
        except psycopg.Error as error:
            ended.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    projector = login("baton_projector")
    assert projector.execute("SELECT baton_end_slow(60)").fetchone() == (0,)
    end = time.monotonic() + 30
    while projector.execute("SELECT baton_end_slow(1)").fetchone() != (1,):
        assert time.monotonic() < end
        time.sleep(0.1)
    asking.join(10)
    assert isinstance(ended[0], psycopg.errors.AdminShutdown)


def test_a_role_that_somebody_changed_stays_as_it_is(address: str) -> None:
    with psycopg.connect(address, autocommit=True) as owner:
        assert let_in(owner) == []
        owner.execute("ALTER ROLE baton_webhooks CONNECTION LIMIT 40")
        try:
            assert let_in(owner) == []
            assert owner.execute(
                "SELECT rolconnlimit, rolcanlogin FROM pg_roles WHERE rolname = 'baton_webhooks'"
            ).fetchone() == (40, True)
        finally:
            owner.execute("ALTER ROLE baton_webhooks CONNECTION LIMIT 12")


def test_all_limits_together_leave_the_owner_some_of_postgres_own(address: str) -> None:
    with psycopg.connect(address) as owner:
        (most, reserved) = owner.execute(
            "SELECT current_setting('max_connections')::int, current_setting('superuser_reserved_connections')::int"
        ).fetchone() or (0, 0)
    assert sum(role.connections for role in ROLES) <= most - reserved - 5
