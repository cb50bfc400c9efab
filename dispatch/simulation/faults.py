"""What can go wrong, where, and for how long. A fault is a line of a plan, so that a failure can be had with fewer."""

from random import Random
from typing import NamedTuple

STEPS = (
    "polled", "looked_up", "begun", "decided", "produced", "flushed", "offsets_sent", "committed", "merged",
    "poll", "lookup", "init", "flush", "offsets", "commit", "abort", "watermarks", "committed_offsets", "list_topics",
    "rejoin",
)  # fmt: skip
"""Where a process can die or freeze: the host's probe, and the calls of its clients."""
_REQUESTS = ("commit", "commit", "commit", "offsets", "abort", "init")


class Fault(NamedTuple):
    """From `at_ms` on: at once, or with a step when a process of the slot comes to it next."""

    kind: str
    at_ms: int
    slot: int = 0
    step: str = ""
    ms: int = 0
    number: int = 0

    def __str__(self) -> str:
        where = f" at {self.step}" if self.step else ""
        return f"{self.kind}{where}" + (f" for {self.ms} ms" if self.ms else "")


KINDS = (
    "crash", "freeze", "twin", "lost_request", "lost_answer", "late_request", "refused", "cut", "outage", "leave",
    "join", "clock", "stall", "slow_marks", "index_down", "index_loses", "index_wiped", "lookup_fails", "noise",
    "compacted", "new_policy", "torn_abort", "never_joins",
)  # fmt: skip
NEVER_JOINS = "never_joins"
"""A client that waits for good to join its group again (docs/decisions/0037). It is drawn by itself: it came last, and
what a seed stood for before is to be found again."""

WITH_TORN_ABORT = (
    "refused", "stall", "slow_marks", "clock", "lookup_fails", "index_down", "index_loses", "noise", "new_policy",
    "torn_abort",
)  # fmt: skip
"""What else may happen in a run in which an abort is torn: nothing that ends a process, for one that dies before it has
swept leaves what nobody sweeps. That is known and not promised (docs/decisions/0003)."""


def draw(kind: str, chance: Random, slots: int, until_ms: int) -> Fault:
    """One fault of a kind."""
    at_ms, slot = chance.randrange(until_ms), chance.randrange(slots)
    short_ms, long_ms = chance.randrange(50, 3_000), chance.randrange(3_000, 20_000)
    match kind:
        case "crash":
            return Fault(kind, at_ms, slot, chance.choice(STEPS), chance.choice((200, short_ms, long_ms)))
        case "freeze" | "twin":
            return Fault(kind, at_ms, slot, chance.choice(STEPS), chance.choice((short_ms, long_ms)))
        case "lost_request" | "lost_answer" | "late_request":
            return Fault(kind, at_ms, slot, chance.choice(_REQUESTS), chance.randrange(1, 14_000))
        case "refused":
            return Fault(kind, at_ms, slot, chance.choice(("begin", "flush", "offsets", "commit")))
        case "torn_abort":
            return Fault(kind, at_ms, slot, "abort", number=chance.randrange(2))
        case "never_joins":
            return Fault(kind, at_ms, slot, "join_again")
        case "lookup_fails":
            return Fault(kind, at_ms, slot, "lookup")
        case "clock":
            return Fault(kind, at_ms, slot, ms=chance.randrange(-2_000, 2_001))
        case "stall":
            return Fault(kind, at_ms, slot, ms=chance.choice((short_ms, long_ms)), number=chance.randrange(3))
        case "slow_marks":
            return Fault(kind, at_ms, slot, ms=chance.randrange(20, 3_000))
        case "index_loses" | "index_wiped" | "noise" | "new_policy" | "compacted":
            return Fault(kind, at_ms, number=chance.randrange(1_000))
    return Fault(kind, at_ms, slot, ms=chance.choice((short_ms, long_ms)))
