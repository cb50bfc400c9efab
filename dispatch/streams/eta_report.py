"""How good the arrivals foretold were, from the log alone: the band's coverage, the bias, and the plain formula beside.

Each finished delivery counts once, with what its last holder's assignment foretold; former holders' never came true.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean, median
from typing import Any

from dispatch.contract import codec, topics
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import Eta, EtaBand
from dispatch.log.reading import read_all


@dataclass(frozen=True, slots=True)
class Foretold:
    """One arrival: the band, the plain formula's moment, and what came. UTC milliseconds."""

    p10_ms: int
    p50_ms: int
    p90_ms: int
    plain_ms: int
    actual_ms: int


@dataclass(frozen=True, slots=True)
class Score:
    """Figures over many arrivals. Shares are 0..1; seconds above zero: it came later than foretold."""

    count: int
    covered: float
    early: float
    """Before p10."""
    late: float
    """After p90."""
    good: float
    """Within good_s of the middle."""
    plain_good: float
    bias_s: float
    plain_bias_s: float
    error_s: float
    """Median of the absolute error."""
    plain_error_s: float
    width_s: float
    """Median width of the band."""


@dataclass(slots=True)
class Report:
    """Both arrivals of every finished delivery."""

    pickups: list[Foretold] = field(default_factory=list)
    deliveries: list[Foretold] = field(default_factory=list)
    without: int = 0
    """Finished deliveries whose arrivals had no band: ETAs were not tracked."""
    changes: int = 0
    """Arrivals told anew under way."""

    def last(self, count: int) -> "Report":
        """Only the latest so many."""
        return Report(self.pickups[-count:], self.deliveries[-count:], self.without, self.changes)


def score(foretold: list[Foretold], good_s: float) -> Score | None:
    """The figures; None: nothing to judge."""
    if not foretold:
        return None
    off = [(one.actual_ms - one.p50_ms) / 1000 for one in foretold]
    plain_off = [(one.actual_ms - one.plain_ms) / 1000 for one in foretold]
    count = len(foretold)
    return Score(
        count=count,
        covered=sum(one.p10_ms <= one.actual_ms <= one.p90_ms for one in foretold) / count,
        early=sum(one.actual_ms < one.p10_ms for one in foretold) / count,
        late=sum(one.actual_ms > one.p90_ms for one in foretold) / count,
        good=sum(abs(seconds) <= good_s for seconds in off) / count,
        plain_good=sum(abs(seconds) <= good_s for seconds in plain_off) / count,
        bias_s=fmean(off),
        plain_bias_s=fmean(plain_off),
        error_s=median(map(abs, off)),
        plain_error_s=median(map(abs, plain_off)),
        width_s=median((one.p90_ms - one.p10_ms) / 1000 for one in foretold),
    )


def report_of(history: Iterable[Any]) -> Report:
    """The report over delivery events, each delivery's in order."""
    report = Report()
    held: dict[str, tuple[events.DriverAssigned, int]] = {}
    finished: list[tuple[int, events.DriverAssigned, int]] = []
    for event in history:
        match event:
            case events.DriverAssigned():
                held[event.delivery_id] = (event, 0)
            case events.PickupCompleted() if event.delivery_id in held:
                held[event.delivery_id] = (held[event.delivery_id][0], event.at_ms)
            case events.DeliveryCompleted() if event.delivery_id in held:
                assigned, picked_ms = held.pop(event.delivery_id)
                finished.append((event.at_ms, assigned, picked_ms))
            case events.EtaChanged():
                report.changes += 1
            case _:
                continue
    for delivered_ms, assigned, picked_ms in sorted(finished, key=lambda done: done[0]):
        _count(report, assigned.terms.eta, picked_ms, delivered_ms)
    return report


def from_log(brokers: str, namespace: str) -> Report:
    """The report over everything that is committed."""
    records = read_all(brokers, [namespace + topics.DELIVERY_EVENTS.name])
    return report_of(codec.decode(record.value) for record in records)


def _count(report: Report, eta: Eta | None, picked_ms: int, delivered_ms: int) -> None:
    if eta is None:
        report.without += 1
        return
    if eta.pickup is not None and picked_ms:
        report.pickups.append(_foretold(eta.pickup, eta.plain_pickup_ms, picked_ms))
    report.deliveries.append(_foretold(eta.delivery, eta.plain_delivery_ms, delivered_ms))


def _foretold(band: EtaBand, plain_ms: int, actual_ms: int) -> Foretold:
    return Foretold(band.p10_ms, band.p50_ms, band.p90_ms, plain_ms, actual_ms)
