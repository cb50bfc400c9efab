"""Dashboards: what they ask for is there and parses, every panel says what it is, and Grafana's own types read them."""

import json
from pathlib import Path
from typing import Any

import pytest
from expressions_checked import wrong
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as Theirs
from test_alerts import needs_promtool, promtool

from deploy.grafana import __main__ as made
from deploy.grafana.dashboards import DASHBOARDS
from deploy.grafana.form import Dashboard, Panel, Query, Row

PANELS = [(dashboard, panel) for dashboard in DASHBOARDS for panel in dashboard.panels()]
WATCHED = {
    "acceptance": "baton_offers_ended_total", "rejection reasons": "baton_offer_rejections_total",
    "assignment latency": "baton_assignment_seconds", "first attempt": "baton_first_attempts_total",
    "reassignments": "baton_reassignments_total", "completion": "baton_deliveries_ended_total",
    "cancellation": "baton_cancellations_total", "ETA accuracy": "baton_eta_arrivals_total",
    "wait by zone": "baton_zone_wait_seconds", "density by zone": "baton_zone_drivers",
    "availability": "baton_drivers", "offline frequency": "baton_drivers_lost_total",
    "unassigned over 5 min": "baton_unassigned_over_5_minutes", "cost": "baton_cost_minor_total",
    "revenue": "baton_revenue_minor_total", "lag": "baton_consumer_lag_records",
}  # fmt: skip


@pytest.mark.parametrize(("dashboard", "panel"), PANELS, ids=[f"{one.uid} {panel.title}" for one, panel in PANELS])
def test_a_panel_says_what_it_is_and_asks_for_what_there_is(dashboard: Dashboard, panel: Panel) -> None:
    assert panel.title
    assert panel.describes.endswith(".")
    assert panel.unit
    assert panel.queries
    for query in panel.queries:
        assert wrong(query.expr) == [], query.expr
        assert query.legend or len(panel.queries) == 1
        for variable in ("zone", "currency"):
            known = {one.name for one in dashboard.variables}
            assert f"${variable}" not in query.expr or variable in known
        if "histogram_quantile" in query.expr and "_seconds_bucket" in query.expr:
            assert panel.unit == "s"


def test_every_figure_that_operations_watch_is_on_a_panel() -> None:
    everything = " ".join(query.expr for _, panel in PANELS for query in panel.queries)
    for figure, metric in WATCHED.items():
        assert metric in everything, figure
    for quantile in ("0.5", "0.95", "0.99"):
        assert f"histogram_quantile({quantile}, sum by (le) (rate(baton_assignment_seconds_bucket" in everything


def test_names_are_told_apart_and_no_panel_lies_on_another() -> None:
    uids = [dashboard.uid for dashboard in DASHBOARDS]
    assert len(set(uids)) == len(uids) == 4
    for dashboard in DASHBOARDS:
        panels = dashboard.json()["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        titles = [panel.title for panel in dashboard.panels()]
        assert len(set(titles)) == len(titles)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            place = panel["gridPos"]
            right, down = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
            cells = {(x, y) for x in right for y in down}
            assert not cells & taken, panel["title"]
            assert place["x"] + place["w"] <= 24
            taken |= cells


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda one: one.uid)
def test_grafana_s_own_types_read_it_and_lose_nothing(dashboard: Dashboard) -> None:
    register_default_plugins()
    text = json.dumps(dashboard.json())
    back = json.loads(JSONEncoder().encode(Theirs.from_json(json.loads(text))))
    assert lost(json.loads(text), back) == []


def test_a_word_that_grafana_does_not_know_is_found() -> None:
    one = DASHBOARDS[0].json()
    one["panels"][1]["fieldconfig"] = {}
    one["reload"] = "30s"
    back = json.loads(JSONEncoder().encode(Theirs.from_json(one)))
    assert set(lost(one, back)) == {".panels[1].fieldconfig", ".reload"}


def lost(ours: Any, theirs: Any, place: str = "") -> list[str]:
    """What is not there any more, or is something else."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        gone = [f"{place}.{key}" for key in ours if key not in theirs]
        kept = [key for key in ours if key in theirs]
        return gone + [found for key in kept for found in lost(ours[key], theirs[key], f"{place}.{key}")]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        pairs = enumerate(zip(ours, theirs, strict=True))
        return [found for number, (one, other) in pairs for found in lost(one, other, f"{place}[{number}]")]
    return [] if ours == theirs else [place]


@needs_promtool
def test_promtool_parses_every_expression(tmp_path: Path) -> None:
    exprs = [query.expr for _, panel in PANELS for query in panel.queries]
    (tmp_path / "rules.yml").write_text(as_rules(exprs))
    checked = promtool("check", "rules", "rules.yml", folder=tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(exprs)} rules found" in checked.stdout
    (tmp_path / "rules.yml").write_text(as_rules(["sum(rate(up[5m])"]))
    assert promtool("check", "rules", "rules.yml", folder=tmp_path).returncode != 0


def as_rules(exprs: list[str]) -> str:
    """Each as a recording rule, with what Grafana fills in."""
    filled = [expr.replace("$__rate_interval", "1m").replace("$__range", "6h") for expr in exprs]
    rules = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(filled)]
    return json.dumps({"groups": [{"name": "panels", "rules": rules}]})


def test_the_files_are_current_and_stale_ones_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made.main(["--check"]) == 0
    monkeypatch.setattr(made, "FOLDER", tmp_path)
    (tmp_path / "old.json").write_text("{}")
    assert made.main(["--check"]) == 1
    assert "engine.json, money.json, old.json, operations.json, zones.json" in capsys.readouterr().out
    assert made.main([]) == 0
    assert made.main(["--check"]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "engine.json", "money.json", "operations.json", "zones.json",
    ]  # fmt: skip


def test_panels_go_beside_each_other_while_they_fit() -> None:
    panel = Panel("one", "One.", "s", (Query("up", "x"),), width=16)
    rows = (Row("first", (panel, panel)), Row("second", (panel,)))
    places = [one["gridPos"] for one in Dashboard("u", "t", "d", rows).json()["panels"]]
    assert [(place["x"], place["y"]) for place in places] == [(0, 0), (0, 1), (0, 9), (0, 17), (0, 18)]
