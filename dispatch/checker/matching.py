"""Two sides of the log beside each other: what must follow and what is there, whichever of the two is read first."""

from collections import deque
from collections.abc import Hashable, Iterator

from dispatch.checker.report import Place


class Once:
    """Things that must be there exactly once, in any order."""

    def __init__(self) -> None:
        self.missing: dict[Hashable, Place] = {}
        """Wanted and not seen, with what wants it."""
        self.extra: dict[Hashable, Place] = {}
        """Seen and not wanted, or once more than that."""

    def want(self, key: Hashable, place: Place) -> None:
        """Something at this place wants it."""
        if self.extra.pop(key, None) is None:
            self.missing[key] = place

    def saw(self, key: Hashable, place: Place) -> None:
        """It is here."""
        if self.missing.pop(key, None) is None:
            self.extra[key] = place


class Sent:
    """What one aggregate commands another, in the order of its events, beside what the other decided, in its order."""

    __slots__ = ("decided", "expected")

    def __init__(self) -> None:
        self.expected: deque[tuple[str, Place]] = deque()
        self.decided: deque[tuple[str, Place]] = deque()

    def settle(self) -> None:
        """Takes off both sides what agrees."""
        while self.expected and self.decided and self.expected[0][0] == self.decided[0][0]:
            self.expected.popleft()
            self.decided.popleft()


class Messages:
    """The commands between aggregates, by sender and receiver."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str], Sent] = {}

    def expect(self, pair: tuple[str, str], command_id: str, place: Place) -> None:
        """An event of the sender commands the receiver."""
        sent = self._pairs.setdefault(pair, Sent())
        sent.expected.append((command_id, place))
        self._settle(pair, sent)

    def decided(self, pair: tuple[str, str], command_id: str, place: Place) -> None:
        """The receiver decided a command of the sender."""
        sent = self._pairs.setdefault(pair, Sent())
        sent.decided.append((command_id, place))
        self._settle(pair, sent)

    def faults(self, set_aside: frozenset[str], *, quiescent: bool) -> Iterator[tuple[int, Place, str]]:
        """Rule, place and sentence of each command that was overtaken, came from nowhere or, in the end, never came."""
        for (sender, receiver), sent in self._pairs.items():
            waiting = {command_id: place for command_id, place in sent.expected if command_id not in set_aside}
            for command_id, place in sent.decided:
                if command_id in set_aside:
                    continue
                if command_id not in waiting:
                    yield 12, place, f"{receiver} decides {command_id}, which no event of {sender} caused"
                    continue
                first = next(iter(waiting))
                if first != command_id:
                    yield 12, place, f"{receiver} decides {command_id} of {sender} before {first}, which was sent first"
                del waiting[command_id]
            if quiescent:
                for command_id, place in waiting.items():
                    yield 10, place, f"{sender} sent {command_id} to {receiver}, who never decided it"

    def _settle(self, pair: tuple[str, str], sent: Sent) -> None:
        sent.settle()
        if not sent.expected and not sent.decided:
            del self._pairs[pair]
