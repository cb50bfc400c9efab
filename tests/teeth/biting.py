"""Bugs put into the engine, each alone in a tree of its own: which rule of which check catches it, and how soon.

A bug is a patch in `bugs/`: a sentence of what is wrong, then a unified diff. It is plausible and small, and in the
code that decides or hosts, never in what checks.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUGS = Path(__file__).parent / "bugs"
ROOMS = ("dispatch", "schemas", "baton", "deploy", "gateways", "projections")
"""Copied: what the simulation and the command need."""
MAY_BE_SPOILT = ("dispatch/core/", "dispatch/log/", "dispatch/processors/")
SEEDS = 10_000


class NoLongerApplies(Exception):
    """A patch does not fit the tree: the code moved on, and the bug is to be put in anew."""


@dataclass(frozen=True, slots=True)
class Bug:
    """One patch."""

    name: str
    what: str
    patch: Path

    @property
    def files(self) -> tuple[str, ...]:
        """What it changes."""
        lines = self.patch.read_text().splitlines()
        return tuple(line.removeprefix("+++ b/") for line in lines if line.startswith("+++ "))


@dataclass(frozen=True, slots=True)
class Bite:
    """What became of a bug."""

    bug: Bug
    seeds: int
    """Lived through until it was caught, or in all."""
    rules: tuple[int, ...]
    """Of the checker; none: another check caught it, or nothing did."""
    sentence: str
    """The first that was wrong; empty: nothing was, the bug got away."""
    seconds: float

    @property
    def caught(self) -> bool:
        """Whether anything noticed."""
        return bool(self.sentence)

    @property
    def by(self) -> str:
        """Which check caught it."""
        if self.rules:
            return "rule " + ", ".join(str(rule) for rule in self.rules)
        return "the run itself" if self.caught else "NOTHING"


def bugs(names: Sequence[str] = ()) -> list[Bug]:
    """All bugs, or those named. Raises KeyError for a name that is none."""
    known = {path.stem: Bug(path.stem, path.read_text().split("\n\n", 1)[0], path) for path in BUGS.glob("*.patch")}
    return [known[name] for name in names or sorted(known)]


def copy_tree(target: Path) -> Path:
    """The rooms as they are here, with what Python compiled of them: it stays good, for times are copied too."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, target / room, ignore=shutil.ignore_patterns("*.pyc.*"))
    return target


def put_in(bug: Bug, tree: Path, *, check: bool = False) -> None:
    """Applies the patch, or looks whether it would. Raises NoLongerApplies with what git says."""
    command = ["git", "apply", *(["--check"] if check else []), str(bug.patch)]
    # A tree inside a repository's folder would be taken for a part of it, and the patch for none of its concern.
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(tree.parent)}
    did = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if did.returncode:
        raise NoLongerApplies(f"{bug.name}: {did.stderr.strip()}")


def bite(bug: Bug, folder: Path, seeds: int = SEEDS, first: int = 0) -> Bite:
    """Puts the bug into a tree of its own and simulates until something notices.

    Raises NoLongerApplies; RuntimeError when the seed breaks without the bug too, so that nothing is shown by it.
    """
    tree = copy_tree(folder / bug.name)
    put_in(bug, tree)
    began = time.monotonic()
    try:
        told = simulate(tree, seeds, first)
    finally:
        shutil.rmtree(tree, ignore_errors=True)
    seconds = time.monotonic() - began
    wrong = min(told["broken"], key=lambda one: one["seed"], default=None)
    if wrong is None:
        return Bite(bug, told["seeds"], (), "", seconds)
    if simulate(ROOT, 1, wrong["seed"])["broken"]:
        raise RuntimeError(f"seed {wrong['seed']} breaks without {bug.name} too: {wrong['wrong'][0]}")
    return Bite(bug, wrong["seed"] - first + 1, tuple(wrong["rules"]), wrong["wrong"][0], seconds)


def simulate(tree: Path, seeds: int, first: int = 0) -> dict[str, list[dict[str, object]] | int | float]:
    """`baton simulate` of a tree, until the first seed that breaks; what it says. Raises RuntimeError when it dies."""
    command = [
        sys.executable, "-m", "dispatch.cli", "simulate", "--until-caught", "--seeds", str(seeds),
        "--from", str(first), "--jobs", "1", "--json",
    ]  # fmt: skip
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    did = subprocess.run(
        command, cwd=tree, env=environment | {"PYTHONPATH": str(tree)}, capture_output=True, text=True, check=False
    )
    if did.returncode not in (0, 1) or not did.stdout.strip():
        raise RuntimeError(f"the simulation of {tree.name} ended with {did.returncode}: {did.stderr.strip()[-2000:]}")
    return json.loads(did.stdout.splitlines()[-1])  # type: ignore[no-any-return]
