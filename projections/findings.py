"""What stands out in the views, in sentences that hold the figures they rest on. Pure: rows in, sentences out.

A sentence is made only where there are figures enough: of few, chance says more than the group does.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

Row = Mapping[str, Any]
Rows = Mapping[str, Sequence[Row]]
FEW = 20
"""Of fewer, nothing is said."""
BAND_PERCENT = (75, 85)
"""So many arrivals within p10 to p90 are as meant."""
_SHOWN = 0.1
"""A group is named when it differs from the whole by so much."""


def findings(rows: Rows) -> list[str]:
    """Sentences over the rows of views by their names; of a view that is missing nothing is said."""
    told: list[str] = []
    for rule in _RULES:
        told += rule(rows)
    return told


def _acceptance(rows: Rows) -> list[str]:
    all_zones = rows.get("acceptance_by_zone", ())
    accepted, answered = _sum(all_zones, "accepted"), _sum(all_zones, "answered")
    if answered < FEW:
        return []
    told = [f"Drivers took {_percent(accepted, answered)} of the {answered} offers that they answered or let pass."]
    zones = _enough(all_zones, "answered")
    if not zones:
        return told
    worst = min(zones, key=lambda row: (_share(row["accepted"], row["answered"]), row["zone"]))
    share = _share(worst["accepted"], worst["answered"])
    if len(all_zones) > 1 and share < _share(accepted, answered) - _SHOWN:
        told.append(
            f"They took the fewest in zone {worst['zone']}: {_percent(worst['accepted'], worst['answered'])} "
            f"({worst['accepted']} of {worst['answered']})."
        )
    return told


def _hours(rows: Rows) -> list[str]:
    all_steps = rows.get("acceptance_over_time", ())
    steps = _enough(all_steps, "answered")
    if len(steps) < 3:
        return []
    accepted, answered = _sum(all_steps, "accepted"), _sum(all_steps, "answered")
    worst = min(steps, key=lambda row: (_share(row["accepted"], row["answered"]), row["at"]))
    if _share(worst["accepted"], worst["answered"]) >= _share(accepted, answered) - _SHOWN:
        return []
    return [
        f"Acceptance was lowest from {worst['at']:%Y-%m-%d %H:%M} UTC on: "
        f"{_percent(worst['accepted'], worst['answered'])} ({worst['accepted']} of {worst['answered']}), against "
        f"{_percent(accepted, answered)} over the whole time."
    ]


def _refusals(rows: Rows) -> list[str]:
    reasons = sorted(rows.get("rejection_reasons", ()), key=lambda row: (-row["rejected"], row["reason"]))
    if not reasons or reasons[0]["of_rejected"] < FEW:
        return []
    first = reasons[0]
    return [
        f"The most frequent reason for a refusal is {first['reason']}: "
        f"{_percent(first['rejected'], first['of_rejected'])} ({first['rejected']} of {first['of_rejected']}), "
        f"said by {_many(first['drivers'], 'driver')}."
    ]


def _waits(rows: Rows) -> list[str]:
    zones = _enough(rows.get("assignment_latency_by_zone", ()), "assigned")
    if len(zones) < 2:
        return []
    slow = max(zones, key=lambda row: (row["p95_ms"], row["zone"]))
    fast = min(zones, key=lambda row: (row["p95_ms"], row["zone"]))
    if slow["p95_ms"] < 2 * max(1, fast["p95_ms"]):
        return []
    return [
        f"Orders wait longest for a driver in zone {slow['zone']}: 95 of 100 had one within {_took(slow['p95_ms'])} "
        f"(half within {_took(slow['p50_ms'])}, of {slow['assigned']}); in zone {fast['zone']} it was "
        f"{_took(fast['p95_ms'])} (of {fast['assigned']})."
    ]


def _unassigned(rows: Rows) -> list[str]:
    zones = [row for row in rows.get("unassigned_by_zone", ()) if row["judged"]]
    over, judged = _sum(zones, "over_5_min"), _sum(zones, "judged")
    if judged < FEW or not over:
        return []
    most = max(zones, key=lambda row: (row["over_5_min"], row["zone"]))
    told = f"{over} of {judged} orders ({_percent(over, judged)}) were without a driver for more than 5 min"
    if len(zones) > 1:
        told += f"; {most['over_5_min']} of them in zone {most['zone']}, of {most['judged']} there"
    return [told + "."]


def _first_attempt(rows: Rows) -> list[str]:
    zones = rows.get("first_attempt_by_zone", ())
    accepted, asked = _sum(zones, "first_accepted"), _sum(zones, "asked")
    if asked < FEW:
        return []
    return [f"The first driver who was asked took {_percent(accepted, asked)} of the orders ({accepted} of {asked})."]


def _reassigned(rows: Rows) -> list[str]:
    reasons = sorted(rows.get("reassignments_by_reason", ()), key=lambda row: (-row["reassigned"], row["reason"]))
    lost = _sum(reasons, "reassigned")
    if not lost:
        return []
    found = _sum(reasons, "found_again")
    first = reasons[0]
    return [
        f"Drivers lost {_many(lost, 'delivery', 'deliveries')} before the pickup, most often for {first['reason']} "
        f"({first['reassigned']} of {lost}); another driver was found for {found} of them."
    ]


def _cancelled(rows: Rows) -> list[str]:
    ways = sorted(
        rows.get("cancellations_by_reason", ()), key=lambda row: (-row["cancelled"], row["reason"], row["stage"])
    )
    cancelled = _sum(ways, "cancelled")
    if not cancelled or ways[0]["of_created"] < FEW:
        return []
    first, created = ways[0], ways[0]["of_created"]
    why = "for a reason that somebody wrote" if first["reason"] == "in words" else f"as {first['reason']}"
    return [
        f"{cancelled} of {created} deliveries ({_percent(cancelled, created)}) were called off, most of all "
        f"{first['stage']}, {why} ({first['cancelled']})."
    ]


def _arrivals(rows: Rows) -> list[str]:
    zones = rows.get("eta_accuracy_by_zone", ())
    banded, within = _sum(zones, "banded"), _sum(zones, "in_band")
    if banded < FEW:
        return []
    early, late = _sum(zones, "early"), _sum(zones, "late")
    share, (low, high) = 100 * within / banded, BAND_PERCENT
    word = "as meant" if low <= share <= high else "the bands are too narrow" if share < low else "wider than needed"
    told = [
        f"{_percent(within, banded)} of {banded} arrivals came within their band, 80% are meant to: {word}; "
        f"{early} came earlier and {late} later."
    ]
    judged = [row for row in zones if row["delivered"] >= FEW and row["bias_s"] is not None]
    if judged:
        worst = max(judged, key=lambda row: (abs(row["bias_s"]), row["zone"]))
        if abs(worst["bias_s"]) >= 60:
            way = "later" if worst["bias_s"] > 0 else "earlier"
            told.append(
                f"In zone {worst['zone']} the {worst['delivered']} arrivals came "
                f"{_took(int(abs(worst['bias_s']) * 1000))} {way} than promised, on average."
            )
    return told


def _density(rows: Rows) -> list[str]:
    short = [row for row in rows.get("zone_density", ()) if row["understaffed_minutes"]]
    if not short:
        return []
    worst = max(short, key=lambda row: (row["understaffed_minutes"] / row["minutes"], row["zone"]))
    return [
        f"Zone {worst['zone']} had fewer drivers online than its minimum in {worst['understaffed_minutes']} of "
        f"{_many(worst['minutes'], 'minute')} counted ({worst['drivers_online']} online on average, "
        f"{worst['open_searches']} orders waiting)."
    ]


def _offline(rows: Rows) -> list[str]:
    drivers = rows.get("offline_by_driver", ())
    went, busy = _sum(drivers, "went_offline"), _sum(drivers, "while_busy")
    if went < FEW:
        return []
    most = max(drivers, key=lambda row: (row["went_offline"], row["driver_id"]))
    return [
        f"{sum(1 for row in drivers if row['went_offline'])} of {_many(len(drivers), 'driver')} went offline, "
        f"{went} times together, {busy} of them while busy; {most['driver_id']} did most often "
        f"({most['went_offline']})."
    ]


def _enough(rows: Sequence[Row], column: str) -> list[Row]:
    """Those with figures enough to be named."""
    return [row for row in rows if row[column] >= FEW]


def _sum(rows: Sequence[Row], column: str) -> int:
    return int(sum(row[column] for row in rows))


def _share(part: int | Decimal, whole: int | Decimal) -> float:
    return float(part) / float(whole) if whole else 0.0


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%"


def _many(count: int, one: str, several: str = "") -> str:
    return f"{count} {one if count == 1 else several or one + 's'}"


def _took(ms: int) -> str:
    """1500 -> `1.5 s`; from two minutes on in minutes."""
    return f"{ms} ms" if ms < 1000 else f"{ms / 1000:.1f} s" if ms < 120_000 else f"{ms / 60_000:.1f} min"


_RULES: tuple[Callable[[Rows], list[str]], ...] = (
    _acceptance, _hours, _refusals, _waits, _unassigned, _first_attempt, _reassigned, _cancelled, _arrivals, _density,
    _offline,
)  # fmt: skip
