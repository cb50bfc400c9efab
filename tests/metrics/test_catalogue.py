"""Every metric is in the catalogue, in the documentation, and made nowhere else; its name follows Prometheus' rules."""

import ast
import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

import dispatch.metrics
from dispatch.metrics import __main__ as documentation
from dispatch.metrics.catalogue import METRICS, SECTIONS, series
from dispatch.metrics.form import Metric, Section

ROOT = Path(__file__).parents[2]
OURS = ("dispatch", "projections", "gateways", "deploy", "baton")
FORM = ROOT / "dispatch" / "metrics" / "form.py"
MAKERS = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}


def made_in(path: Path) -> list[str]:
    """Names of Prometheus' classes that a file imports, under whatever name."""
    return [
        name.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "prometheus_client"
        for name in node.names
        if name.name in MAKERS
    ]


def test_metrics_are_made_in_the_catalogue_and_nowhere_else() -> None:
    assert made_in(FORM) == ["Counter", "Gauge", "Histogram"]
    for room in OURS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if path != FORM:
                assert made_in(path) == [], path


def test_every_module_of_the_catalogue_is_in_it() -> None:
    folder = Path(dispatch.metrics.__file__).parent
    declaring = {path.stem for path in folder.glob("*.py") if "SECTION = Section(" in path.read_text()}
    listed = set(re.findall(r"^    (\w+)\.SECTION,$", (folder / "catalogue.py").read_text(), re.M))
    assert declaring == listed
    assert len(METRICS) == sum(len(section.metrics) for section in SECTIONS), "two have one name"


@pytest.mark.parametrize("metric", METRICS.values(), ids=list(METRICS))
def test_names_follow_the_rules(metric: Metric) -> None:
    assert re.fullmatch(r"(baton|feature_flags?)_[a-z0-9_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.help.endswith("."), metric.help
    assert ("seconds" in metric.name) == (metric.unit == "seconds") or metric.unit == "records"
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert not set(metric.labels) & {"le", "quantile", "job", "instance"}


def test_what_is_scraped_is_what_is_declared() -> None:
    """As far as it is registered: what a collector gives comes when there is something."""
    shown = {family.name + ("_total" if family.type == "counter" else "") for family in REGISTRY.collect()}
    ours = {name for name in shown if name.startswith(("baton_", "feature_flag"))}
    assert ours <= set(METRICS)
    assert {name for name, metric in METRICS.items() if metric.kind != "gauge"} <= shown


def test_known_label_values_are_there_from_the_start() -> None:
    section = Section("one", ("a test",))
    counter = section.counter("baton_test_known_total", "A test's.", {"how": ("one", "other"), "at": ("here", "there")})
    try:
        values = {sample.labels["how"] + sample.labels["at"]: sample.value for family in counter.collect()
                  for sample in family.samples if sample.name.endswith("_total")}  # fmt: skip
        assert values == {"onehere": 0, "onethere": 0, "otherhere": 0, "otherthere": 0}
    finally:
        REGISTRY.unregister(counter)


def test_a_label_whose_values_are_not_known_shows_nothing_at_first() -> None:
    metric = Metric("baton_x_total", "counter", "One.", {"zone": "of the map", "how": ("a", "b")})
    assert metric.combinations() == []
    assert metric.series == ("baton_x_total",)
    assert "baton_decision_seconds_bucket" in series()


def test_the_documentation_is_current_and_a_stale_one_is_found(capsys: pytest.CaptureFixture[str],
                                                               tmp_path: Path,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    assert documentation.main(["--check"]) == 0
    text = documentation.PAGE.read_text()
    for name in METRICS:
        assert f"`{name}`" in text
    page = tmp_path / "metrics.md"
    page.write_text(text.replace("`baton_decisions_total`", "`baton_decided_total`"))
    monkeypatch.setattr(documentation, "PAGE", page)
    assert documentation.main(["--check"]) == 1
    assert "stale" in capsys.readouterr().out
    assert documentation.main([]) == 0
    assert page.read_text() == text
    page.write_text("# Metrics\n")
    with pytest.raises(ValueError, match="lacks"):
        documentation.main(["--check"])
