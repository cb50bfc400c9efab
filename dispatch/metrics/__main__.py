"""`python -m dispatch.metrics` writes the tables of docs/metrics.md; `--check` compares, 1 when stale."""

import sys
from pathlib import Path

from dispatch.metrics.catalogue import SECTIONS
from dispatch.metrics.form import Metric, Section

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
BEGIN, END = "<!-- from the catalogue: python -m dispatch.metrics -->\n", "<!-- end -->\n"


def tables() -> str:
    """Every section as a table, in Markdown."""
    return "\n".join(_section(section) for section in SECTIONS)


def page(text: str) -> str:
    """The page with its tables as they are now. Raises ValueError for a page without the place for them."""
    if BEGIN not in text or END not in text:
        raise ValueError(f"{PAGE.name} lacks {BEGIN.strip()!r} or {END.strip()!r}")
    before, rest = text.split(BEGIN, 1)
    return before + BEGIN + "\n" + tables() + "\n" + END + rest.split(END, 1)[1]


def main(arguments: list[str]) -> int:
    """Writes, or with --check compares; 1 when stale."""
    text = PAGE.read_text()
    made = page(text)
    if "--check" in arguments:
        if made != text:
            print("docs/metrics.md is stale; run python -m dispatch.metrics")
        return int(made != text)
    PAGE.write_text(made)
    return 0


def _section(section: Section) -> str:
    rows = "".join(_row(metric) for metric in section.metrics)
    shown = ", ".join(section.processes)
    return f"### {section.title}\n\nShown by: {shown}.\n\n| metric | kind | what |\n|---|---|---|\n{rows}"


def _row(metric: Metric) -> str:
    notes = [metric.help]
    for name, values in metric.labels.items():
        told = values if isinstance(values, str) else ", ".join(f"`{value}`" for value in values)
        notes.append(f"`{name}`: {told}.")
    if metric.buckets:
        notes.append(f"Up to {', '.join(f'{bound:g}' for bound in metric.buckets)}.")
    kind = f"{metric.kind}, {metric.unit}" if metric.unit else metric.kind
    return f"| `{metric.name}` | {kind} | {' '.join(notes)} |\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
