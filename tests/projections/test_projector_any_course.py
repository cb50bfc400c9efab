"""Whatever course a projector takes, on a real Postgres: the tables are those of a projector to whom nothing happened.

Records come again, events are in the log twice, transactions fail before their COMMIT, the answer to a COMMIT is lost,
projectors are replaced and wake up late. The model is the log itself: which records are in it, what each delivery went
through. At the end every delivery has a twin, whose events are folded once, in order and in one batch; their rows must
be the same.
"""

import itertools
import json
from typing import Any

import psycopg
import pytest
from filling import a_life, ms
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from dispatch.contract import codec, topics
from dispatch.log.application import Record
from projections.migrate import up
from projections.models import FOLDED
from projections.models.audit import chained
from projections.runtime import OffsetsMoved, Position, Projection, batch, fold, positions, tables

pytestmark = pytest.mark.servers
TOPIC = topics.DELIVERY_EVENTS.name
NAMES = ("w", "x", "y")
BY_DELIVERY = [model.table for model in FOLDED if model.family == "delivery" and "delivery_id" in model.columns]
FATES = ("written", "written", "cut before the COMMIT", "the answer to the COMMIT is lost")
_NUMBERS = itertools.count()
"""Of partitions: each course has one of its own, and deliveries of its own."""


class AnyCourse(RuleBasedStateMachine):
    """One partition of delivery.events, and the projectors that hold it one after the other."""

    dsn = ""

    @initialize()
    def begin(self) -> None:
        close_all()
        self.number = next(_NUMBERS)
        self.place = (TOPIC, self.number)
        self.at_ms = ms("2026-11-20T10:00:00") + self.number * 60_000
        self.lives = {name: a_life(f"{self.number} {name}", self.at_ms) for name in NAMES}
        self.happened = dict.fromkeys(NAMES, 0)
        self.log: list[Record] = []
        self.stale: tuple[Projection, Position] | None = None
        self.projection: Projection | None = None
        self._restart()

    def _restart(self) -> None:
        if self.projection is not None:
            self.projection.connection.close()
        self.projection = Projection(self._connected())
        self._look()

    def _look(self) -> None:
        assert self.projection is not None
        self.projection.forget()
        self.at = positions(self.projection.connection, [self.place])

    def _append(self, value: bytes | None) -> None:
        self.log.append(Record(*self.place, len(self.log), self.at_ms, b"k", value))

    @rule(name=st.sampled_from(NAMES), count=st.integers(1, 6))
    def something_happens(self, name: str, count: int) -> None:
        before = self.happened[name]
        for event in self.lives[name][before : before + count]:
            self._append(codec.encode(event))
            self.happened[name] += 1

    @rule(back=st.integers(1, 6))
    def an_event_is_in_the_log_twice(self, back: int) -> None:
        for record in self.log[-back:][:1]:
            self._append(record.value)

    @rule(value=st.sampled_from((None, b"", b"\x00\x00\x00\x00\x01", b"garbage")))
    def something_unreadable(self, value: bytes | None) -> None:
        self._append(value)

    @rule(count=st.integers(1, 12), again=st.integers(0, 4), fate=st.sampled_from(FATES))
    def project(self, count: int, again: int, fate: str) -> None:
        """`again`: so many records before the position are delivered once more."""
        assert self.projection is not None
        begin = self.at[self.place].next_offset
        records = self.log[max(0, begin - again) : begin + count]
        folding = fold(records, self.at, "")
        if fate == "cut before the COMMIT":
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(batch, "note", _cut)
                stood = self._stored()
                with pytest.raises(psycopg.OperationalError if stood == begin else OffsetsMoved):
                    self.projection.write(folding, self.at)
            self._restart()
            assert self.at[self.place].next_offset == stood
            return
        try:
            self.projection.write(folding, self.at)
        except OffsetsMoved:
            assert self._stored() != begin
            self._look()
            return
        if fate == "written":
            self.at.update(folding.positions)
        else:
            self.projection.connection.close()
            self.projection = Projection(self._connected())

    @rule()
    def the_projector_is_replaced_and_sleeps(self) -> None:
        if self.stale is not None:
            self.stale[0].connection.close()
        assert self.projection is not None
        self.stale, self.projection = (self.projection, self.at[self.place]), None
        self._restart()

    @rule(count=st.integers(1, 12))
    def the_one_that_slept_wakes_up(self, count: int) -> None:
        """It is refused when the tables went on without it."""
        if self.stale is None:
            return
        projection, position = self.stale
        at, stored = {self.place: position}, self._stored()
        folding = fold(self.log[position.next_offset : position.next_offset + count], at, "")
        if position.next_offset != stored and folding.positions:
            with pytest.raises(OffsetsMoved):
                projection.write(folding, at)
        else:
            projection.write(folding, at)
            self.stale = projection, folding.positions.get(self.place, position)

    @rule()
    def the_projector_is_restarted(self) -> None:
        self._restart()

    @invariant()
    def the_audit_is_the_log_up_to_where_it_stands(self) -> None:
        rows = self._ask("SELECT record_offset, value, prev_hash, hash FROM delivery_audit_logs WHERE topic = %s AND"
                         " partition = %s ORDER BY record_offset")  # fmt: skip
        read = self.log[: self._stored()]
        readable = [record for record in read if codec.subject_in(record.value) and len(record.value or b"") > 5]
        assert [(offset, bytes(value)) for offset, value, _, _ in rows] == [
            (record.offset, record.value) for record in readable
        ]
        last = b""
        for _, value, before, after in rows:
            assert bytes(before) == last
            assert bytes(after) == chained(last, bytes(value))
            last = bytes(after)

    def teardown(self) -> None:
        """Faults stop; all is folded, and the twins after it."""
        if not hasattr(self, "place"):
            return
        for _ in range(2 + len(self.log) // 500):
            self.project(500, 0, "written")
        assert self._stored() == len(self.log)
        twins = {name: a_life(f"{self.number} twin of {name}", self.at_ms) for name in NAMES}
        for name in NAMES:
            for event in twins[name][: self.happened[name]]:
                self._append(codec.encode(event))
        self.project(500, 0, "written")
        for name in NAMES:
            mine, other = (self._rows(lives[name][0], lives[name][4]) for lives in (self.lives, twins))
            assert mine == other, name
            assert (mine["deliveries"] == []) == (self.happened[name] == 0)
        settled = sum(2 for count in self.happened.values() if count == len(twins["w"]))
        found = self._ask("SELECT coalesce(sum(deliveries), 0) FROM economics_rollup WHERE by = 'zone'", ())
        assert found[0][0] == AnyCourse.settled + settled
        AnyCourse.settled += settled

    def _connected(self) -> psycopg.Connection[Any]:
        OPENED.append(psycopg.connect(self.dsn))
        return OPENED[-1]

    settled = 0
    """Settled deliveries of the courses before."""

    def _stored(self) -> int:
        rows = self._ask("SELECT next_offset FROM projection_offsets WHERE topic = %s AND partition = %s")
        return int(rows[0][0]) if rows else 0

    def _ask(self, query: str, values: Any = None) -> list[Any]:
        return READER[0].execute(query.encode(), self.place if values is None else values).fetchall()

    def _rows(self, created: Any, offered: Any) -> dict[str, Any]:
        """Every row of a delivery, without the names that differ from its twin's."""
        found = {}
        names = {created.delivery_id: "D", offered.offer_id: "O", created.order.seller_order_id: "S"}
        for table in BY_DELIVERY:
            rows = self._ask(
                f"SELECT to_jsonb(t) FROM {table} t WHERE delivery_id = %s ORDER BY 1", (created.delivery_id,)
            )
            text = json.dumps([row for (row,) in rows], sort_keys=True)
            for name, short in names.items():
                text = text.replace(name, short)
            found[table] = json.loads(text)
        return found


def _cut(connection: psycopg.Connection[Any], *_: Any) -> None:
    """The last that is done before the COMMIT."""
    connection.close()
    raise psycopg.OperationalError("cut")


READER: list[psycopg.Connection[Any]] = []
OPENED: list[psycopg.Connection[Any]] = []


@pytest.fixture(scope="module", autouse=True)
def with_tables(database: str) -> Any:
    up(database)
    AnyCourse.dsn = database
    with psycopg.connect(database, autocommit=True) as reader:
        READER[:] = [reader]
        yield
    close_all()


def close_all() -> None:
    """The connections of the course before."""
    while OPENED:
        OPENED.pop().close()


SHORT = settings(
    max_examples=9, stateful_step_count=14, deadline=None, derandomize=True, database=None, print_blob=False,
    suppress_health_check=list(HealthCheck), phases=[Phase.generate], report_multiple_bugs=False,
)  # fmt: skip


def test_whatever_course_it_takes_the_tables_are_those_of_one_to_whom_nothing_happened() -> None:
    run_state_machine_as_test(AnyCourse, settings=SHORT)


@pytest.mark.parametrize("fault", ["records come again and are folded again", "a doubled event counts twice"])
def test_a_planted_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault.startswith("records"):
        monkeypatch.setattr(batch, "advance", lambda *_: None)
    else:
        held = tables.Tables._apply

        def forgetful(self: Any, one: Any, changes: Any) -> None:
            aggregate = self._memory["delivery"].get(getattr(one.event, "delivery_id", ""))
            base = (
                aggregate.rows.get("deliveries", {}).get(getattr(one.event, "delivery_id", "")) if aggregate else None
            )
            if base is not None:
                base["version"] = 0
            held(self, one, changes)

        monkeypatch.setattr(tables.Tables, "_apply", forgetful)
    with pytest.raises((AssertionError, psycopg.Error)):
        run_state_machine_as_test(AnyCourse, settings=SHORT)
