"""Whatever course it takes: batches, aborts, lost answers, deaths, restores, timers, repeats and poison, and a model.

The log, the state topic and the committed offset change together or not at all, as Kafka's transactions do it. The
model knows nothing of batches and stores: it folds what was committed, and holds that each command had one outcome,
that no payment was lost or doubled, that each timer fired once, and that a restored store is the one that was lost.
"""

import json
from typing import Any, ClassVar

import pytest
from account import Account, Accounts, Command, command_id, rates, value
from batches import NOW_MS
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from dispatch.log.application import Context, DeadLetter, Message, Record
from dispatch.log.batch import AHEAD_MS, Batch
from dispatch.log.envelope import READ
from dispatch.log.errors import Aborted
from dispatch.log.positions import Positions
from dispatch.log.reach import Reach
from dispatch.log.store import Live, PartitionStore

PLACE = ("commands", 0)
NAMES = "abc"
FATES = ("committed", "committed", "committed", "aborted", "died before the commit", "committed, and nobody was told")
SPOILT = ("raise", "needs_raises", "unwritable")
_MOST = 25
"""Commands of one account: fewer than are remembered."""


class Told(Accounts):
    """Accounts whose events name the command."""

    def _event(self, command: Command, state: Account, context: Context) -> Message:
        said = json.loads(super()._event(command, state, context).value or b"")
        more = {"id": command.command_id.hex(), "n": command.n, "kind": command.kind, "to": command.to}
        return Message(self.events_topic, command.account.encode(), json.dumps(said | more).encode())

    def repeat(self, command: Command, _outcome: bytes) -> list[Message]:
        said = {"account": command.account, "op": "repeat", "id": command.command_id.hex()}
        return [Message(self.events_topic, command.account.encode(), json.dumps(said).encode())]


def letter_of(letter: DeadLetter) -> Message:
    record = letter.record
    said = {"offset": record.offset, "key": (record.key or b"").decode(), "value": (record.value or b"").decode()}
    return Message("letters", None, json.dumps(said).encode())


class Book:
    """The model of one account."""

    def __init__(self) -> None:
        self.balance = self.version = self.now_ms = 0
        self.armed: set[tuple[str, int]] = set()


class Model:
    """What the committed events must be."""

    def __init__(self) -> None:
        self.books = {name: Book() for name in NAMES}
        self.done: set[str] = set()
        self.owed: dict[str, tuple[str, int]] = {}
        """Payments that were taken from somebody: by "account version", to whom and how much."""
        self.paid: dict[tuple[str, str], int] = {}
        """The last payment that came from one to the other: its version at who pays."""
        self.letters: set[tuple[int, str, str]] = set()

    def take(self, event: dict[str, Any], now_ms: int) -> None:
        if event["op"] == "repeat":
            assert event["id"] in self.done, "answered again, and never decided"
            return
        book = self.books[event["account"]]
        if event["id"]:
            assert event["id"] not in self.done, f"decided twice: {event}"
            self.done.add(event["id"])
        if event["by"]:
            assert self.owed.pop(event["by"]) == (event["account"], event["n"])
            payer, version = event["by"].split()
            assert self.paid.get((payer, event["account"]), 0) < int(version), f"overtaken: {event}"
            self.paid[payer, event["account"]] = int(version)
        match event["op"]:
            case "add":
                book.balance += event["n"]
            case "deposit":
                book.balance += book.balance + 1
            case "pay":
                book.balance -= event["n"]
                self.owed[f"{event['account']} {event['version']}"] = (event["to"], event["n"])
            case "arm" | "arm_poison":
                book.armed.add(("poison" if "poison" in event["op"] else "alarm", event["n"]))
            case "fired":
                assert ("alarm", event["n"]) in book.armed, f"fired twice, or overtaken: {event}"
                assert event["n"] <= event["now_ms"], f"fired too early: {event}"
                book.armed.clear()
            case "disarm":
                book.armed.clear()
        book.version += 1
        assert (event["version"], event["balance"]) == (book.version, book.balance), event
        assert book.now_ms <= event["now_ms"] <= now_ms + AHEAD_MS
        book.now_ms = event["now_ms"]

    def set_aside(self, letter: dict[str, Any]) -> None:
        named = (letter["offset"], letter["key"], letter["value"])
        assert named not in self.letters, f"set aside twice: {named}"
        self.letters.add(named)
        if letter["offset"] >= 0 and letter["value"].startswith("{") and '"by"' in letter["value"]:
            self.owed.pop(json.loads(letter["value"])["by"], None)


class AnyCourse(RuleBasedStateMachine):
    """One partition, and the workers that hold it one after the other."""

    machine_store: ClassVar[type[PartitionStore]] = PartitionStore

    @initialize(written=st.sampled_from(READ))
    def begin(self, written: int) -> None:
        self.written = written
        self.now_ms, self.count = NOW_MS, 0
        self.log: list[Record] = []
        self.sent: dict[str, list[Record]] = {name: [] for name in NAMES}
        self.offset = 0
        self.state: dict[str, bytes] = {}
        self.model = Model()
        self._restart()

    def _restart(self) -> None:
        self.store = self.machine_store(Told(), 0)
        for name, raw in self.state.items():
            self.store.restored(name, raw)
        self.store.set_timers()
        self.at = Positions()
        self.at.took_over(PLACE, self.offset, len(self.log))

    def _append(self, key: bytes | None, body: bytes | None, stamp_ms: int) -> Record:
        self.log.append(Record(*PLACE, len(self.log), stamp_ms, key, body))
        return self.log[-1]

    @rule(who=st.sampled_from(NAMES), op=st.sampled_from(("add", "add", "deposit", "disarm", *SPOILT)),
          n=st.integers(1, 9), ahead_ms=st.sampled_from((0, 0, 900, 4_000)))  # fmt: skip
    def send(self, who: str, op: str, n: int, ahead_ms: int) -> None:
        self._send(who, op, n, ahead_ms)

    @rule(who=st.sampled_from(NAMES), to=st.sampled_from(NAMES), n=st.integers(1, 9),
          then=st.sampled_from(("add", "add", "deposit", *SPOILT)))  # fmt: skip
    def pay(self, who: str, to: str, n: int, then: str) -> None:
        self._send(who, "pay", n, to=to, then=then)

    @rule(who=st.sampled_from(NAMES), after_ms=st.integers(1, 50), kind=st.sampled_from(("arm", "arm", "arm_poison")))
    def arm(self, who: str, after_ms: int, kind: str) -> None:
        self._send(who, kind, self.now_ms + after_ms * 1_000 + self.count)

    def _send(self, who: str, op: str, n: int, ahead_ms: int = 0, **more: str) -> None:
        if len(self.sent[who]) < _MOST:
            self.count += 1
            body = value(who, f"command {self.count}", op, n, **more)
            self.sent[who].append(self._append(who.encode(), body, self.now_ms + ahead_ms))

    @rule(who=st.sampled_from(NAMES), back=st.integers(1, 8))
    def send_again(self, who: str, back: int) -> None:
        for record in self.sent[who][-back:][:1]:
            self._append(record.key, record.value, self.now_ms)

    @rule(body=st.sampled_from((None, b"", b"{", b"[]", b"{}")))
    def send_what_nobody_can_read(self, body: bytes | None) -> None:
        self._append(b"a", body, self.now_ms)

    @rule(ahead_ms=st.integers(AHEAD_MS + 1, 20_000))
    def send_from_a_clock_far_ahead(self, ahead_ms: int) -> None:
        self._append(b"a", value("a", f"hasty {len(self.log)}"), self.now_ms + ahead_ms)

    @rule(seconds=st.integers(1, 40))
    def time_passes(self, seconds: int) -> None:
        self.now_ms += seconds * 1_000

    @rule(most=st.integers(0, 7), fate=st.sampled_from(FATES), answers=st.sampled_from((True, True, True, False)))
    def work(self, most: int, fate: str, answers: bool) -> None:
        records, rest = self.log[self.offset : self.offset + most], self.log[self.offset + most :]
        until_ms = min([self.now_ms, *(record.timestamp_ms for record in rest)])
        due = self.store.take_due(until_ms, 4)
        offsets = self.at.offsets(records, [(self.store, due)])
        reach = Reach(["commands"], 1, [self.store] if self.at.has_read_all(PLACE, offsets) else [])
        batch = Batch(rates if answers else _nobody, letter_of, self.now_ms, self.written, reach)
        batch.prepare(records, {PLACE: self.store}, {})
        for name, deadline in due:
            batch.add_timer(self.store, name, deadline)
        try:
            batch.look_up()
            messages = batch.decide()
        except Aborted:
            assert not answers
            fate = "aborted"
        if fate.startswith("committed"):
            self._committed(batch, messages, offsets[PLACE])
        if fate == "committed":
            for written in batch.written:
                written.store.put(written.aggregate_id, written.raw, written.live)
            self.at.committed(offsets, {PLACE: len(self.log)} if batch.detours else {})
        elif fate == "aborted":
            self.store.put_back(due)
        else:
            self._restart()

    def _committed(self, batch: Batch, messages: list[Message], offset: int) -> None:
        """All of it at once, as the log has it."""
        self.offset = offset
        for message in messages:
            match message.topic:
                case "events":
                    self.model.take(json.loads(message.value or b""), self.now_ms)
                case "letters":
                    self.model.set_aside(json.loads(message.value or b""))
                case "state":
                    self.state[(message.key or b"").decode()] = message.value or b""
        for detour in batch.detours:
            self._append(detour.key, detour.value, self.now_ms)

    @rule()
    def the_worker_is_replaced(self) -> None:
        self._restart()

    @invariant()
    def what_would_be_restored_is_what_is_held(self) -> None:
        there = PartitionStore(Told(), 0)
        for name, raw in self.state.items():
            there.restored(name, raw)
        for name in NAMES:
            held, kept = self.store.get(name), there.get(name)
            aside = held.set_aside if self.written > 1 else ()
            assert (held.state, held.now_ms, held.recent, held.deadlines, aside) == (
                kept.state, kept.now_ms, kept.recent, kept.deadlines, kept.set_aside), name  # fmt: skip
            book = self.model.books[name]
            assert (held.state.balance, held.state.version) == (book.balance, book.version)

    def teardown(self) -> None:
        """Faults stop, time passes, and everything must have ended."""
        if not hasattr(self, "log"):
            return
        self.now_ms += 120_000
        for _ in range(40):
            if self.offset == len(self.log) and self.store.next_due_ms(self.now_ms) is None:
                break
            self.work(7, "committed", True)
        assert self.offset == len(self.log)
        aside = {offset for offset, _, _ in self.model.letters}
        for record in self.log:
            told = command_id(_name(record)).hex() in self.model.done
            assert told or record.offset in aside, f"no outcome: {record}"
        assert self.model.owed == {}
        for name, book in self.model.books.items():
            assert not [at_ms for kind, at_ms in book.armed if kind == "alarm" and at_ms <= self.now_ms], name


def _name(record: Record) -> str:
    try:
        return str(json.loads(record.value or b"")["name"])
    except (ValueError, TypeError, KeyError):
        return ""


def _nobody(_needs: Any) -> Any:
    raise ConnectionError("nobody answers")


SHORT = settings(
    max_examples=120, stateful_step_count=30, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck), print_blob=False,
)  # fmt: skip


def test_whatever_course_it_takes_each_command_has_one_outcome_and_nothing_is_lost() -> None:
    run_state_machine_as_test(AnyCourse, settings=SHORT)


class _PutsNothingBack(PartitionStore):
    def put_back(self, _due: Any) -> None:
        """A timer whose transaction was aborted is lost."""


class _SetsNoTimers(PartitionStore):
    def set_timers(self) -> None:
        """What was armed before a restart is forgotten."""


@pytest.fixture
def planted(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type[AnyCourse]:
    course: type[AnyCourse] = type("Planted", (AnyCourse,), {})
    match request.param:
        case "a command is not remembered":
            monkeypatch.setattr(Live, "remembers", lambda _live, _command_id: None)
        case "a state is merged before the commit":
            held = Batch.decide

            def decide(batch: Batch) -> list[Message]:
                messages = held(batch)
                for written in batch.written:
                    written.store.put(written.aggregate_id, written.raw, written.live)
                return messages

            monkeypatch.setattr(Batch, "decide", decide)
        case "an aborted timer is not put back":
            course.machine_store = _PutsNothingBack
        case "timers are not restored":
            course.machine_store = _SetsNoTimers
        case "the clock of an aggregate runs backwards":
            monkeypatch.setattr(Batch, "_now", lambda batch, _live, work: work.record.timestamp_ms if work.record
                                else batch._wall_ms)  # fmt: skip
        case "a detour is overtaken":
            monkeypatch.setattr(Positions, "has_read_all", lambda *_: True)
    return course


@pytest.mark.parametrize(
    "planted",
    ["a command is not remembered", "a state is merged before the commit", "an aborted timer is not put back",
     "timers are not restored", "the clock of an aggregate runs backwards", "a detour is overtaken"],
    indirect=True,
)  # fmt: skip
def test_a_planted_fault_is_found(planted: type[AnyCourse]) -> None:
    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            planted, settings=settings(SHORT, max_examples=400, phases=[Phase.generate], report_multiple_bugs=False)
        )
