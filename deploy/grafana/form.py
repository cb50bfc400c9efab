"""The form of a dashboard, and its JSON as Grafana imports it (schema version 39: Grafana 10 and later)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["timeseries", "stat", "bargauge", "table"]
Unit = Literal["s", "percentunit", "short", "cps", "none"]
"""Grafana's own words: seconds, a share 0..1, a number, so many a second, a number as it is."""
_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
_COLUMNS = 24
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Query:
    """An expression, and what its series are called: `{{label}}` stands for a label's value."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. `limit`: from there on it is red, as its alert has it; `low`: below it."""

    title: str
    describes: str
    unit: Unit
    queries: tuple[Query, ...]
    kind: Kind = "timeseries"
    width: int = 8
    limit: float | None = None
    low: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """What can be chosen above the panels: the values of a label."""

    name: str
    metric: str

    def json(self) -> Json:
        """All values at first; any number may be chosen."""
        query = f"label_values({self.metric}, {self.name})"
        return {
            "type": "query", "name": self.name, "label": self.name, "datasource": _SOURCE,
            "query": {"query": query, "refId": self.name}, "refresh": 2, "sort": 1, "multi": True, "includeAll": True,
            "allValue": ".*", "current": {"text": ["All"], "value": ["$__all"]}, "hide": 0, "options": [],
            "regex": "", "skipUrlSync": False,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A page of rows."""

    uid: str
    title: str
    describes: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = ()

    def panels(self) -> list[Panel]:
        """All of them, in order."""
        return [panel for row in self.rows for panel in row.panels]

    def json(self) -> Json:
        """As Grafana imports it."""
        source = {
            "type": "datasource", "name": "datasource", "label": "data source", "query": "prometheus", "refresh": 1,
            "multi": False, "includeAll": False, "hide": 0, "options": [], "regex": "", "skipUrlSync": False,
            "current": {},
        }  # fmt: skip
        return {
            "uid": self.uid, "title": self.title, "description": self.describes, "tags": ["baton"],
            "schemaVersion": 39, "version": 1, "editable": False, "graphTooltip": 1, "timezone": "browser",
            "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "annotations": {"list": []}, "links": [],
            "templating": {"list": [source, *(variable.json() for variable in self.variables)]},
            "panels": _laid_out(self.rows),
        }  # fmt: skip


def _laid_out(rows: Sequence[Row]) -> list[Json]:
    """Rows below each other, panels beside each other as far as they fit."""
    made: list[Json] = []
    top = 0
    for row in rows:
        heading: Json = {"type": "row", "title": row.title, "collapsed": False, "panels": []}
        made.append({"id": len(made) + 1, **heading, "gridPos": {"x": 0, "y": top, "w": _COLUMNS, "h": 1}})
        top, left, height = top + 1, 0, 0
        for panel in row.panels:
            tall = 4 if panel.kind == "stat" else 8
            if left + panel.width > _COLUMNS:
                top, left, height = top + height, 0, 0
            made.append(_panel(panel, len(made) + 1, {"x": left, "y": top, "w": panel.width, "h": tall}))
            left, height = left + panel.width, max(height, tall)
        top += height
    return made


def _panel(panel: Panel, number: int, place: Json) -> Json:
    steps: list[Json] = [{"color": "red" if panel.low else "green", "value": None}]
    if panel.limit is not None:
        steps.append({"color": "green" if panel.low else "red", "value": panel.limit})
    custom: Json = {"thresholdsStyle": {"mode": "line"}} if panel.limit is not None else {}
    return {
        "id": number, "type": panel.kind, "title": panel.title, "description": panel.describes, "datasource": _SOURCE,
        "gridPos": place,
        "fieldConfig": {
            "defaults": {
                "unit": panel.unit, "custom": custom if panel.kind == "timeseries" else {},
                "thresholds": {"mode": "absolute", "steps": steps},
            },
            "overrides": [],
        },
        "options": _OPTIONS[panel.kind],
        "targets": [
            {
                "refId": chr(ord("A") + place), "expr": query.expr, "legendFormat": query.legend,
                "datasource": _SOURCE, "instant": panel.kind != "timeseries", "range": panel.kind == "timeseries",
            }
            for place, query in enumerate(panel.queries)
        ],
    }  # fmt: skip


_LAST = {"calcs": ["lastNotNull"], "fields": "", "values": False}
_OPTIONS: dict[Kind, Json] = {
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {"reduceOptions": _LAST, "colorMode": "value", "graphMode": "none", "textMode": "auto"},
    "bargauge": {"reduceOptions": _LAST, "displayMode": "basic", "orientation": "horizontal"},
    "table": {"showHeader": True},
}
