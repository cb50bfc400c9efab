"""The port between the host and an application: what the host asks of it, and what passes between them."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

S = TypeVar("S")


class Record(NamedTuple):
    """A consumed record. Times are UTC milliseconds, from the record's CreateTime."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None


class Message(NamedTuple):
    """A record to be produced in the transaction. Without a partition the key decides (murmur2, as in Java)."""

    topic: str
    key: bytes | None
    value: bytes | None
    partition: int | None = None


class Deadline(NamedTuple):
    """A moment at which a timer command must come."""

    kind: str
    at_ms: int
    ref: str = ""


@dataclass(frozen=True, slots=True)
class Context:
    """Circumstances of one step. `now_ms` never runs backwards within an aggregate; `wall_ms` is never before it."""

    now_ms: int
    wall_ms: int
    raw: bytes
    """The command as consumed; empty for a timer."""


@dataclass(frozen=True, slots=True)
class Step(Generic[S]):
    """What one command led to."""

    state: S | None
    """The next state; None: forget the aggregate (a tombstone is written)."""
    messages: list[Message]
    deadlines: tuple[Deadline, ...]
    """All deadlines of the aggregate from now on."""
    outcome: bytes
    """Remembered with the command's id, for its repeat; empty: not remembered."""


class DeadLetter(NamedTuple):
    """A record that was set aside, and why."""

    record: Record
    error: str
    reason: str
    place: str
    at_ms: int = 0
    """When it was, UTC ms."""


class Aggregate(Protocol):
    """One kind of aggregate. States and commands are opaque to the host."""

    commands_topic: str
    state_topic: str

    def decode(self, record: Record) -> Any:
        """The command. Raises BadRecord."""

    def identity(self, command: Any) -> tuple[str, bytes]:
        """The aggregate's id, which is the record's key, and the command's id, 16 bytes."""

    def initial(self, aggregate_id: str) -> Any:
        """The state before anything happened."""

    def needs(self, state: Any, command: Any, now_ms: int) -> Hashable | None:
        """The fact that the step wants from outside; None: nothing."""

    def timer_command(self, aggregate_id: str, deadline: Deadline) -> Any:
        """The command of a deadline that has come; its id follows from the deadline."""

    def step(self, state: Any, command: Any, fact: Any, context: Context) -> Step[Any]:
        """Decides and folds. What it raises makes the record poison."""

    def repeat(self, command: Any, outcome: bytes) -> list[Message]:
        """A command seen before: the answer again."""

    def dump(self, state: Any) -> bytes:
        """The state's bytes."""

    def load(self, aggregate_id: str, data: bytes) -> Any:
        """The state in these bytes."""


class Transform(Protocol):
    """A topic whose records become others, one by one, with no state."""

    topic: str

    def transform(self, record: Record) -> list[Message]:
        """What the record becomes. Raises BadRecord."""


Lookup = Callable[[Sequence[Any]], Sequence[Any]]
"""All facts of a batch in one round trip, in the order of the needs."""

DeadLetterFormat = Callable[[DeadLetter], Message]
Probe = Callable[[str], None]
"""Called with the name of each step of the loop; tests die there."""
