"""`python -m tests.teeth [--seeds N] [--jobs J] [NAME...]`: every bug is put in and must be caught; the table of it.

Exit code 1 when one gets away, 2 when a patch no longer fits the code.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.teeth.biting import SEEDS, Bite, Bug, NoLongerApplies, bite, bugs, copy_tree, put_in


def main(arguments: list[str]) -> int:
    """Runs, tells as it goes, prints the table."""
    asked = argparse.ArgumentParser(prog="python -m tests.teeth")
    asked.add_argument("--seeds", type=int, default=SEEDS, help="tried for each bug, at most")
    asked.add_argument("--from", dest="first", type=int, default=0, help="the first seed")
    asked.add_argument("--jobs", type=int, default=2, help="bugs at a time")
    asked.add_argument("--only-apply", action="store_true", help="look whether every patch fits, and run nothing")
    asked.add_argument("names", nargs="*", help="bugs; without any: all")
    said = asked.parse_args(arguments)
    console = Console()
    wanted = bugs(said.names)
    with tempfile.TemporaryDirectory(prefix="baton-teeth-") as name:
        folder = Path(name)
        if stale := unfit(wanted, folder):
            console.print("\n".join(stale), style="bold red", highlight=False)
            return 2
        if said.only_apply:
            console.print(f"{len(wanted)} patches fit")
            return 0
        bites = []
        for one in bitten(wanted, folder, said.jobs, said.seeds, said.first):
            bites.append(one)
            after = f"after {one.seeds} seeds, {one.seconds:.1f} s"
            console.print(f"{len(bites):>3} {one.bug.name}: {one.by}, {after}", highlight=False)
    away = [one.bug.name for one in bites if not one.caught]
    console.print(table(bites))
    console.print(f"{len(bites) - len(away)} of {len(bites)} bugs caught within {said.seeds:,} seeds"
                  + (f"; got away: {', '.join(away)}" if away else ""), highlight=False)  # fmt: skip
    return 1 if away else 0


def unfit(wanted: list[Bug], folder: Path) -> list[str]:
    """What git says of the patches that do not fit."""
    tree, found = copy_tree(folder / "whole"), []
    for bug in wanted:
        try:
            put_in(bug, tree, check=True)
        except NoLongerApplies as error:
            found.append(str(error))
    return found


def bitten(wanted: list[Bug], folder: Path, jobs: int, seeds: int, first: int) -> Iterator[Bite]:
    """The bites, as they come."""
    with ThreadPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(bite, bug, folder, seeds, first) for bug in wanted]):
            yield done.result()


def table(bites: list[Bite]) -> Table:
    """Which check caught which bug, and how soon."""
    shown = Table("bug", "what is wrong", "caught by", "seeds", "seconds", "what was said first", box=None)
    for one in sorted(bites, key=lambda found: (not found.caught, found.seeds, found.bug.name)):
        shown.add_row(one.bug.name, one.bug.what, one.by, f"{one.seeds:,}", f"{one.seconds:.1f}", one.sentence[:200])
    return shown


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
