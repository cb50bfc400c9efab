"""Virtual time: what happens next, and tasks that can be suspended in the midst of a call. No real clock is read."""

import heapq
from collections.abc import Callable
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

SECOND_US = 1_000_000
MS_US = 1_000


class Loop:
    """Calls in the order of their time; those of one time in the order in which they were asked for."""

    def __init__(self) -> None:
        self.now_us = 0
        self._queue: list[tuple[int, int, Callable[..., object], tuple[Any, ...]]] = []
        self._asked = self._until_us = 0

    @property
    def now_ms(self) -> int:
        """Milliseconds since the beginning."""
        return self.now_us // MS_US

    def after(self, wait_us: int, call: Callable[..., object], *arguments: Any) -> None:
        """Calls when so much time has passed."""
        self._asked += 1
        heapq.heappush(self._queue, (self.now_us + max(0, wait_us), self._asked, call, arguments))

    def pass_by(self, wait_us: int) -> bool:
        """Lets so much time pass at once if nothing happens in it; False: something does."""
        then_us = self.now_us + wait_us
        if then_us > self._until_us or (self._queue and self._queue[0][0] <= then_us):
            return False
        self.now_us = then_us
        return True

    def run(self, until_us: int) -> None:
        """Lets time pass up to this moment."""
        queue, self._until_us = self._queue, until_us
        while queue and queue[0][0] <= until_us:
            self.now_us, _, call, arguments = heapq.heappop(queue)
            call(*arguments)
        self.now_us = max(self.now_us, until_us)


class Task:
    """A run of ordinary code that stands still whenever it waits. To be made and resumed by the loop's own greenlet."""

    def __init__(self, loop: Loop, run: Callable[[], None]) -> None:
        self._loop = loop
        self._greenlet = greenlet(run, getcurrent())
        self._hub = getcurrent()
        self._turn = 0
        self._waits = False
        self.frozen_until_us = 0
        """Whatever it waits for, it goes on no earlier."""

    @property
    def is_over(self) -> bool:
        """Whether it returned, raised or was killed."""
        return bool(self._greenlet.dead)

    def start(self) -> None:
        """Begins, at once."""
        self._greenlet.switch()

    def sleep(self, wait_us: int) -> None:
        """Called from within: goes on when so much time has passed, and not while it is frozen."""
        if self.frozen_until_us <= self._loop.now_us and self._loop.pass_by(wait_us):
            return
        self._turn += 1
        self._loop.after(wait_us, self._resume, self._turn)
        self._hub.switch()

    def wait(self, wait_us: int) -> None:
        """The same, or as soon as it is woken."""
        self._waits = True
        self.sleep(wait_us)
        self._waits = False

    def wake(self, wait_us: int) -> None:
        """From outside: what waits goes on after so much time."""
        if self._waits:
            self._loop.after(wait_us, self._resume, self._turn)

    def kill(self) -> None:
        """From outside: ends where it stands."""
        if not self._greenlet.dead:
            self._turn += 1
            self._greenlet.throw(GreenletExit)

    def _resume(self, turn: int) -> None:
        if turn != self._turn or self._greenlet.dead:
            return
        if self._loop.now_us < self.frozen_until_us:
            self._loop.after(self.frozen_until_us - self._loop.now_us, self._resume, turn)
            return
        self._turn += 1
        self._greenlet.switch()
