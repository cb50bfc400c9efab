"""Odd requests at every door of a running gateway, made from its OpenAPI document; no answer may be a fault of ours.

BATON_FUZZ_URL, BATON_FUZZ_TOKEN: by default the local stack, and a token of its own. It changes rules, zones and
deliveries: never point it at anything that is in use.
"""

import os
import subprocess
import sys
from pathlib import Path

_ROLE = ("--role", "admin", "--sub", "fuzz")
HOOKS = "tests.fuzz.fuzz_checks"
STREAMS = ("watchOperations", "followDelivery", "followByToken")
"""They do not end by themselves."""


def command(url: str, token: str, *, examples: int, seed: int, phases: str) -> list[str]:
    """The command line of a run."""
    return [
        str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json",
        "--header", f"Authorization: Bearer {token}", "--checks", "no_fault", "--phases", phases,
        "--max-examples", str(examples), "--seed", str(seed), "--generation-database", "none", "--no-shrink",
        "--request-timeout", "20", "--workers", "2", "--no-color", "--warnings", "off", "--continue-on-failure",
        "--suppress-health-check", "all", *(part for name in STREAMS for part in ("--exclude-operation-id", name)),
    ]  # fmt: skip


def environment() -> dict[str, str]:
    """Where the check is found."""
    return {**os.environ, "SCHEMATHESIS_HOOKS": HOOKS, "PYTHONPATH": str(Path(__file__).parents[2])}


def main() -> int:
    """The long form."""
    url = os.environ.get("BATON_FUZZ_URL") or _said("-c", "from dispatch.cli import gateway_url; print(gateway_url())")
    token = os.environ.get("BATON_FUZZ_TOKEN") or _said(
        "-m", "dispatch.cli", "token", "--role", "admin", "--sub", "fuzz"
    )
    phases, seed = "examples,coverage,fuzzing", int(os.environ.get("BATON_FUZZ_SEED", "1"))
    return subprocess.run(command(url, token, examples=100, seed=seed, phases=phases), env=environment()).returncode


def _said(*arguments: str) -> str:
    return subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
