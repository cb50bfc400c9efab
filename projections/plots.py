"""Plots as SVG: lines over time and bars, with axes, units, and words for who does not see them.

Colours are the page's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from html import escape

Form = Callable[[float], str]
_WIDTH, _HEIGHT = 400, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 14, 30, 30
_ROW = 38
_LABEL = 46
"""Letters of a bar's name, at most."""


@dataclass(frozen=True, slots=True)
class Line:
    """A figure over time; None: a gap."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Bar:
    """A group's figure, and what stands behind it in words."""

    name: str
    value: float
    told: str


def lines(title: str, drawn: Sequence[Line], moments: Sequence[datetime], step: timedelta, form: Form) -> str:
    """Lines over the same steps, from zero up."""
    known = [value for line in drawn for value in line.values if value is not None]
    steps = ticks(min(0.0, *known) if known else 0.0, max(known, default=1.0))
    low, high = steps[0], steps[-1]
    across, down = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def x(number: int) -> float:
        return _LEFT + across * (number + 0.5) / max(1, len(moments))

    def y(value: float) -> float:
        return _TOP + down * (1 - (value - low) / (high - low))

    parts = []
    for tick in steps:
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{escape(form(tick))}</text>')
    for number in _labelled(len(moments)):
        label = _moment(moments[number], step, len(moments))
        parts.append(f'<text x="{x(number):.1f}" y="{_HEIGHT - 10}" text-anchor="middle">{label}</text>')
    for which, line in enumerate(drawn):
        parts += _drawn(line, which, x, y)
        begin = _LEFT + which * across // max(1, len(drawn))
        parts.append(f'<line class="line of{which}" x1="{begin}" x2="{begin + 18}" y1="12" y2="12"/>')
        parts.append(f'<text x="{begin + 23}" y="16">{escape(line.name)}</text>')
    told = "; ".join(f"{line.name}: {_told(line.values, form)}" for line in drawn)
    return _svg(title, told, _HEIGHT, parts)


def bars(title: str, drawn: Sequence[Bar], aim: float | None = None, reach: float = 0.0) -> str:
    """Bars from zero on, one below the other, `reach` at least being shown; `aim`: a mark on each of them."""
    values = [bar.value for bar in drawn] + [reach]
    low, high = min(0.0, *values), max(0.0, *values) or 1.0
    height, across = 8 + _ROW * len(drawn), _WIDTH - 16

    def x(value: float) -> float:
        return 8 + across * (value - low) / (high - low)

    parts = []
    for number, bar in enumerate(drawn):
        top = 6 + _ROW * number
        name = bar.name if len(bar.name) <= _LABEL else bar.name[: _LABEL - 1] + "…"
        begin, end = sorted((x(0.0), x(bar.value)))
        kind = "bar below" if bar.value < 0 else "bar"
        parts.append(f'<text x="8" y="{top + 11}">{escape(name)}</text>')
        parts.append(f'<text x="{_WIDTH - 8}" y="{top + 11}" text-anchor="end">{escape(bar.told)}</text>')
        parts.append(f'<rect class="{kind}" x="{begin:.1f}" y="{top + 16}" width="{max(1.0, end - begin):.1f}" '
                     'height="12" rx="2"/>')  # fmt: skip
        if aim is not None:
            parts.append(f'<line class="aim" x1="{x(aim):.1f}" x2="{x(aim):.1f}" y1="{top + 14}" y2="{top + 30}"/>')
    told = "; ".join(f"{bar.name}: {bar.told}" for bar in drawn)
    return _svg(title, told, height, parts)


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round numbers that hold both ends between the first and the last."""
    span = max(high - low, 1e-6 * max(abs(low), abs(high)), 1e-6)
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= rough * 0.999)
    begin, end = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [number * step for number in range(begin, max(end, begin + 1) + 1)]


def _drawn(line: Line, which: int, x: Callable[[int], float], y: Callable[[float], float]) -> list[str]:
    """One run of neighbours after another; a single value as a dot."""
    parts: list[str] = []
    run: list[tuple[float, float]] = []
    for number, value in enumerate((*line.values, None)):
        if value is not None:
            run.append((x(number), y(value)))
            continue
        if len(run) == 1:
            parts.append(f'<circle class="dot of{which}" cx="{run[0][0]:.1f}" cy="{run[0][1]:.1f}" r="2.5"/>')
        elif run:
            points = " ".join(f"{place:.1f},{height:.1f}" for place, height in run)
            parts.append(f'<polyline class="line of{which}" points="{points}"/>')
        run = []
    return parts


def _labelled(count: int) -> list[int]:
    """Which steps are named: four at most."""
    if count <= 4:
        return list(range(count))
    return [round(part * (count - 1) / 8) for part in (1, 3, 5, 7)]


def _moment(moment: datetime, step: timedelta, count: int) -> str:
    if step * count > timedelta(days=2):
        return f"{moment:%b} {moment.day}"
    return f"{moment:%H:%M:%S}" if step < timedelta(minutes=1) else f"{moment:%H:%M}"


def _told(values: Sequence[float | None], form: Form) -> str:
    known = [value for value in values if value is not None]
    return f"from {form(min(known))} to {form(max(known))}, {form(known[-1])} at the end" if known else "nothing"


def _svg(title: str, told: str, height: int, parts: Sequence[str]) -> str:
    name = "".join(letter if letter.isalnum() else "-" for letter in title.lower())
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-labelledby="t-{name} d-{name}">'
        f'<title id="t-{name}">{escape(title)}</title><desc id="d-{name}">{escape(told)}</desc>{"".join(parts)}</svg>'
    )
