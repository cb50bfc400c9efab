"""What `baton report` tells: criteria, figures over time, tables by zone, and sentences; read in one snapshot."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

from projections.analytics.catalogue import SCHEMA
from projections.findings import FEW, findings
from projections.insights import insights
from projections.money import settled

Row = Mapping[str, Any]
STEPS = 48
"""At most so many are shown."""
_NICE_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 604_800)
_USUAL = timedelta(days=7)
_READ = (
    "success_criteria", "acceptance_by_zone", "acceptance_over_time", "rejection_reasons", "offer_latency_over_time",
    "assignment_latency_by_zone", "assignment_latency_over_time", "first_attempt_by_zone", "reassignments_by_reason",
    "completion_by_zone", "completion_over_time", "cancellations_by_reason", "eta_accuracy_by_zone",
    "eta_accuracy_over_time", "unassigned_by_zone", "unassigned_over_time", "zone_density", "offline_by_driver",
    "economics_by_zone", "economics_by_hour",
)  # fmt: skip
_FIRST = """
SELECT min(at), max(at) FROM (
    SELECT created_at AS at FROM deliveries WHERE created_at >= %(since)s AND created_at < %(until)s
    UNION ALL SELECT ended_at FROM deliveries WHERE created_at >= %(since)s AND created_at < %(until)s
) moments
"""


@dataclass(frozen=True, slots=True)
class Series:
    """A figure over time: a value a step, None where there is none."""

    name: str
    unit: str
    values: tuple[float | None, ...]
    whole: str
    """What it comes to over the whole time, in words."""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is told."""

    since: datetime
    until: datetime
    step: timedelta
    speed: float
    deliveries: int
    criteria: tuple[Row, ...]
    series: tuple[Series, ...]
    sentences: tuple[str, ...]
    views: Mapping[str, Sequence[Row]] = field(default_factory=dict)

    def about(self) -> str:
        """How much it rests on, in a sentence or two."""
        if not self.deliveries:
            return "No delivery became known in that time: there is nothing to report."
        told = f"{self.deliveries} deliver{'y' if self.deliveries == 1 else 'ies'} became known."
        if self.deliveries < FEW:
            told += f" Of fewer than {FEW} the shares say little."
        if self.speed != 1:
            told += f" The city lives {self.speed:g} times as fast: 5 min are {took(300_000 / self.speed)} here."
        return told

    def moments(self) -> list[datetime]:
        """The beginnings of the steps."""
        return [self.since + number * self.step for number in range(max(1, _steps(self.since, self.until, self.step)))]

    def as_json(self) -> dict[str, Any]:
        """For programs: the same figures; decimals as numbers."""
        return {
            "since": self.since, "until": self.until, "step_s": self.step.total_seconds(), "speed": self.speed,
            "deliveries": self.deliveries, "criteria": self.criteria, "insights": self.sentences,
            "series": [{"name": one.name, "unit": one.unit, "values": one.values, "whole": one.whole}
                       for one in self.series],
            "views": self.views,
        }  # fmt: skip


def gathered(dsn: str, since: datetime | None, until: datetime | None, speed: float) -> Report:
    """Reads it all. Without `since` the last 7 days, from their first delivery on. Raises psycopg.Error."""
    with psycopg.connect(dsn, connect_timeout=3, row_factory=dict_row) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        end = until or _now(connection)
        begin, end = _fitted(connection, since, end, open_end=until is None)
        step = step_for(end - begin)
        begin = _floor(begin, step)
        for name, value in (("since", begin.isoformat()), ("until", end.isoformat()), ("speed", str(speed)),
                            ("step", f"{step.total_seconds()} seconds")):  # fmt: skip
            connection.execute("SELECT set_config(%s, %s, true)", (f"baton.{name}", value))
        views = {name: _view(connection, name) for name in _READ}
    money = settled(dsn, "zone", begin, end)
    return Report(
        since=begin, until=end, step=step, speed=speed,
        deliveries=sum(row["created"] for row in views["completion_over_time"]),
        criteria=tuple(views["success_criteria"]), series=tuple(_series(views, begin, end, step)),
        sentences=(*findings(views), *insights(money, "zone")), views=views,
    )  # fmt: skip


def step_for(span: timedelta) -> timedelta:
    """The shortest of the usual steps of which `STEPS` are enough."""
    seconds = span.total_seconds()
    weeks = math.ceil(seconds / STEPS / _NICE_S[-1])
    return timedelta(seconds=next((nice for nice in _NICE_S if seconds / nice <= STEPS), weeks * _NICE_S[-1]))


def _now(connection: psycopg.Connection[Any]) -> datetime:
    row = connection.execute("SELECT now() AS now").fetchone()
    assert row is not None
    return row["now"].astimezone(UTC)  # type: ignore[no-any-return]


def _fitted(
    connection: psycopg.Connection[Any], since: datetime | None, until: datetime, *, open_end: bool
) -> tuple[datetime, datetime]:
    """The time that something happened in, where no time was asked for."""
    begin = since or until - _USUAL
    row = connection.execute(_FIRST, {"since": begin, "until": until}).fetchone()
    if row is None or row["min"] is None:
        return begin, until
    first, last = row["min"].astimezone(UTC), (row["max"] or row["min"]).astimezone(UTC)
    if since is None:
        begin = first
    if open_end and last - first < timedelta(days=1):  # an evening is not shown as the beginning of a long night
        until = min(until, last + (last - first) / 20 + timedelta(seconds=1))
    return begin, until


def _floor(moment: datetime, step: timedelta) -> datetime:
    origin = datetime(2000, 1, 1, tzinfo=UTC)
    return origin + (moment - origin) // step * step


def _steps(since: datetime, until: datetime, step: timedelta) -> int:
    return -((since - until) // step)


def _view(connection: psycopg.Connection[Any], name: str) -> list[Row]:
    found = connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(SCHEMA, name))).fetchall()
    return [{key: _plain(value) for key, value in row.items()} for row in found]


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value.astimezone(UTC) if isinstance(value, datetime) else value


def _series(views: Mapping[str, Sequence[Row]], since: datetime, until: datetime, step: timedelta) -> list[Series]:
    count = max(1, _steps(since, until, step))

    def over(view: str, column: str, missing: float | None = None) -> tuple[float | None, ...]:
        values: list[float | None] = [missing] * count
        for row in views[view]:
            place = (row["at"] - since) // step
            if 0 <= place < count:
                values[place] = row[column]
        return tuple(values)

    def total(view: str, column: str) -> int:
        return int(sum(row[column] or 0 for row in views[view]))

    def most(values: tuple[float | None, ...], form: Callable[[float], str]) -> str:
        known = [value for value in values if value is not None]
        return f"{form(min(known))} to {form(max(known))}" if known else "nothing was measured"

    def share(view: str, part: str, whole: str) -> str:
        of = total(view, whole)
        return f"{100 * total(view, part) / of:.1f} % of {of}" if of else "nothing was measured"

    created, ended = over("completion_over_time", "created", 0), over("completion_over_time", "delivered", 0)
    wait_50, wait_95 = (over("assignment_latency_over_time", name) for name in ("p50_ms", "p95_ms"))
    offer_99 = over("offer_latency_over_time", "p99_ms")
    return [
        Series("orders", "orders a step", created, f"{total('completion_over_time', 'created')} in all"),
        Series("delivered of them", "orders a step", ended, f"{total('completion_over_time', 'delivered')} in all"),
        Series("acceptance", "%", over("acceptance_over_time", "acceptance_percent"),
               share("acceptance_over_time", "accepted", "answered")),
        Series("ready to offer p99", "ms", offer_99, most(offer_99, took)),
        Series("wait for a driver p50", "ms", wait_50, most(wait_50, took)),
        Series("wait for a driver p95", "ms", wait_95, most(wait_95, took)),
        Series("unassigned after 5 min", "%", over("unassigned_over_time", "over_5_min_percent"),
               share("unassigned_over_time", "over_5_min", "judged")),
        Series("completed", "%", over("completion_over_time", "completion_percent"),
               share("completion_over_time", "delivered", "ended")),
        Series("arrivals in band", "%", over("eta_accuracy_over_time", "in_band_percent"),
               share("eta_accuracy_over_time", "in_band", "banded")),
    ]  # fmt: skip


_CRITERIA = {
    "acceptance": ("offers taken", "{} of {}"),
    "unassigned_after_5_min": ("unassigned after 5 min", "{} of {} orders"),
    "reassignments": ("reassignments a delivery", "{} of {}"),
    "reassignment_success": ("found again when lost", "{} of {}"),
    "offer_p99_ms": ("ready to offer, p99", "{1} first offers"),
    "audit_lag_ms": ("audit behind by", "{1} partitions"),
    "eta_in_band": ("arrivals in their band", "{} of {}"),
    "first_attempt": ("first asked took it", "{} of {}"),
    "completion": ("delivered of what ended", "{} of {}"),
}


def criterion(row: Row) -> tuple[str, str, str]:
    """Its name, what was seen, and what that rests on, in words."""
    name, rests = _CRITERIA[row["criterion"]]
    if row["seen"] is None:
        return name, "-", "nothing was measured"
    seen = (
        took(row["seen"]) if row["unit"] == "ms" else f"{row['seen']:g} %" if row["unit"] == "%" else f"{row['seen']:g}"
    )
    return name, seen, rests.format(row["numerator"], row["denominator"])


def verdict(row: Row) -> tuple[str, str]:
    """What is to be said of it in a word, and of which kind that is: met, missed or soft."""
    if row["seen"] is None:
        return "not measured", "soft"
    if row["met"] is None:
        return "no aim set", "soft"
    if row["denominator"] < FEW and row["criterion"] != "audit_lag_ms":
        return "of too few", "soft"
    return ("met", "met") if row["met"] else ("missed", "missed")


def step_words(step: timedelta) -> str:
    """As short as it is exact: `15 min`."""
    seconds = step.total_seconds()
    units = ((86_400, "d"), (3_600, "h"), (60, "min"))
    size, unit = next((pair for pair in units if seconds % pair[0] == 0), (1, "s"))
    return f"{seconds / size:g} {unit}"


def took(ms: float) -> str:
    """1500 -> `1.5 s`; from two minutes on in minutes, from two hours on in hours, then in days."""
    for below, unit_ms, unit in ((1_000, 1, "ms"), (120_000, 1_000, "s"), (7_200_000, 60_000, "min"),
                                 (172_800_000, 3_600_000, "h")):  # fmt: skip
        if ms < below:
            return f"{ms / unit_ms:.1f}".removesuffix(".0") + f" {unit}"
    return f"{ms / 86_400_000:.1f}".removesuffix(".0") + " days"
