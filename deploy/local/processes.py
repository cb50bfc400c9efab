"""Processes of one machine: tied to their parent, ended for certain, told from others that got their number."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from deploy.local.errors import StartFailed

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
"""Loaded before any fork: between fork and exec nothing may take a lock that another thread held."""
_KILLED_S = 5.0


@dataclass(frozen=True, slots=True)
class Noted:
    """A process as it is written down. The start time tells it from another that has its number by now."""

    name: str
    pid: int
    started: float
    stop: int


def die_with_parent(signal_number: int = signal.SIGTERM) -> None:
    """In a child, before exec: the kernel signals it when the thread that made it ends (Linux; else `end_noted`)."""
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal_number)


def yield_to_others(nice: int) -> None:
    """In a child, before exec. Where Linux shares out by sessions (autogroup), the niceness of its session counts."""
    if nice:
        os.nice(nice)
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(nice))


def end(process: "subprocess.Popen[bytes]", within_s: float, asked_by: int = signal.SIGTERM) -> None:
    """Asks it to end, then SIGKILL to the whole session."""
    if process.poll() is not None:
        return
    process.send_signal(asked_by)
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def process_is(pid: int, started: float) -> bool:
    """Whether a process still runs and is the one that was noted, and not another with its number."""
    try:
        process = psutil.Process(pid)
        return bool(abs(process.create_time() - started) < 1 and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def end_noted(noted: Sequence[Noted], within_s: float) -> None:
    """Ends processes that are not our children: asks, then SIGKILL to their sessions. Raises StartFailed."""
    for one in noted:
        _signal(one, one.stop)
    if _gone(noted, within_s):
        return
    for one in noted:
        _signal(one, signal.SIGKILL)
    if not _gone(noted, _KILLED_S):
        names = ", ".join(f"{one.name} (pid {one.pid})" for one in noted if process_is(one.pid, one.started))
        raise StartFailed(f"an earlier stack left {names} running, and it could not be ended")


def _signal(one: Noted, number: int) -> None:
    """To it alone, or, for SIGKILL, to all of its session, which it leads."""
    if process_is(one.pid, one.started):
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if number == signal.SIGKILL else os.kill)(one.pid, number)


def _gone(noted: Sequence[Noted], within_s: float) -> bool:
    until = time.monotonic() + within_s
    while any(process_is(one.pid, one.started) for one in noted):
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True
