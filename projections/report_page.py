"""The report as one page: HTML, CSS and SVG in one file that loads nothing from elsewhere and runs no script."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from projections.plots import Bar, Form, Line, bars, lines
from projections.report import Report, Row, criterion, step_words, took, verdict
from projections.story_money import amount

_STYLE = """
:root { color-scheme: light dark; --paper: #fcfcfa; --ink: #1c2024; --soft: #5d666f; --rule: #d8dcdf;
  --one: #1f6feb; --two: #b3541e; --good: #1a7f37; --bad: #b42318; --card: #fff; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e8eaec; --soft: #9aa4ad; --rule: #343b42;
  --one: #6cb0ff; --two: #f0a06b; --good: #57c979; --bad: #ff8a80; --card: #1b1f23; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 78rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.2; margin: .5rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
p, ul { margin: .5rem 0; } ul { padding-left: 1.2rem; } li { margin: .35rem 0; max-width: 70ch; }
.soft { color: var(--soft); } .met { color: var(--good); } .missed { color: var(--bad); }
.wide { overflow-x: auto; } .narrow { max-width: 44rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .7rem .35rem 0; border-bottom: 1px solid var(--rule); vertical-align: top; }
th { color: var(--soft); font-weight: 600; font-size: .85rem; } .n { text-align: right; white-space: nowrap; }
.plots { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
figure { margin: 0; padding: .8rem; background: var(--card); border: 1px solid var(--rule); border-radius: 8px; }
figcaption { font-weight: 600; } figcaption span { display: block; font-weight: 400; font-size: .85rem;
  color: var(--soft); }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font-size: 12px; }
.grid { stroke: var(--rule); stroke-width: 1; } .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.of0 { stroke: var(--one); } .of1 { stroke: var(--two); stroke-dasharray: 5 3; } .dot { fill: var(--paper);
  stroke-dasharray: none; stroke-width: 2; } .bar { fill: var(--one); } .below { fill: var(--two); }
.aim { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 3 3; }
@media print { :root { --paper: #fff; --card: #fff; --ink: #000; --soft: #444; --rule: #bbb; --one: #1f6feb;
  --two: #b3541e; } body { max-width: none; font-size: 11pt; } figure, tr, li { break-inside: avoid; }
  .plots { grid-template-columns: 1fr 1fr; } }
"""
_GROUPS = 12
"""Bars of one plot, at most."""


def page(report: Report) -> str:
    """The whole of it."""
    span = f"{report.since:%Y-%m-%d %H:%M} to {report.until:%Y-%m-%d %H:%M} UTC"
    body = [f"<h1>Baton, {span}</h1>", f"<p class='soft'>{escape(report.about())}</p>"]
    if report.deliveries:
        body += [_criteria(report.criteria), _sentences(report.sentences), *_plots(report), _zones(report.views)]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>Baton, {span}</title><style>{_STYLE}</style></head><body><main>{''.join(body)}</main></body></html>\n"
    )


def _criteria(rows: Iterable[Row]) -> str:
    lines_of = []
    for row in rows:
        word, kind = verdict(row)
        name, seen, rests = criterion(row)
        lines_of.append(
            f"<tr><td>{escape(name)}<br><span class='soft'>{escape(rests)}</span></td><td class='n'>{escape(seen)}"
            f"<br><span class='soft'>{escape(row['wanted'])}</span></td><td class='{kind}'>{word}</td></tr>"
        )
    head = "<tr><th>criterion, and what it rests on</th><th class='n'>seen, wanted</th><th></th></tr>"
    return f"<h2>What the business wants</h2><div class='wide narrow'><table>{head}{''.join(lines_of)}</table></div>"


def _sentences(sentences: Sequence[str]) -> str:
    told = "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences)
    return f"<h2>What stands out</h2><ul>{told}</ul>" if told else ""


def _plots(report: Report) -> list[str]:
    figures = [*_over_time(report), *_by_group(report.views)]
    return ["<h2>Figures</h2>", "<div class='plots'>", *figures, "</div>"]


def _over_time(report: Report) -> list[str]:
    known, moments = {one.name: one for one in report.series}, report.moments()
    step = f"steps of {step_words(report.step)}, UTC"
    plots: tuple[tuple[str, str, tuple[str, ...], Form], ...] = (
        ("Orders", "orders that became known, and those of them that were delivered",
         ("orders", "delivered of them"), "{:g}".format),
        ("Acceptance", "offers taken, percent of those answered or let pass", ("acceptance",), "{:g} %".format),
        ("Wait for a driver", "from ready to the first driver: half, and 95 of 100, within",
         ("wait for a driver p50", "wait for a driver p95"), took),
        ("From ready to the first offer", "99 of 100 within; those that had to wait for a driver are left out",
         ("ready to offer p99",), took),
        ("Unassigned after 5 min", "orders without a driver for more than 5 min, percent",
         ("unassigned after 5 min",), "{:g} %".format),
        ("Completed", "delivered, percent of those that ended", ("completed",), "{:g} %".format),
        ("Arrivals within the band", "percent; 80 are meant to", ("arrivals in band",), "{:g} %".format),
    )  # fmt: skip
    made = []
    for title, about, names, form in plots:
        drawn = [Line(name, known[name].values) for name in names]
        if any(value is not None for line in drawn for value in line.values):
            if form is took:
                drawn, form = _in_one_unit(drawn)
            made.append(_figure(title, f"{about}; {step}", lines(title, drawn, moments, report.step, form)))
    return made


def _in_one_unit(drawn: Sequence[Line]) -> tuple[list[Line], Form]:
    """Milliseconds in the unit that suits the longest, so that the axis has round numbers."""
    longest = max(value for line in drawn for value in line.values if value is not None)
    unit_ms, unit = next((pair for pair in ((60_000, "min"), (1_000, "s")) if longest >= 2 * pair[0]), (1, "ms"))
    scaled = [Line(line.name, [None if value is None else value / unit_ms for value in line.values]) for line in drawn]
    return scaled, lambda value: f"{value:.4g} {unit}"


def _by_group(views: Any) -> list[str]:
    zones = _bars(views["acceptance_by_zone"], "zone", "acceptance_percent", "accepted", "answered")
    reasons = _bars(views["rejection_reasons"], "reason", "share_percent", "rejected", "of_rejected")
    arrivals = _bars(views["eta_accuracy_by_zone"], "zone", "in_band_percent", "in_band", "banded")
    late = _bars(views["unassigned_by_zone"], "zone", "over_5_min_percent", "over_5_min", "judged")
    made = [
        ("Acceptance by zone", "percent of what was answered or let pass; the line: 80 %", zones, 80.0, 100.0),
        ("Why offers are refused", "percent of refusals", reasons, None, 100.0),
        ("Unassigned after 5 min by zone", "percent; the line: 5 %", late, 5.0, 10.0),
        ("Arrivals within the band by zone", "percent; the line: 80 %", arrivals, 80.0, 100.0),
    ]
    figures = [
        _figure(title, about, bars(title, drawn, aim, reach)) for title, about, drawn, aim, reach in made if drawn
    ]
    for currency in sorted({row["currency"] for row in views["economics_by_zone"]}):
        mine = [row for row in views["economics_by_zone"] if row["currency"] == currency]
        ranked = sorted(mine, key=lambda row: -row["net_minor"])[:_GROUPS]
        drawn = [Bar(row["zone"], row["net_minor"], f"{amount(row['net_minor'], currency)} ({_margin(row)})")
                 for row in ranked]  # fmt: skip
        title = f"Net by zone in {currency}"
        figures.append(_figure(title, "revenue less cost of what was settled, and the margin", bars(title, drawn)))
    return figures


def _margin(row: Row) -> str:
    return "no revenue" if row["margin_percent"] is None else f"{row['margin_percent']:g} %"


def _bars(rows: Sequence[Row], key: str, value: str, part: str, whole: str) -> list[Bar]:
    known = sorted((row for row in rows if row[value] is not None), key=lambda row: (-row[whole], row[key]))[:_GROUPS]
    ranked = sorted(known, key=lambda row: (-row[value], row[key]))
    return [Bar(row[key], row[value], f"{row[value]:g} % ({row[part]} of {row[whole]})") for row in ranked]


def _zones(views: Any) -> str:
    known: dict[str, dict[str, Row]] = {}
    for view in ("completion_by_zone", "assignment_latency_by_zone", "first_attempt_by_zone", "zone_density"):
        for row in views[view]:
            known.setdefault(row["zone"], {})[view] = row
    cells = []
    for zone in sorted(known):
        of = known[zone]

        def told(view: str, column: str, form: Any = str, of: dict[str, Row] = of) -> str:
            value = of.get(view, {}).get(column)
            return "-" if value is None else form(value)

        figures = (
            told("completion_by_zone", "created"), told("completion_by_zone", "delivered"),
            told("completion_by_zone", "cancelled"), told("completion_by_zone", "still_open"),
            told("assignment_latency_by_zone", "p50_ms", took), told("assignment_latency_by_zone", "p95_ms", took),
            told("first_attempt_by_zone", "first_accepted_percent", "{:g} %".format),
            told("zone_density", "drivers_online"), told("zone_density", "pressure"),
        )  # fmt: skip
        cells.append(f"<tr><td>{escape(zone)}</td>" + "".join(f"<td class='n'>{one}</td>" for one in figures) + "</tr>")
    heads = ("orders", "delivered", "called off", "open", "wait p50", "wait p95", "first asked took it",
             "drivers online", "pressure")  # fmt: skip
    head = "<tr><th>zone</th>" + "".join(f"<th class='n'>{one}</th>" for one in heads) + "</tr>"
    return f"<h2>Zones</h2><div class='wide'><table>{head}{''.join(cells)}</table></div>"


def _figure(title: str, about: str, svg: str) -> str:
    return f"<figure><figcaption>{escape(title)}<span>{escape(about)}</span></figcaption>{svg}</figure>"
