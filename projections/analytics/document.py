"""`python -m projections.analytics.document [--check]`: the views' heads as the second half of docs/analytics.md."""

import sys
from pathlib import Path

from projections.analytics.catalogue import SCHEMA, View, views

PAGE = Path(__file__).parents[2] / "docs" / "analytics.md"
MARK = "<!-- From here on made by `python -m projections.analytics.document` from the heads of the SQL files. -->"


def text() -> str:
    """What stands behind the mark."""
    found = sorted(views().values(), key=lambda view: view.name)
    lines = ["| view | question |", "|---|---|"]
    lines += [f"| [{view.name}](#{view.name}) | {view.question} |" for view in found]
    return "\n".join([*lines, *(line for view in found for line in _section(view))]) + "\n"


def main(arguments: list[str]) -> int:
    """0: the page is as it should be."""
    there = PAGE.read_text()
    wanted = there[: there.index(MARK)] + MARK + "\n\n" + text()
    if "--check" in arguments:
        if there != wanted:
            print(f"{PAGE.name} is not made from the views as they are; run `python -m projections.analytics.document`")
        return int(there != wanted)
    PAGE.write_text(wanted)
    return 0


def _section(view: View) -> list[str]:
    if view.usual is not None:
        span = f"the last {view.usual.days} days" if view.usual.days > 1 else "the last day"
        time = f"`{view.time}`; " if view.time else ""
        period = f"{time}{span} unless `baton.since` says otherwise"
    else:
        period = f"all of it; narrow it by `WHERE {view.time} >= ...`" if view.time else "now"
    narrowed = view.usual is None and view.time
    where = f" WHERE {view.time} >= now() - interval '1 day'" if narrowed else ""
    return [
        "", f"### {view.name}", "", f"{view.question} One row: {view.row.removesuffix('.')}. Time: {period}.", "",
        "| column | type | what |", "|---|---|---|",
        *(f"| `{column.name}` | {column.kind} | {column.about} |" for column in view.columns),
        "", f"Null: {view.nulls} {_sentence(view.caveats)}", "",
        f"`SELECT * FROM {SCHEMA}.{view.name}{where}`",
    ]  # fmt: skip


def _sentence(words: str) -> str:
    return words[0].upper() + words[1:]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
