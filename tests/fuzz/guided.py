"""Targets led by coverage (atheris): `python -m tests.fuzz.guided [--runs N | --seconds S] [NAME ...]`; no names: all.

Our modules are instrumented as they are imported, once; each target then runs in a process of its own. What was
interesting is kept in `.baton/fuzz/NAME/` (`--home`), what broke one in `.baton/fuzz/NAME.broke-...`; that alone is
run again by `NAME --again FILE`.
"""

import argparse
import importlib
import os
import re
import sys
import time
from pathlib import Path
from typing import Any

import atheris

_OPTIONS = ("-len_control=0", "-keep_seed=1", "-timeout=10", "-rss_limit_mb=2048", "-verbosity=0",
            "-print_final_stats=1")  # fmt: skip


def main(arguments: list[str]) -> int:
    """Exit code 1 when something broke."""
    asked = _asked(arguments)
    with atheris.instrument_imports(include=["dispatch", "gateways", "projections", "deploy.demo", "baton", asked.of]):
        targets = importlib.import_module(asked.of).TARGETS
    home: Path = asked.home

    def led(target: Any) -> None:
        """Does not return: libFuzzer ends the process."""
        options = [*_OPTIONS, f"-max_len={asked.longest}"]
        if asked.again:
            options += [asked.again]
        else:
            corpus = home / target.name
            corpus.mkdir(parents=True, exist_ok=True)
            for number, seed in enumerate(target.seeds()):
                (corpus / f"seed-{number:03}").write_bytes(seed)
            options += [f"-runs={asked.runs}", f"-max_total_time={asked.seconds}", f"-seed={asked.seed}"]
            options += [f"-artifact_prefix={home / target.name}.broke-", str(corpus)]

        def once(data: bytes) -> None:
            target.hold(data)

        target.hold(b"")  # what is made once is made before coverage is looked at
        atheris.Setup([sys.argv[0], *options], once)
        atheris.Fuzz()

    broke = []
    for name in asked.names or list(targets):
        began = time.monotonic()
        sys.stdout.flush()
        said = home / f"{name}.log"
        said.parent.mkdir(parents=True, exist_ok=True)
        child = os.fork()
        if not child:
            for stream in (1, 2):
                os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644) if stream == 1 else 1, stream)
            led(targets[name])
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        text = said.read_text(errors="replace")
        tried = re.search(r"number_of_executed_units: (\d+)", text)
        held = f"BROKE, see {said}\n{_fault(text)}" if code else "held"
        broke += [name] if code else []
        count = int(tried[1]) if tried else 0
        print(f"{name:<24}{count:>9} inputs{time.monotonic() - began:7.1f} s  {held}", flush=True)
    print(f"broke: {', '.join(broke)}" if broke else "nothing broke")
    return 1 if broke else 0


def _fault(text: str) -> str:
    """What was raised, from what libFuzzer and Python say."""
    _, _, raised = text.partition("=== Uncaught Python exception: ===\n")
    said = raised.partition("\n\n")[0] or text[-1_000:]
    return "\n".join(f"    {line}" for line in said.splitlines())


def _asked(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.guided")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--runs", type=int, default=-1)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=int, default=65_536, help="bytes of an input")
    parser.add_argument("--again", default="")
    parser.add_argument("--of", default="tests.fuzz.targets", help="the module that holds TARGETS")
    parser.add_argument("--home", type=Path, default=Path(".baton") / "fuzz")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
