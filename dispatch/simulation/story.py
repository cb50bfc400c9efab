"""What happened, in the order of virtual time."""

from collections.abc import Callable
from typing import NamedTuple

from dispatch.simulation.loop import MS_US, Loop


class Line(NamedTuple):
    """One thing that somebody did or that happened to them."""

    at_us: int
    who: str
    what: str | Callable[[], str]
    """Words, or who finds them when they are wanted."""


class Story:
    """Gathers lines."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self.lines: list[Line] = []

    def tell(self, who: str, what: str | Callable[[], str]) -> None:
        """One more line, now."""
        self.lines.append(Line(self._loop.now_us, who, what))

    def text(self) -> str:
        """All of it, a line each: seconds, who, what."""
        return "\n".join(
            f"{at_us / MS_US / 1000:10.3f}  {who:<14} {what if isinstance(what, str) else what()}"
            for at_us, who, what in self.lines
        )
