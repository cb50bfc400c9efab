"""Alert rules: known metrics, a runbook each, and promtool's word that they fire when they should and only then."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from expressions_checked import wrong

from deploy.prometheus import __main__ as made
from deploy.prometheus import scraping
from deploy.prometheus.alert import RUNBOOKS, Alert, rules, trials
from deploy.prometheus.alerts import ALERTS
from deploy.prometheus.cases import CASES
from deploy.prometheus.expressions import FLAGS_ON, OFF_AT_FIRST

ROOT = Path(__file__).parents[2]
PROMTOOL = shutil.which("promtool") or str(Path(sys.executable).parent / "promtool")
needs_promtool = pytest.mark.skipif(
    not Path(PROMTOOL).exists(), reason="promtool is not here: .ci/promtool fetches it from Debian's packages"
)
PROMISED = {
    "OffersSlow": "> 0.5", "AcceptanceLow": "< 0.7", "EscalationsMissed": "> 0.05", "QueueLong": "> 50",
    "ReassignmentsFailing": "< 0.9", "RequestsSlow": "> 2", "DecisionsSlow": "> 2", "AuditBehind": "> 1",
    "RoutingFailing": "> 0.01", "EtaStale": "> 0.1", "SocketsDropping": "> 0.1", "FlagOff": "== 0",
    "SeveralFlagsOff": ">= 2", "RejectionsHigh": "> 0.2", "AcceptanceFalling": "< 0.8", "BreaksNotEnding": "> 0",
    "UnassignedLong": "> 10",
}  # fmt: skip


def promtool(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROMTOOL, *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_every_threshold_that_operations_set_is_an_alert() -> None:
    by_name = {alert.name: alert for alert in ALERTS}
    assert len(by_name) == len(ALERTS)
    for name, threshold in PROMISED.items():
        assert threshold in by_name[name].expr, name
    assert by_name["FlagOff"].lasts == "1h"


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert.name)
def test_an_alert_asks_for_what_there_is_and_says_what_to_do(alert: Alert) -> None:
    assert wrong(alert.expr) == []
    for text in (alert.summary, alert.describes):
        assert text.endswith(".")
        assert len(text) > 30
    runbook = (ROOT / RUNBOOKS).read_text()
    section = re.search(rf"^## {alert.name}\n(.*?)(?=^## |\Z)", runbook, re.M | re.S)
    assert section is not None, f"{RUNBOOKS} has no section {alert.name}"
    assert len(section[1].strip()) > 80
    assert alert.anchor == alert.name.lower()
    fires = {case.fires for case in CASES if case.alert == alert.name}
    assert fires == {True, False}, "each is tried above and below its threshold"


def test_what_nobody_gives_is_found() -> None:
    assert wrong("rate(baton_decided_total[5m])") == ["no metric baton_decided_total"]
    assert wrong('baton_offers_ended_total{outcome="taken"}') == ["baton_offers_ended_total has no outcome 'taken'"]
    assert wrong('baton_offers_ended_total{result="x"}') == ["baton_offers_ended_total has no label result"]
    assert wrong("sum by (zone) (baton_decisions_total)") == ["nothing has a label zone"]
    assert wrong('baton_sockets_ended_total{how=~"lost|gone"}') == ["baton_sockets_ended_total has no how 'gone'"]
    assert wrong('sum by (le) (rate(baton_decision_seconds_bucket{le="1"}[5m])) / up{job="baton"}') == []


def test_flags_that_are_off_at_first_are_no_reason_for_an_alert() -> None:
    assert OFF_AT_FIRST == ("acceptance_ranking",)
    assert OFF_AT_FIRST[0] in FLAGS_ON


def test_the_files_are_current_and_a_stale_one_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made.main(["--check"]) == 0
    monkeypatch.setattr(made, "FOLDER", tmp_path)
    assert made.main(["--check"]) == 1
    assert "alerts.yml, alerts_test.yml, prometheus.yml" in capsys.readouterr().out
    assert made.main([]) == 0
    assert made.main(["--check"]) == 0


@needs_promtool
def test_promtool_reads_the_rules_and_every_case_holds() -> None:
    checked = promtool("check", "rules", "alerts.yml", folder=made.FOLDER)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(ALERTS)} rules found" in checked.stdout
    tried = promtool("test", "rules", "alerts_test.yml", folder=made.FOLDER)
    assert tried.returncode == 0, tried.stdout + tried.stderr


def test_own_processes_are_scraped_and_servers_are_not() -> None:
    parts = [
        {"name": "kafka", "address": "127.0.0.1:9092"},
        {"name": "postgres", "address": "postgresql://baton@127.0.0.1:5432/baton"},
        {"name": "worker-0", "address": "http://127.0.0.1:20001"},
        {"name": "gateway", "address": "http://127.0.0.1:8080"},
    ]
    found = scraping.targets(parts)
    assert found == {"worker-0": "127.0.0.1:20001", "gateway": "127.0.0.1:8080"}
    assert json.loads(scraping.targets_file(found))[1] == {
        "targets": ["127.0.0.1:8080"], "labels": {"process": "gateway"},
    }  # fmt: skip
    assert scraping.targets([]) == {}


@needs_promtool
def test_promtool_reads_both_configurations(tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(scraping.configuration({"worker-0": "127.0.0.1:20001"}))
    for folder in (tmp_path, made.FOLDER):
        checked = promtool("check", "config", "prometheus.yml", folder=folder)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        assert f"{len(ALERTS)} rules found" in checked.stdout


@needs_promtool
@pytest.mark.parametrize("changed", ["never", "always"])
def test_the_cases_notice_an_alert_that_never_fires_and_one_that_always_does(changed: str, tmp_path: Path) -> None:
    expr = {"never": "vector(1) > 2", "always": "vector(1)"}[changed]
    others = [replace(alert, expr=expr, lasts="0m") for alert in ALERTS]
    (tmp_path / "alerts.yml").write_text(rules(others))
    noticing = [case for case in CASES if case.fires == (changed == "never")]
    (tmp_path / "alerts_test.yml").write_text(trials(others, noticing))
    tried = promtool("test", "rules", "alerts_test.yml", folder=tmp_path)
    assert tried.returncode == 1
    told = tried.stdout + tried.stderr
    assert told.count("alertname:") == len(noticing)
    for alert in ALERTS:
        assert f"alertname: {alert.name}," in told
