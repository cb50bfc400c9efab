"""The screen of a run: 80 columns and 24 rows are enough, and its height stays as it is."""

from collections import Counter
from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table

from deploy.demo.tally import LAST, STATUS, Money, Tally, Zone
from dispatch.contract.records import delivery_events as events

ROWS = 6
"""Zones shown; those beyond are left out, the calmest first."""
_LONGEST_NAME = max(len(name) for name, kind in vars(events).items() if isinstance(kind, type))
_DRIVER = 49 - _LONGEST_NAME


def render(tally: Tally, seconds: float, sent: int, wanted: int) -> RenderableType:
    """What is known after so many seconds, with so many orders sent of those wanted."""
    sides = Table.grid(padding=(0, 3))
    sides.add_row(_figures(tally, seconds, sent, wanted), _by_status(tally))
    last = Table(box=None, show_header=False)
    for width in (12, 8, _LONGEST_NAME, _DRIVER):
        last.add_column(no_wrap=True, min_width=width)
    rows = [
        (datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%H:%M:%S.%f")[:-3], name, kind, _short(driver, _DRIVER))
        for at_ms, name, kind, driver in tally.last
    ]
    for row in rows + [("", "", "", "")] * (LAST - len(rows)):
        last.add_row(*row)
    return Group(sides, _zones(tally), Panel(last, title="last events (UTC)", title_align="left"))


def _figures(tally: Tally, seconds: float, sent: int, wanted: int) -> Table:
    table = _table("so far", "", 26, 20)
    offers, money, kept = tally.offers, tally.money, tally.promises
    table.add_row(f"orders sent, of {wanted:,}", f"{sent:,}")
    table.add_row("ended or with people", f"{tally.settled():,}")
    table.add_row("events a second", f"{tally.event_count / max(seconds, 1):,.0f}")
    table.add_row("ready to offer p50, p99 ms", f"{tally.percentile_ms(0.5):,} / {tally.percentile_ms(0.99):,}")
    table.add_row("offers accepted, of sent", f"{offers['accepted']:,} / {offers['sent']:,}")
    table.add_row("refused/expired/withdrawn", " / ".join(f"{offers[word]:,}" for word in _UNTAKEN))
    table.add_row("reassigned, escalated", f"{tally.reassigned:,} / {tally.escalated.total():,}")
    table.add_row("within 5 min of told", _share(kept.soon, kept.ended))
    table.add_row("in the band told", _share(kept.in_band, kept.with_band))
    table.add_row(f"revenue of {money.settled:,} settled", _amount(money.revenue_minor, money))
    table.add_row("of it drivers' pay, net", f"{_amount(money.driver_pay_minor)} / {_amount(money.net_minor)}")
    return table


_UNTAKEN = ("refused", "expired", "withdrawn")


def _by_status(tally: Tally) -> Table:
    counts = Counter(tally.status.values())
    table = _table("status", "deliveries", 15, 10)
    for status in dict.fromkeys(STATUS.values()):
        table.add_row(status, f"{counts[status]:,}", style="" if counts[status] else "dim")
    return table


def _zones(tally: Tally) -> Table:
    """The zones under most pressure first."""
    table = Table(box=None, pad_edge=False)
    table.add_column("zone", no_wrap=True, min_width=22, max_width=22)
    for word, width in (("online/min", 10), ("free", 4), ("open", 4), ("wait p95", 8), ("price", 5)):
        table.add_column(word, no_wrap=True, min_width=width, justify="right")
    table.add_column("", no_wrap=True, min_width=12)
    zones = sorted(tally.zones.values(), key=lambda zone: (-_pressure(zone), zone.name))[:ROWS]
    for zone in zones:
        health = zone.health
        if health is None:
            table.add_row(_short(zone.name, 22), "", "", "", "", f"{zone.price_percent}%", "", style="dim")
            continue
        table.add_row(
            _short(zone.name, 22), f"{health.drivers_online}/{health.min_drivers_online}",
            f"{health.drivers_available}", f"{health.open_searches}",
            f"{health.wait_p95_ms * tally.speed / 60_000:.1f} min", f"{zone.price_percent}%",
            "understaffed" if health.understaffed else "",
        )  # fmt: skip
    for _ in range(ROWS - len(zones)):
        table.add_row()
    return table


def _pressure(zone: Zone) -> float:
    return zone.health.pressure if zone.health is not None else -1.0


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}% of {whole:,}" if whole else "-"


def _amount(minor: int, money: Money | None = None) -> str:
    text = f"{minor / 100:,.2f}"
    return f"{text} {money.currency}" if money is not None and money.currency else text


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _table(words: str, figures: str, left: int, right: int) -> Table:
    """Words to the left, figures to the right."""
    table = Table(box=None, pad_edge=False)
    table.add_column(words, no_wrap=True, min_width=left)
    table.add_column(figures, no_wrap=True, min_width=right, justify="right")
    return table
