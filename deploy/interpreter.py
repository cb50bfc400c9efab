"""Which Python the environment is made with: `python3`, or one of the same version on this machine that is faster.

Distributions build Python with profile-guided optimisation. A version manager that compiles it leaves that out unless
told, and then all of Baton's Python takes a quarter longer, which is two thirds of what Baton takes of a machine
(docs/decisions/0031). How a Python was built cannot be asked of every one; so they run the same small loop, in turns.

`make setup` runs this by its path before anything is installed, so it has the standard library alone. The path goes to
standard output, the reason to standard error; exit code 2 with one sentence when BATON_PYTHON names none that fits.
"""

import math
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

VARIABLE = "BATON_PYTHON"
"""The environment's variable that names the Python to take, whatever its speed."""
OLDEST = (3, 11)
FASTER = 1.1
"""So many times as fast as `python3` another one is taken; two runs of one differ by less."""
_ROUNDS = 5
_BESIDE_PATH = ("/usr/local/bin", "/usr/bin")
_LIMIT_S = 20
_ABOUT = """
import bz2, ctypes, lzma, sqlite3, ssl, sys, zlib
print(*sys.version_info[:2], sys.implementation.name)
"""
"""Version and kind, of one that has what our libraries want of the standard library."""
_LOOP = """
import time
class Point:
    __slots__ = ("x", "y")
    def __init__(self, x, y):
        self.x, self.y = x, y
    def at(self, factor):
        return self.x * factor + self.y
def loop():
    known = {}
    for number in range(40_000):
        known[number % 997] = Point(number, number + 1).at(3)
        if (number, str(number))[0] % 7 == 0:
            known["k%d" % (number % 50)] = [point for point in range(5)]
loop()
began = time.perf_counter()
loop()
print(time.perf_counter() - began)
"""


def main() -> int:
    """Prints the path."""
    named = os.environ.get(VARIABLE, "")
    if named:
        found = about(named)
        if found is None or found[0] != "cpython" or found[1] < OLDEST:
            print(f"{VARIABLE}: {named} is no CPython {'.'.join(map(str, OLDEST))} or newer", file=sys.stderr)
            return 2
        print(named)
        return 0
    ours = sys.executable
    seconds = least_s((ours, *alike(os.environ.get("PATH", "").split(os.pathsep))))
    best = min(seconds, key=lambda path: seconds[path])
    if seconds[best] * FASTER > seconds[ours]:
        best = ours
    if best != ours:
        times = seconds[ours] / seconds[best]
        print(f"Python: {best}, {times:.2f} times as fast as {ours} ({VARIABLE} names another)", file=sys.stderr)
    print(best)
    return 0


def alike(folders: Iterable[str]) -> Iterator[str]:
    """Paths of other Pythons in these folders and the usual ones, of this one's version and kind. Each once."""
    wanted = (sys.implementation.name, (sys.version_info.major, sys.version_info.minor))
    seen = {Path(sys.executable).resolve()}
    for folder in dict.fromkeys((*folders, *_BESIDE_PATH)):
        for name in ("python3", "python{}.{}".format(*wanted[1])):
            path = Path(folder) / name
            if not os.access(path, os.X_OK) or path.resolve() in seen:
                continue
            seen.add(path.resolve())
            if about(str(path)) == wanted:
                yield str(path)


def about(path: str) -> tuple[str, tuple[int, int]] | None:
    """Kind and version; None: it does not run, or lacks a part of the standard library."""
    said = _run(path, _ABOUT).split()
    return (said[2], (int(said[0]), int(said[1]))) if len(said) == 3 else None


def least_s(paths: Sequence[str]) -> dict[str, float]:
    """Seconds of the loop by path, the least of some rounds in turns; infinite for one that does not run it."""
    found = dict.fromkeys(paths, math.inf)
    for _ in range(_ROUNDS if len(paths) > 1 else 0):
        for path in paths:
            found[path] = min(found[path], float(_run(path, _LOOP) or "inf"))
    return found


def _run(path: str, code: str) -> str:
    """What it prints; nothing when it fails. Away from what users have installed and set for Python."""
    try:
        ran = subprocess.run(
            [path, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ran.stdout if ran.returncode == 0 else ""


if __name__ == "__main__":
    sys.exit(main())
