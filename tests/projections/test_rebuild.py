"""Read models made again from the log while a projector folds on: whole, equal, and in place in one moment."""

import itertools
import threading
import time
import zlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer

from bench.histories import Histories, Made
from deploy.local import Addresses
from dispatch.config import Settings
from dispatch.contract import codec, topics
from dispatch.setup import create_topics
from projections.lane import Lane
from projections.migrate import up
from projections.rebuild import acts
from projections.rebuild.acts import Refused, Where, rebuild, verify
from projections.runtime import chosen

AGAIN = [name for name in chosen.TABLES if not chosen.why_not_again(name)]
OF_EVENTS = [model.table for model in chosen.FOLDED] + ["delivery_audit_logs"]


class Stack:
    """A namespace with a log, a database with its tables, and a projector that folds."""

    def __init__(self, addresses: Addresses, namespace: str, dsn: str) -> None:
        self.where = Where(addresses.kafka, dsn, namespace)
        create_topics(Settings(kafka=addresses.kafka, postgres=dsn, namespace=namespace, partitions=4))
        up(dsn)
        self._producer = Producer({"bootstrap.servers": addresses.kafka, "enable.idempotence": True})
        self._stop = threading.Event()
        self._lane: threading.Thread | None = None

    def send(self, made: Iterator[Made]) -> None:
        for one in made:
            self.produce(one.topic, one.key, codec.encode(one.event))
        assert self._producer.flush(30) == 0

    def produce(self, topic: topics.Topic, key: str, value: bytes | None) -> None:
        number = zlib.crc32(key.encode()) % 4
        self._producer.produce(self.where.namespace + topic.name, value, key.encode(), number)

    def start(self) -> None:
        self._stop = threading.Event()
        lane = Lane(self.where.brokers, self.where.dsn, self.where.namespace)
        self._lane = threading.Thread(target=lane.run, args=(self._stop,))
        self._lane.start()

    def stop(self) -> None:
        self._stop.set()
        if self._lane is not None:
            self._lane.join(30)

    def ask(self, statement: str, *values: Any) -> Any:
        with psycopg.connect(self.where.dsn, autocommit=True) as connection:
            row = connection.execute(statement.encode(), values or None).fetchone()
        return row[0] if row else None

    def do(self, statement: str) -> None:
        with psycopg.connect(self.where.dsn, autocommit=True) as connection:
            connection.execute(statement.encode())

    def folded(self, events: int) -> None:
        until = time.monotonic() + 60
        while self.ask("SELECT count(*) FROM delivery_audit_logs") < events:
            assert time.monotonic() < until, "the projector does not come to the end"
            time.sleep(0.05)

    def differences(self, *names: str) -> dict[str, int]:
        verdicts, _ = verify(self.where, list(names), lambda _count: None, lambda _text: None)
        return {verdict.table: verdict.differing for verdict in verdicts if verdict.differing}

    def rebuild(self, *names: str) -> dict[str, bool]:
        made, _ = rebuild(self.where, list(names), lambda _count: None, lambda _text: None)
        return {one.table: one.before == one.after for one in made}


@pytest.fixture
def stack(servers: Addresses, namespace: str, database: str) -> Iterator[Stack]:
    made = Stack(servers, namespace, database)
    yield made
    made.stop()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


@pytest.fixture
def history() -> list[Made]:
    histories = Histories(seed=7, drivers=20)
    return [*histories.drivers(), *histories.deliveries(60, apart_ms=40_000_000)]


pytestmark = pytest.mark.servers


def test_what_is_folded_is_what_the_log_says_and_can_be_made_again(stack: Stack, history: list[Made]) -> None:
    stack.start()
    stack.send(iter(history))
    stack.folded(len(history))
    assert stack.differences(*AGAIN) == {}
    assert stack.rebuild(*AGAIN) == dict.fromkeys(AGAIN, True)
    assert stack.ask("SELECT count(*) FROM delivery_audit_logs") == len(history)
    assert stack.differences(*AGAIN) == {}
    assert stack.ask("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'baton%'") == 0
    with pytest.raises(psycopg.errors.RaiseException, match="append only"):
        stack.do("UPDATE delivery_audit_logs SET event = 'other'")
    with pytest.raises(psycopg.errors.RaiseException, match="append only"):
        stack.do("DELETE FROM delivery_audit_logs")


def test_a_row_that_does_not_follow_from_the_log_is_named_and_goes_with_a_rebuild(
    stack: Stack, history: list[Made]
) -> None:
    stack.start()
    stack.send(iter(history))
    stack.folded(len(history))
    stack.do(
        "WITH one AS (SELECT min(offer_id::text)::uuid AS name FROM driver_offers)"
        " UPDATE driver_offers SET earning_minor = 1 FROM one WHERE offer_id = one.name"
    )
    stack.do("DELETE FROM assignments WHERE assignment_no = 2")
    stack.do("INSERT INTO driver_zone_preferences VALUES ('nobody', 'nowhere', 'PREFERRED', now(), 'driver', 'x')")
    gone = stack.ask("SELECT count(*) FROM driver_offers WHERE earning_minor = 1")
    assert gone == 1
    verdicts, _ = verify(
        stack.where, ["driver_offers", "assignments", "driver_zone_preferences"], lambda _: None, lambda _: None
    )
    found = {verdict.table: verdict.shown for verdict in verdicts}
    assert found["driver_offers"][0].columns == {"earning_minor": (1, 489)}
    assert {one.only for one in found["assignments"]} == {"log"}
    assert [(one.key[0], one.only) for one in found["driver_zone_preferences"]] == [("nobody", "table")]
    assert stack.rebuild("driver_offers", "assignments", "driver_zone_preferences") == {
        "driver_offers": False, "assignments": False, "driver_zone_preferences": False,
    }  # fmt: skip
    assert stack.differences(*OF_EVENTS) == {}


def test_a_projector_that_folds_on_and_readers_see_a_whole_table_all_the_time(
    stack: Stack, history: list[Made]
) -> None:
    stack.do(
        "CREATE VIEW seen AS SELECT count(*) AS deliveries, min(version) AS least FROM deliveries;"
        " GRANT SELECT ON seen TO baton_analyst"
    )
    stack.start()
    half = len(history) // 2
    stack.send(iter(history[:half]))
    stack.folded(half)
    least = stack.ask("SELECT deliveries FROM seen")
    counted: list[int] = []
    done = threading.Event()

    def read() -> None:
        with psycopg.connect(stack.where.dsn, autocommit=True) as connection:
            while not done.is_set():
                row = connection.execute("SELECT deliveries FROM seen").fetchone()
                assert row is not None
                counted.append(row[0])

    reader = threading.Thread(target=read)
    sender = threading.Thread(target=stack.send, args=(itertools.chain(history[half:]),))
    reader.start()
    sender.start()
    for _ in range(3):
        assert set(stack.rebuild(*OF_EVENTS)) == set(OF_EVENTS)
    sender.join()
    stack.folded(len(history))
    done.set()
    reader.join()
    assert counted == sorted(counted)
    assert counted[0] >= least
    assert counted[-1] == stack.ask("SELECT count(*) FROM deliveries") > least
    assert stack.differences(*OF_EVENTS) == {}
    assert stack.ask("SELECT has_table_privilege('baton_analyst', 'seen', 'SELECT')")
    assert stack.ask("SELECT has_table_privilege('baton_gateway', 'deliveries', 'SELECT')")


def test_a_projector_forgets_the_rows_that_a_rebuild_has_mended(stack: Stack) -> None:
    """It remembers what it wrote; a rebuild that put other rows in place must not be written over."""
    histories = Histories(seed=3, drivers=5)
    first, rest = list(histories.drivers()), list(histories.deliveries(3))
    stack.start()
    stack.send(iter(first + rest[:6]))
    stack.folded(len(first) + 6)
    stack.do("UPDATE deliveries SET store_name = 'wrong'")
    stack.do("UPDATE drivers SET rating = 1")
    stack.rebuild("deliveries", "drivers")
    stack.send(iter(rest[6:]))
    stack.folded(len(first) + len(rest))
    assert stack.differences("deliveries", "drivers") == {}
    assert stack.ask("SELECT count(*) FROM deliveries WHERE store_name = 'wrong'") == 0


@pytest.mark.parametrize("step", ["_catch_up", "_until_older_are_gone", "_switch"])
def test_a_rebuild_that_is_killed_midway_has_changed_nothing(
    stack: Stack, history: list[Made], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    stack.start()
    stack.send(iter(history))
    stack.folded(len(history))

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(acts, step, killed)
        with pytest.raises(KeyboardInterrupt):
            stack.rebuild(*OF_EVENTS)
    assert stack.ask("SELECT count(*) FROM delivery_audit_logs") == len(history)
    assert stack.differences(*OF_EVENTS) == {}
    assert all(stack.rebuild(*OF_EVENTS).values())


def test_two_at_once_and_names_that_are_none_are_refused(stack: Stack) -> None:
    with pytest.raises(Refused, match="no read model 'nothing'"):
        stack.rebuild("nothing")
    with pytest.raises(Refused, match="keeps an hour"):
        stack.rebuild("zone_health_metrics")
    with acts._alone(stack.where.dsn), pytest.raises(Refused, match="is running"):
        stack.rebuild("deliveries")


def test_who_holds_a_table_is_waited_for_and_then_told(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acts, "_TRIES", 2)
    monkeypatch.setattr(acts, "_LOCK_S", 1)
    monkeypatch.setattr(acts, "_PAUSE_S", 0.1)
    with psycopg.connect(stack.where.dsn) as holder:
        holder.execute("LOCK TABLE deliveries IN ACCESS SHARE MODE")
        with pytest.raises(Refused, match="held the tables"):
            stack.rebuild("deliveries")
    assert stack.rebuild("deliveries") == {"deliveries": True}


def test_an_event_that_cannot_be_folded_is_left_out_both_times(stack: Stack, history: list[Made]) -> None:
    stack.start()
    stack.send(iter(history[:30]))
    stack.produce(topics.DELIVERY_EVENTS, "x", b"nonsense")
    stack.send(iter(history[30:]))
    stack.folded(len(history))
    made, poison = rebuild(stack.where, OF_EVENTS, lambda _: None, lambda _: None)
    assert all(one.before == one.after for one in made)
    assert len(poison) == 1
