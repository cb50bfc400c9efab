"""`python -m tests.model [--whole]`: the exhaustive model of the reservation, with the number of worlds it visited.

Exit code 1 when a rule breaks in one of them; then the shortest way there is told.
"""

import argparse
import sys
import time

from rich.console import Console
from rich.table import Table

from tests.model.reservation import FAMILIES, WHOLE, Visited, explore


def main(arguments: list[str]) -> int:
    """Visits everything, prints the table."""
    asked = argparse.ArgumentParser(prog="python -m tests.model")
    asked.add_argument("--whole", action="store_true", help="more and larger families of moves, some minutes")
    said = asked.parse_args(arguments)
    console, shown = Console(), Table("besides messages and crashes", "worlds", "moves", "seconds", "rules", box=None)
    visited: list[Visited] = []
    for kinds in (*FAMILIES, *WHOLE) if said.whole else FAMILIES:
        began = time.monotonic()
        found = explore(kinds)
        visited.append(found)
        took = f"{time.monotonic() - began:.1f}"
        rules = "BROKEN" if found.wrong else "held"
        shown.add_row(", ".join(kinds), f"{found.states:,}", f"{found.moves:,}", took, rules)
    console.print(shown)
    console.print(
        f"{sum(one.states for one in visited):,} worlds visited, over {sum(one.moves for one in visited):,} moves"
    )
    for one in visited:
        if one.wrong:
            console.print(one.wrong, highlight=False)
    return 1 if any(one.wrong for one in visited) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
