"""Sparklines: a figure over time as a row of blocks, for a terminal."""

from collections.abc import Sequence

_BLOCKS = "▁▂▃▄▅▆▇█"
GAP = "·"
"""Where there is no figure."""


def spark(values: Sequence[float | None], width: int = 32) -> str:
    """The lowest is the lowest block, the highest the highest. Of more than `width`, neighbours are one."""
    shown = _gathered(values, width)
    known = [value for value in shown if value is not None]
    if not known:
        return GAP * len(shown)
    low, span = min(known), max(known) - min(known)
    if not span:
        return "".join(GAP if value is None else _BLOCKS[3 if low else 0] for value in shown)
    top = len(_BLOCKS) - 1
    return "".join(GAP if value is None else _BLOCKS[round(top * (value - low) / span)] for value in shown)


def _gathered(values: Sequence[float | None], width: int) -> list[float | None]:
    if len(values) <= width:
        return list(values)
    found: list[float | None] = []
    for place in range(width):
        part = values[place * len(values) // width : (place + 1) * len(values) // width]
        known = [value for value in part if value is not None]
        found.append(sum(known) / len(known) if known else None)
    return found
