"""`make chaos`: the fault tests on real servers, again and again; a table of rounds at the end."""

import subprocess
import sys
import time


def main(rounds: int) -> int:
    """Exit code 1 when any round failed."""
    rows = []
    for number in range(1, rounds + 1):
        began = time.monotonic()
        code = subprocess.run([sys.executable, "-m", "pytest", "-q", "-m", "chaos"], check=False).returncode
        rows.append((number, code, time.monotonic() - began))
    for number, code, seconds in rows:
        print(f"round {number}: {'held' if code == 0 else 'BROKEN'} in {seconds:.0f} s")
    return 1 if any(code for _, code, _ in rows) else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
