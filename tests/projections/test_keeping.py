"""Old months and rows go, and nothing else: beside readers, projectors, other keepers, whoever is killed meanwhile."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from filling import a_life, as_records, filled, ms, project
from prometheus_client import REGISTRY
from psycopg import sql

from projections.keeping import retention
from projections.keeping.keeper import Done, Keeper, keep_once, make_ahead
from projections.migrate import down, up
from projections.runtime import OffsetsMoved, Projection, fold, positions

pytestmark = pytest.mark.servers
BY_HAND = ("ops", "a test")


def ago(days: float) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def part(table: str, moment: str) -> str:
    return f"{table}_{datetime.fromisoformat(moment):%Y_%m}"


LONG_AGO, NOW = ago(100), ago(0)
STRADDLES = datetime.fromisoformat(ago(40)).replace(day=1).isoformat()
"""Of a month that ends later than is kept, whatever day it is today."""


@pytest.fixture
def address(database: str) -> Iterator[str]:
    up(database)
    yield database
    down(database)


@pytest.fixture
def owner(address: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection


def as_projector(address: str) -> str:
    return address.replace("//baton@", "//baton_projector@")


def fill(address: str, *moments: str, ended: bool = True) -> None:
    with psycopg.connect(as_projector(address)) as connection:
        filled(connection, *moments, ended=ended)


def run(address: str) -> Done:
    """As the projector's keeper does it: with its role, which owns nothing."""
    with psycopg.connect(as_projector(address), autocommit=True) as connection:
        done = keep_once(connection)
    assert done is not None
    return done


def there(owner: psycopg.Connection[Any], table: str) -> set[str]:
    statement = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass"
    return {name for (name,) in owner.execute(statement, (table,)).fetchall()}


def count(connection: psycopg.Connection[Any], table: str) -> int:
    row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchone()
    assert row is not None
    return int(row[0])


def test_only_whole_old_months_go_and_the_one_that_straddles_stays(
    address: str, owner: psycopg.Connection[Any]
) -> None:
    fill(address, LONG_AGO, STRADDLES, NOW)
    retention.keep(address, "deliveries", 41, *BY_HAND)
    done = run(address)
    assert part("deliveries", LONG_AGO) in done.months
    assert part("deliveries", STRADDLES) in there(owner, "deliveries")
    assert owner.execute("SELECT to_regclass(%s)", (part("deliveries", LONG_AGO),)).fetchone() == (None,)
    assert count(owner, "deliveries") == 2
    assert count(owner, "driver_offers") == 3, "a table that is kept for ever"
    assert run(address).months == []


def test_a_month_with_a_delivery_under_way_stays_until_it_has_ended(
    address: str, owner: psycopg.Connection[Any]
) -> None:
    fill(address, LONG_AGO, ended=False)
    for table in ("deliveries", "driver_offers"):
        retention.keep(address, table, 30, *BY_HAND)
    held = {part(table, LONG_AGO): "a delivery of it is still under way" for table in ("deliveries", "driver_offers")}
    assert run(address).held == held
    with psycopg.connect(as_projector(address)) as connection:
        project(Projection(connection), as_records(a_life(LONG_AGO, ms(LONG_AGO))[5:]))
    done = run(address)
    assert {*done.months} >= set(held)
    assert done.held == {}
    assert count(owner, "deliveries") == 0


def test_a_month_of_the_audit_goes_only_when_an_anchor_lies_beyond_it(
    address: str, owner: psycopg.Connection[Any]
) -> None:
    fill(address, LONG_AGO)
    retention.keep(address, "delivery_audit_logs", 30, *BY_HAND)
    month = part("delivery_audit_logs", LONG_AGO)
    beyond = "no anchor of the audit lies beyond it"
    assert run(address).held == {month: beyond}
    for number, short_of in enumerate((1, 0), 1):
        assert run(address).held == {month: beyond}
        owner.execute(
            "INSERT INTO audit_anchors SELECT topic, partition, %s, 0, max(record_offset) - %s, 1, 1, now(), now(), '',"
            " '', '', '', now(), '', '' FROM delivery_audit_logs GROUP BY topic, partition",
            (number, short_of),
        )
    assert month in run(address).months
    assert count(owner, "delivery_audit_logs") == 0


def test_a_reader_goes_on_and_the_month_goes_when_it_has_read(address: str, owner: psycopg.Connection[Any]) -> None:
    fill(address, LONG_AGO, NOW)
    retention.keep(address, "deliveries", 30, *BY_HAND)
    with psycopg.connect(address) as reading, psycopg.connect(address, autocommit=True) as another:
        assert count(reading, "deliveries") == 2
        slowest = 0.0
        answers: list[Done] = []
        keeper = threading.Thread(target=lambda: answers.append(run(address)))
        keeper.start()
        while keeper.is_alive():
            began = time.monotonic()
            assert count(another, "deliveries") == 2
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.02)
        keeper.join()
        assert answers[0].held == {part("deliveries", LONG_AGO): "it is being read"}
        assert slowest < 10, "nobody waits behind the keeper for longer than it waits itself"
        assert count(reading, "deliveries") == 2
    assert part("deliveries", LONG_AGO) in run(address).months
    assert count(owner, "deliveries") == 1


def test_a_projector_forgets_what_it_remembers_of_a_month_that_went(
    address: str, owner: psycopg.Connection[Any]
) -> None:
    with psycopg.connect(as_projector(address)) as connection:
        projection = filled(connection, LONG_AGO, NOW)
        connection.rollback()
        retention.keep(address, "deliveries", 30, *BY_HAND)
        late = as_records(a_life("late", ms(LONG_AGO)))
        at = positions(connection, {(record.topic, record.partition) for record in late})
        assert part("deliveries", LONG_AGO) in run(address).months
        with pytest.raises(OffsetsMoved):
            projection.write(fold(late, at, ""), at)
        projection.forget()
        project(projection, late)
    assert count(owner, "deliveries") == 2
    assert part("deliveries", LONG_AGO) in there(owner, "deliveries")


def test_a_projector_at_work_loses_nothing_while_months_go(address: str, owner: psycopg.Connection[Any]) -> None:
    fill(address, LONG_AGO)
    for table in ("deliveries", "driver_offers", "assignments", "eta_accuracy"):
        retention.keep(address, table, 30, *BY_HAND)
    stop, written, wrong = threading.Event(), [0], list[Exception]()

    def work() -> None:
        try:
            with psycopg.connect(as_projector(address)) as connection:
                projection = Projection(connection)
                while not stop.is_set():
                    records = as_records(a_life(f"n{written[0]}", ms(NOW)))
                    try:
                        project(projection, records)
                        written[0] += 1
                    except OffsetsMoved:
                        projection.forget()
        except Exception as error:  # noqa: BLE001 -- told by the test
            wrong.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    while written[0] < 3 and worker.is_alive():
        time.sleep(0.02)
    done = run(address)
    while written[0] < 12 and worker.is_alive():
        time.sleep(0.02)
    stop.set()
    worker.join()
    assert wrong == []
    assert len(done.months) >= 4
    assert count(owner, "deliveries") == written[0]


def test_a_keeper_killed_in_the_middle_leaves_the_month_whole(address: str, owner: psycopg.Connection[Any]) -> None:
    fill(address, LONG_AGO)
    retention.keep(address, "deliveries", 30, *BY_HAND)
    month = part("deliveries", LONG_AGO)
    killed = psycopg.connect(as_projector(address))
    assert killed.execute("SELECT baton_drop_month(%s)", (month,)).fetchone() == ("",)
    owner.execute("SELECT pg_terminate_backend(%s)", (killed.info.backend_pid,))
    with pytest.raises(psycopg.OperationalError):
        killed.execute("SELECT 1")
    killed.close()
    assert month in there(owner, "deliveries")
    assert count(owner, "deliveries") == 1
    assert month in run(address).months


def test_of_two_keepers_one_is_at_work(address: str) -> None:
    fill(address, LONG_AGO)
    retention.keep(address, "deliveries", 30, *BY_HAND)
    with psycopg.connect(address, autocommit=True) as one:
        one.execute("SELECT pg_advisory_lock(%s)", (0x6B656570,))
        assert retention.drop_old(address) is None
        one.execute("SELECT pg_advisory_unlock(%s)", (0x6B656570,))  # a closed connection lets go a moment later
    found: list[Done | None] = []
    keepers = [threading.Thread(target=lambda: found.append(retention.drop_old(address))) for _ in range(4)]
    for keeper in keepers:
        keeper.start()
    for keeper in keepers:
        keeper.join()
    assert sum(part("deliveries", LONG_AGO) in done.months for done in found if done is not None) == 1


def test_a_dry_run_tells_what_would_go_and_changes_nothing(address: str, owner: psycopg.Connection[Any]) -> None:
    fill(address, LONG_AGO, NOW)
    retention.keep(address, "deliveries", 30, *BY_HAND)
    old = retention.old(address)
    assert {month.part for month in old.months} == {
        part("deliveries", LONG_AGO), part("zone_health_metrics", LONG_AGO),
    }  # fmt: skip
    assert all(month.held == "" for month in old.months)
    assert old.rows == {"dead_letters": 1, "tracking_links": 1}
    assert count(owner, "deliveries") == 2
    assert retention.old(address) == old


def test_rows_of_tables_without_months_go_a_few_at_a_time(address: str, owner: psycopg.Connection[Any]) -> None:
    owner.execute(
        "INSERT INTO zone_prices SELECT 'z', now() - make_interval(days => n), 100, 0, 0, 1"
        " FROM generate_series(1, 900) n"
    )
    retention.keep(address, "zone_prices", 100, *BY_HAND)
    with psycopg.connect(as_projector(address), autocommit=True) as projector, psycopg.connect(address) as other:
        other.execute("SELECT FROM zone_prices WHERE at < now() - interval '899 days 12 hours' FOR UPDATE")
        assert projector.execute("SELECT baton_drop_rows('zone_prices', 300)").fetchone() == (300,)
        assert run(address).rows == {"zone_prices": 500}
        assert count(owner, "zone_prices") == 100, "99 that are young, and one that somebody holds"
    assert run(address).rows == {"zone_prices": 1}
    owner.execute("INSERT INTO unassigned_orders (delivery_id, queue_status, queued_at, changed_at)"
                  " VALUES (gen_random_uuid(), 'PENDING', now() - interval '3 years', now())")  # fmt: skip
    retention.keep(address, "unassigned_orders", 7, *BY_HAND)
    assert run(address).rows == {}
    assert count(owner, "unassigned_orders") == 1, "it is in the queue"


def test_the_projector_s_role_can_drop_nothing_that_is_not_due(address: str, owner: psycopg.Connection[Any]) -> None:
    fill(address, LONG_AGO, NOW)
    with psycopg.connect(as_projector(address), autocommit=True) as projector:
        for name in (part("deliveries", LONG_AGO), "drivers", "no_such_table", "deliveries"):
            (why,) = projector.execute("SELECT baton_drop_month(%s)", (name,)).fetchone() or ("",)
            assert why == "it is not old enough, or not there"
        for name in ("drivers", "deliveries", "unassigned_orders", "contacts"):
            assert projector.execute("SELECT baton_drop_rows(%s, 100)", (name,)).fetchone() == (0,)
        for statement in (
            "DROP TABLE deliveries", "TRUNCATE deliveries", "DELETE FROM deliveries",
            "UPDATE projection_retention SET keep_days = 7", "DELETE FROM delivery_audit_logs",
            "UPDATE delivery_audit_logs SET event = 'x'", "CREATE TABLE mine (x int)",
        ):  # fmt: skip
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                projector.execute(statement)
    assert count(owner, "deliveries") == 2


def test_the_months_to_come_are_there_before_anybody_waits_for_them(
    address: str, owner: psycopg.Connection[Any]
) -> None:
    with psycopg.connect(as_projector(address), autocommit=True) as projector:
        made = make_ahead(projector)
        assert made >= 2 * 9
        assert make_ahead(projector) == 0
    this = datetime.now(UTC).replace(day=1)
    for month in (this, this + timedelta(days=32)):
        assert f"eta_accuracy_{month:%Y_%m}" in there(owner, "eta_accuracy")


def test_of_two_that_make_one_month_at_once_one_waits_and_finds_it(address: str) -> None:
    statement = "SELECT baton_month('public', 'deliveries', '2020-01-01')"
    found: list[Any] = []
    with psycopg.connect(address) as one, psycopg.connect(address) as other:
        assert one.execute(statement).fetchone() == (True,)
        waiting = threading.Thread(target=lambda: found.append(other.execute(statement).fetchone()))
        waiting.start()
        time.sleep(0.5)
        assert found == []
        one.commit()
        waiting.join()
    assert found == [(False,)]


def test_retention_is_changed_with_actor_and_reason_and_the_change_is_kept(
    address: str, owner: psycopg.Connection[Any]
) -> None:
    now = retention.keep(address, "deliveries", 400, "ana", "the law")
    assert (now.days, now.actor_id, now.reason, now.by_month) == (400, "ana", "the law", True)
    retention.keep(address, "deliveries", None, "ben", "books")
    up(address)
    assert next(one for one in retention.kept(address) if one.table == "deliveries").days is None
    assert owner.execute(
        "SELECT was_days, keep_days, actor_id, reason FROM projection_retention_history ORDER BY change_no"
    ).fetchall() == [(None, 400, "ana", "the law"), (400, None, "ben", "books")]
    for table, days, actor, reason in (
        ("drivers", 30, "a", "b"), ("no_such", 30, "a", "b"), ("deliveries", 6, "a", "b"),
        ("deliveries", 30, "", "b"), ("deliveries", 30, "a", " "),
    ):  # fmt: skip
        with pytest.raises(retention.NotKept):
            retention.keep(address, table, days, actor, reason)


def test_the_keeper_s_thread_keeps_and_goes_on_after_a_failure(address: str, owner: psycopg.Connection[Any]) -> None:
    fill(address, LONG_AGO, NOW)
    retention.keep(address, "deliveries", 30, *BY_HAND)
    owner.execute("ALTER FUNCTION baton_old_months RENAME TO gone_for_a_while")
    failures = REGISTRY.get_sample_value("baton_keeping_failures_total") or 0
    stop = threading.Event()
    keeper = threading.Thread(target=Keeper(as_projector(address), every_s=0.05, turn_s=0.05).run, args=(stop,))
    keeper.start()
    try:
        until = time.monotonic() + 20
        while (REGISTRY.get_sample_value("baton_keeping_failures_total") or 0) < failures + 2:
            assert time.monotonic() < until
            time.sleep(0.05)
        assert count(owner, "deliveries") == 2
        owner.execute("ALTER FUNCTION gone_for_a_while RENAME TO baton_old_months")
        while count(owner, "deliveries") == 2:
            assert time.monotonic() < until
            time.sleep(0.05)
    finally:
        stop.set()
        keeper.join()
    assert (REGISTRY.get_sample_value("baton_keeping_last_run_timestamp_seconds") or 0) > time.time() - 60
