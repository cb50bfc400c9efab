"""The form of an alert and of its tests, and both as the YAML that Prometheus and promtool read."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Severity = Literal["critical", "warning"]
"""critical: somebody gets up; warning: somebody looks within the day's work."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert. `describes` says what it means and what to do first; the runbook has the rest."""

    name: str
    severity: Severity
    expr: str
    lasts: str
    """How long the condition must hold: Prometheus' `for`."""
    summary: str
    describes: str

    @property
    def anchor(self) -> str:
        """Its heading in docs/runbooks.md, as Markdown makes anchors."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Case:
    """Series as promtool writes them, one value a minute, and whether the alert fires at a moment."""

    alert: str
    says: str
    series: Mapping[str, str]
    at: str
    fires: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    """Of what fires, beside its severity."""


RUNBOOKS = "docs/runbooks.md"


def rules(alerts: Sequence[Alert]) -> str:
    """alerts.yml."""
    lines = ["# Made by python -m deploy.prometheus. Do not edit.", "groups:", "  - name: baton", "    rules:"]
    for alert in alerts:
        lines += [
            f"      - alert: {alert.name}",
            "        expr: |-",
            *(f"          {line}" for line in alert.expr.strip().splitlines()),
            f"        for: {alert.lasts}",
            "        labels:",
            f"          severity: {alert.severity}",
            "        annotations:",
            *_annotations(alert, " " * 10),
        ]
    return "\n".join(lines) + "\n"


def trials(alerts: Iterable[Alert], cases: Sequence[Case]) -> str:
    """alerts_test.yml."""
    known = {alert.name: alert for alert in alerts}
    lines = [
        "# Made by python -m deploy.prometheus. Do not edit. Beside it: promtool test rules alerts_test.yml",
        "rule_files: [alerts.yml]", "evaluation_interval: 1m", "tests:",
    ]  # fmt: skip
    for case in cases:
        lines += [f"  - name: {json.dumps(f'{case.alert}: {case.says}')}", "    interval: 1m", "    input_series:"]
        for name, values in case.series.items():
            lines += [f"      - series: {_single(name)}", f"        values: {json.dumps(values)}"]
        lines += ["    alert_rule_test:", f"      - eval_time: {case.at}", f"        alertname: {case.alert}"]
        if not case.fires:
            lines.append("        exp_alerts: []")
            continue
        alert = known[case.alert]
        lines += [
            "        exp_alerts:",
            f"          - exp_labels: {json.dumps({'severity': alert.severity, **case.labels})}",
            "            exp_annotations:",
            *_annotations(alert, " " * 14),
        ]
    return "\n".join(lines) + "\n"


def _annotations(alert: Alert, indent: str) -> list[str]:
    told = {
        "summary": alert.summary,
        "description": alert.describes,
        "runbook": f"{RUNBOOKS}#{alert.anchor}",
    }
    return [f"{indent}{name}: {json.dumps(text)}" for name, text in told.items()]


def _single(text: str) -> str:
    """A YAML string in single quotes: names of series are full of double ones."""
    return "'" + text.replace("'", "''") + "'"
