"""`make fuzz`: every decoder led by coverage, then every door of a running gateway.

BATON_FUZZ_SECONDS for each decoder (20), BATON_FUZZ_SEED (1); of the doors see `over_http`. BATON_FUZZ_ONLY=decoders or
doors does one of the two. Exit code 1 when something broke.
"""

import os
import subprocess
import sys

import httpx

from tests.fuzz import over_http


def main() -> int:
    """Both, whatever came of the first."""
    only, seed = os.environ.get("BATON_FUZZ_ONLY", ""), os.environ.get("BATON_FUZZ_SEED", "1")
    broke = []
    if only in ("", "decoders"):
        seconds = os.environ.get("BATON_FUZZ_SECONDS", "20")
        command = [sys.executable, "-m", "tests.fuzz.guided", "--seconds", seconds, "--seed", seed]
        broke += ["a decoder"] if subprocess.run(command, stderr=subprocess.DEVNULL).returncode else []
    if only in ("", "doors"):
        try:
            broke += ["a door"] if over_http.main() else []
        except (httpx.HTTPError, subprocess.CalledProcessError) as error:
            print(f"The doors were not tried, for no gateway answers (`baton up` starts one): {error}")
            broke += ["nobody at the doors"]
    print(f"Fuzz: {', '.join(broke)}." if broke else "Fuzz: nothing broke.")
    return 1 if broke else 0


if __name__ == "__main__":
    sys.exit(main())
