"""Evenings of `make chaos`: what one is to be, what came of it, and the file that remembers them."""

import json
import os
import statistics
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dispatch.checker import Report


@dataclass(frozen=True)
class Asked:
    """What one evening is to be."""

    seed: int
    orders: int
    """Until so many were sent; 0: for so many minutes."""
    minutes: float
    brokers: int
    workers: int
    faults: str
    away_s: float


@dataclass
class Outcome:
    """What a kind of fault led to."""

    times: int = 0
    recoveries: list[float] = field(default_factory=list)
    held: list[float] = field(default_factory=list)
    """Orders delivered a second until it was over."""
    lost: int = 0
    struck_ms: list[int] = field(default_factory=list)


@dataclass
class Judgement:
    """What held at the end."""

    report: Report
    undelivered: int
    sent: int
    wrong: list[str]

    @property
    def ok(self) -> bool:
        """Whether everything did."""
        return self.report.ok and not self.undelivered and not self.wrong


def table(outcomes: dict[str, Outcome], judgement: Judgement) -> str:
    """Faults and rules, for a person."""
    lines = ["", f"{'fault':<30}{'times':>6}{'orders/s':>10}{'back p50':>10}{'max':>9}  what the checker said"]
    broken = _broken_after(outcomes, judgement.report)
    for name, outcome in outcomes.items():
        if not outcome.times:
            lines.append(f"{name:<30}{0:>6}")
            continue
        held = f"{statistics.mean(outcome.held):.1f}" if outcome.held else "-"
        half = f"{statistics.median(outcome.recoveries):.2f} s" if outcome.recoveries else "-"
        most = f"{max(outcome.recoveries):.2f} s" if outcome.recoveries else "-"
        said = f"NOT BACK {outcome.lost} times" if outcome.lost else broken.get(name, "held")
        lines.append(f"{name:<30}{outcome.times:>6}{held:>10}{half:>10}{most:>9}  {said}")
    lines += [
        "orders/s: delivered, from the fault until deciding was back in every partition; back: until each partition",
        "had a decision, made after the fault, committed. Faults overlap; a broken rule stands with the fault before.",
        "",
        f"Orders: {judgement.sent} sent, {judgement.undelivered} not delivered",
        f"The log: {judgement.report.text()}",
        f"Tables, index, webhooks, sockets: {'; '.join(judgement.wrong) or 'as the log says, audit chain unbroken'}",
    ]
    return "\n".join(lines)


def _broken_after(outcomes: dict[str, Outcome], report: Report) -> dict[str, str]:
    """By the fault before it: which rules were broken."""
    struck = sorted((at_ms, name) for name, outcome in outcomes.items() for at_ms in outcome.struck_ms)
    found: dict[str, set[int]] = {}
    for violation in report.violations:
        before = [name for at_ms, name in struck if at_ms <= violation.at_ms]
        found.setdefault(before[-1] if before else "", set()).add(violation.rule)
    return {name: f"BROKE {', '.join(map(str, sorted(rules)))}" for name, rules in found.items()}


class Ledger:
    """A line of JSON for each evening, in a file; without a name: nothing of the past, and nothing kept."""

    def __init__(self, name: str) -> None:
        self._path = Path(name) if name else None
        self._lines: list[dict[str, Any]] = []
        if self._path is not None and self._path.exists():
            self._lines = [json.loads(line) for line in self._path.read_text().splitlines()]

    @property
    def held(self) -> int:
        """Orders of evenings in which everything held."""
        return sum(line["orders"] for line in self._lines if line["held"])

    def text(self) -> str:
        """The sum, and what did not hold."""
        whole = [line for line in self._lines if line["held"]]
        faults = sum(sum(line["faults"].values()) for line in whole)
        records = sum(line["records"] for line in whole)
        text = f"{self.held:,} orders, {records:,} records and {faults:,} faults in {len(whole)} evenings that held"
        if broken := len(self._lines) - len(whole):
            text += f"; {broken} that did not"
        return text

    def add(self, asked: Asked, outcomes: dict[str, Outcome], judgement: Judgement, took_s: float) -> None:
        """One more."""
        line = {
            "at": datetime.now(UTC).isoformat(timespec="seconds"), "commit": _commit(), "seed": asked.seed,
            "brokers": asked.brokers, "workers": asked.workers, "seconds": round(took_s), "orders": judgement.sent,
            "records": judgement.report.counts["records"], "held": held(outcomes, judgement),
            "undelivered": judgement.undelivered, "rules broken": judgement.report.broken, "wrong": judgement.wrong,
            "not back": sum(outcome.lost for outcome in outcomes.values()),
            "faults": {name: outcome.times for name, outcome in outcomes.items() if outcome.times},
        }  # fmt: skip
        self._lines.append(line)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(line) + "\n")
                file.flush()
                os.fsync(file.fileno())


def held(outcomes: dict[str, Outcome], judgement: Judgement) -> bool:
    """Whether everything held, and deciding came back after every fault."""
    return judgement.ok and not any(outcome.lost for outcome in outcomes.values())


def _commit() -> str:
    said = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"
