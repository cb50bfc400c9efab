"""`make test`: pytest with branch coverage, the coverage promised held, pytest's closing line printed last."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[1]
CORE = "dispatch/core"
AT_ONCE = ("-n", "3", "--dist", "loadfile", "--max-worker-restart", "0")
"""The whole in three processes, each with servers of its own: most of the time a test waits. One that crashes is not
begun again: with `loadfile`, xdist 3.8 then waits for ever (pytest-dev/pytest-xdist#1378)."""

AT_MOST_S = float(os.environ.get("BATON_TESTS_AT_MOST_S", "2700"))
"""A test that hangs ends by itself (pyproject.toml); this is for what hangs between tests or after them."""


@dataclass(frozen=True, slots=True)
class Promise:
    """What a part of the code is held to, in percent."""

    part: str
    both: float
    """Of lines and branches together."""
    branches: float
    """Of branches alone; 0: printed only."""


PROMISED = (Promise(CORE, 95, 95), Promise("the rest", 85, 0))


def main(arguments: list[str]) -> int:
    """Exit code: pytest's, or 1 when coverage is below what is promised; a run of some tests promises nothing."""
    command = [sys.executable, "-m", "pytest", "--cov", "--cov-report=", *(arguments or AT_ONCE)]
    with tempfile.TemporaryDirectory(prefix="baton-coverage-") as folder:
        data = Path(folder) / ".coverage"  # of this run alone: another one in the same tree does not mix with it
        code, closing = _tests(command, os.environ | {"COVERAGE_FILE": str(data)})
        files = _files(data)
    below = _below(files) if files else ["no coverage data"]
    if below and not arguments:
        print(f"Coverage below what is promised: {', '.join(below)}")
        code = code or 1
    print(closing)
    return code


def _tests(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Pytest's exit code and closing line; what pytest leaves running does not keep this run open."""
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment)
    closing = [""]

    def read() -> None:
        for line in running.stdout or ():
            print(line, end="", flush=True)
            if line.startswith("=") and (" passed" in line or " failed" in line or " error" in line):
                closing.append(line.strip())

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        code = running.wait(AT_MOST_S)
    except subprocess.TimeoutExpired:
        print(f"Not finished after {AT_MOST_S / 60:g} minutes. Where it hangs:", flush=True)
        _end(psutil.Process(running.pid))
        code = 1
    reader.join(10)
    return code, closing[-1]


def _end(pytest: psutil.Process) -> None:
    """Has pytest and its workers say where each of their threads is (tests/conftest.py); ends them and theirs."""
    every = [pytest, *pytest.children(recursive=True)]
    for one in (pytest, *pytest.children()):
        one.send_signal(signal.SIGUSR1)
        time.sleep(1)  # one after another, to be read
    psutil.wait_procs(every, timeout=5)
    for one in every:
        if one.is_running():
            one.kill()


def _files(data: Path) -> dict[str, Any]:
    """What was measured, by file; the data is left in the tree for `coverage html`."""
    report = data.with_suffix(".json")
    command = [sys.executable, "-m", "coverage", "json", "-q", f"--data-file={data}", "-o", str(report)]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:
        return {}
    shutil.copyfile(data, ROOT / ".coverage")
    files: dict[str, Any] = json.loads(report.read_text())["files"]
    return files


def _below(files: dict[str, Any]) -> list[str]:
    """Prints the share of lines and branches taken, by part; names those below the promise."""
    below = []
    for promise in PROMISED:
        inside = [
            file["summary"] for name, file in files.items() if name.startswith(f"{CORE}/") == (promise.part == CORE)
        ]
        lines, lines_of = (sum(one[key] for one in inside) for key in ("covered_lines", "num_statements"))
        taken, branches = (sum(one[key] for one in inside) for key in ("covered_branches", "num_branches"))
        both = 100 * (lines + taken) / max(lines_of + branches, 1)
        alone = 100 * taken / max(branches, 1)
        print(
            f"Coverage of {promise.part}: {both:.1f}% of lines and branches ({promise.both:.0f}% promised), "
            f"{alone:.1f}% of branches alone" + (f" ({promise.branches:.0f}% promised)" if promise.branches else "")
        )
        if both < promise.both or alone < promise.branches:
            below.append(promise.part)
    return below


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
