"""What is stored beside what folding the events gives: the state topics' records, and rows of the tables if given."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from dispatch.checker.delivery import ENDED, STATUS, Delivery
from dispatch.checker.drivers import Driver
from dispatch.checker.report import Findings, Place


class Row(NamedTuple):
    """What the tables say of a delivery or a driver."""

    status: str
    holder: str
    """The driver who has the delivery in hand; of a driver always empty."""
    version: int


@dataclass(slots=True)
class _Stored:
    place: Place
    value: bytes | None
    now_ms: int = 0


_PHASES = {"placed": "created", "reserving": "searching", "review": "searching", "returning": "failed"}
_STEPS = ("assigned", *STATUS)


class States:
    """Takes the records of the state topics, each key's in order."""

    def __init__(self, findings: Findings) -> None:
        self._stored: dict[str, _Stored] = {}
        self._findings = findings

    def take(self, key: bytes | None, value: bytes | None, place: Place) -> None:
        """One record; None as its value: forgotten."""
        self._stored[(key or b"").decode()] = _Stored(place, value)

    def finish(self, deliveries: Mapping[str, Delivery], drivers: Mapping[str, Driver]) -> None:
        """Every aggregate's last record against what its events say."""
        for name, delivery in deliveries.items():
            self._compare(name, delivery, _of_delivery)
        for name, driver in drivers.items():
            self._compare(name, driver, _of_driver)
        for name in self._stored.keys() - deliveries.keys() - drivers.keys():
            stored = self._stored[name]
            if stored.value is not None and (version := _state(stored.value)[0].get("version", 0)):
                self._findings.add(14, stored.place, f"{name} is stored with version {version} and has no events")

    def _compare(self, name: str, known: Any, says: Any) -> None:
        stored = self._stored.get(name)
        if stored is None:
            self._findings.add(14, known.place, f"{name} has version {known.version} and is stored nowhere")
            return
        if stored.value is None:
            forget_ms = known.forget_ms if isinstance(known, Delivery) and known.phase == ENDED else 0
            if not forget_ms or stored.place.at_ms < forget_ms:
                when = f"{forget_ms - stored.place.at_ms} ms too early" if forget_ms else "and has not ended"
                self._findings.add(14, stored.place, f"{name} is forgotten {when}")
            return
        state, timers = _state(stored.value)
        wanted = {"version": known.version, **_wanted(known)}
        for what, value in says(state).items():
            if value != wanted[what]:
                self._findings.add(
                    14, stored.place, f"{name} is stored with {what} {value!r}; its events say {wanted[what]!r}"
                )
        open_ = {tuple(timer) for timer in known.timers()}
        if timers != open_:
            self._findings.add(
                14, stored.place, f"{name} is stored with timers {sorted(timers)}; its events set {sorted(open_)}"
            )


def compare_tables(
    rows: Mapping[str, Row], deliveries: Mapping[str, Delivery], drivers: Mapping[str, Driver], findings: Findings
) -> None:
    """Rows of the tables against what the events say."""
    everybody: dict[str, Delivery | Driver] = {**deliveries, **drivers}
    for name, known in everybody.items():
        wanted = Row(known.status, known.holder, known.version) if isinstance(known, Delivery) else None
        wanted = wanted or Row(known.word if isinstance(known, Driver) else "", "", known.version)
        row = rows.get(name)
        if row is None:
            findings.add(14, known.place, f"{name} has version {known.version} and is in no table")
        elif row != wanted:
            findings.add(14, known.place, f"the tables say {tuple(row)} of {name}; its events say {tuple(wanted)}")
    for name in rows.keys() - everybody.keys():
        findings.add(14, Place("tables", 0, 0), f"the tables know {name}, of whom there are no events")


def _state(value: bytes) -> tuple[dict[str, Any], set[tuple[Any, ...]]]:
    """The application's part of a state record, and every timer that it wants, set aside or not."""
    envelope = msgspec.msgpack.decode(value)
    timers = {tuple(timer) for timer in envelope[2]}
    if len(envelope) > 5:
        timers |= {tuple(timer) for timer in envelope[5]}
    return msgspec.msgpack.decode(envelope[4]), timers


def _wanted(known: Delivery | Driver) -> dict[str, Any]:
    if isinstance(known, Delivery):
        return {"status": known.status, "offer": known.offer, "driver": known.driver, "level": known.level}
    holds = sorted((offer, delivery, confirmed) for offer, (delivery, confirmed) in known.holds.items())
    return {"status": known.word, "holds": holds, "fence": known.fence}


def _of_delivery(state: dict[str, Any]) -> dict[str, Any]:
    phase = state.get("phase") or ["unknown"]
    tag = phase[0]
    asked = tag in ("reserving", "offered", "held", "returning")
    status = _PHASES.get(tag, tag)
    if tag == "held":
        status = _STEPS[phase[6] if len(phase) > 6 else 0]
    elif tag == "closed":
        status = phase[1]
    said = {
        "version": state.get("version", 0), "status": status, "offer": phase[1] if asked else "",
        "driver": phase[2] if asked else "",
    }  # fmt: skip
    return said if tag == "closed" else {**said, "level": state.get("level", 0)}


def _of_driver(state: dict[str, Any]) -> dict[str, Any]:
    seen = Driver(
        known=state.get("known", False), duty=state.get("duty", "working"), paused=state.get("paused", False),
        offline=state.get("offline", True), plain=state.get("plain", False),
    )  # fmt: skip
    holds = [(hold[0], hold[1], bool(hold[3]) if len(hold) > 3 else False) for hold in state.get("holds", ())]
    seen.holds = {offer: (delivery, confirmed) for offer, delivery, confirmed in holds}
    return {
        "version": state.get("version", 0), "status": seen.word, "holds": sorted(holds),
        "fence": state.get("fence", 0),
    }  # fmt: skip
