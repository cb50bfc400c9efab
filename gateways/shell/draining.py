"""A calm end: /ready says so first, then nobody new is let in, what runs is ended, and sockets are told to go."""

import time
from collections.abc import Callable


class Drain:
    """Whether this gateway is about to end, and who is to be told."""

    def __init__(self, pause_s: float) -> None:
        self._pause_s = pause_s
        self._since: float | None = None
        self._told: list[Callable[[], None]] = []

    @property
    def begun(self) -> bool:
        """Whether it was asked to end."""
        return self._since is not None

    @property
    def over(self) -> bool:
        """Whether whoever balances the load had its time to see /ready at 503."""
        return self._since is not None and time.monotonic() - self._since >= self._pause_s

    def on_begin(self, told: Callable[[], None]) -> None:
        """Asks to be told, on the event loop, when it begins: the moment to say 1012 to sockets."""
        self._told.append(told)

    def begin(self) -> None:
        """From here on /ready is 503, and every answer closes its connection."""
        if self._since is None:
            self._since = time.monotonic()
            for told in self._told:
                told()
