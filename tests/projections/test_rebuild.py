"""Read models made again from the log while a projector folds on: whole, equal, and in place in one moment."""

import threading
from typing import Any

import psycopg
import pytest
from folding import AGAIN, OF_EVENTS, Stack, a_history

from bench.histories import Histories, Made
from dispatch.contract import topics
from projections.rebuild import acts
from projections.rebuild.acts import Refused, rebuild, verify


@pytest.fixture
def history() -> list[Made]:
    return a_history()


pytestmark = pytest.mark.servers


def test_what_is_folded_is_what_the_log_says_and_can_be_made_again(stack: Stack, history: list[Made]) -> None:
    stack.start()
    stack.send(history)
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
    stack.send(history)
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
    stack.send(history[:half])
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
    sender = threading.Thread(target=stack.send, args=(history[half:],))
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
    stack.send(first + rest[:6])
    stack.folded(len(first) + 6)
    stack.do("UPDATE deliveries SET store_name = 'wrong'")
    stack.do("UPDATE drivers SET rating = 1")
    stack.rebuild("deliveries", "drivers")
    stack.send(rest[6:])
    stack.folded(len(first) + len(rest))
    assert stack.differences("deliveries", "drivers") == {}
    assert stack.ask("SELECT count(*) FROM deliveries WHERE store_name = 'wrong'") == 0


@pytest.mark.parametrize("step", ["_catch_up", "_until_older_are_gone", "_switch"])
def test_a_rebuild_that_is_killed_midway_has_changed_nothing(
    stack: Stack, history: list[Made], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    stack.start()
    stack.send(history)
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
    stack.send(history[:30])
    stack.produce(topics.DELIVERY_EVENTS, "x", b"nonsense")
    stack.send(history[30:])
    stack.folded(len(history))
    made, poison = rebuild(stack.where, OF_EVENTS, lambda _: None, lambda _: None)
    assert all(one.before == one.after for one in made)
    assert len(poison) == 1
