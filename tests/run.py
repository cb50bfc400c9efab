"""`make test`: pytest with branch coverage, the coverage promised held, pytest's closing line printed last."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROMISED = {"dispatch/core": 95.0, "the rest": 85.0}
HELD = ("dispatch/core",)
"""Parts whose promise fails the run; the rest is printed, and not reached yet where only whole processes run it."""


def main(arguments: list[str]) -> int:
    """Exit code: pytest's, or 1 when coverage is below what is promised."""
    command = [sys.executable, "-m", "pytest", "--cov", "--cov-report=", *arguments]
    closing = ""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        for line in running.stdout or ():
            print(line, end="", flush=True)
            if line.startswith("=") and (" passed" in line or " failed" in line or " error" in line):
                closing = line.strip()
    code = running.returncode
    below = _coverage()
    if below and not arguments:
        print(f"Branch coverage below what is promised: {', '.join(below)}")
        code = code or 1
    print(closing)
    return code


def _coverage() -> list[str]:
    """Prints the share of statements and branches taken, in two parts; names those below the promise."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "coverage.json"
        made = subprocess.run(
            [sys.executable, "-m", "coverage", "json", "-q", "-o", str(report)], cwd=ROOT, check=False
        )
        if made.returncode:
            return ["no coverage data"]
        files = json.loads(report.read_text())["files"]
    below = []
    for part, promised in PROMISED.items():
        taken = total = branches_taken = branches = 0
        for name, file in files.items():
            if name.startswith("dispatch/core/") == (part == "dispatch/core"):
                summary = file["summary"]
                taken += summary["covered_lines"] + summary["covered_branches"]
                total += summary["num_statements"] + summary["num_branches"]
                branches_taken += summary["covered_branches"]
                branches += summary["num_branches"]
        percent = 100 * taken / max(total, 1)
        only = 100 * branches_taken / max(branches, 1)
        print(
            f"Coverage of {part}: {percent:.1f}% of lines and branches, "
            f"{only:.1f}% of branches ({promised:.0f}% promised)"
        )
        if part in HELD and percent < promised:
            below.append(part)
    return below


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
