"""`baton` as somebody at a terminal runs it: a process, its words, its exit code."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

BATON = Path(sys.executable).with_name("baton")


@dataclass(frozen=True, slots=True)
class Said:
    """What came of a command."""

    code: int
    out: str
    error: str


def environment(**more: str) -> dict[str, str]:
    """That of the tests without any setting of Baton, at a terminal of 80 columns."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("BATON_")}
    return {**bare, "COLUMNS": "80", "NO_COLOR": "1", **more}


def baton(folder: Path, *arguments: str, within_s: float = 60, **more: str) -> Said:
    """Runs it in a folder, to its end. Of a whole stack no lines are counted: it is slow enough."""
    surroundings = environment(**more)
    if arguments[:1] in (("up",), ("demo",)):
        surroundings = {name: value for name, value in surroundings.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [str(BATON), *arguments],
        cwd=folder,
        env=surroundings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=within_s,
        check=False,
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())
