"""A worker whose client hangs inside a transaction ends its process, and only then."""

import subprocess
import sys
import threading
from typing import Any

from dispatch.processors.service import HANGS_AFTER_S, watch


class Open:
    """A worker whose transaction has been open for so long at each look; then the test is over."""

    def __init__(self, stop: threading.Event, *open_for_s: float) -> None:
        self._stop, self._open_for_s = stop, list(open_for_s)

    def open_for_s(self) -> float:
        if len(self._open_for_s) == 1:
            self._stop.set()
        return self._open_for_s.pop(0)


def times_hung(*open_for_s: float) -> int:
    stop, hung = threading.Event(), list[bool]()
    worker: Any = Open(stop, *open_for_s)
    watch(worker, stop, lambda: hung.append(True))
    return len(hung)


def test_one_that_hangs_is_told_once() -> None:
    assert times_hung(0, HANGS_AFTER_S + 0.1) == 1


def test_one_that_is_slow_is_left_alone() -> None:
    assert times_hung(HANGS_AFTER_S - 0.1, 0) == 0


def test_the_process_ends_at_once_with_the_code_that_asks_for_a_restart() -> None:
    code = (
        "from dispatch.processors.service import end_process; import atexit; atexit.register(print, 'x'); end_process()"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (75, "")
