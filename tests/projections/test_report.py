"""What is told of how it went: sentences with figures, sparklines, plots, the page, with no data and with little."""

import html.parser
import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from histories import START_MS, History, folded
from hypothesis import given
from hypothesis import strategies as st

from projections import findings, plots
from projections.migrate import down, up
from projections.report import Report, gathered, step_for, step_words, took, verdict
from projections.report_page import page
from projections.sparks import GAP, spark

START = datetime.fromtimestamp(START_MS / 1000, UTC)
ZONE = {"zone": "north", "answered": 50, "accepted": 31}
FIGURES = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), max_size=100)


def said(**views: list[dict[str, Any]]) -> list[str]:
    return findings.findings(views)


def test_acceptance_names_the_zone_that_is_far_below_the_rest() -> None:
    rest = {"zone": "old-town", "answered": 100, "accepted": 90}
    assert said(acceptance_by_zone=[rest, ZONE]) == [
        "Drivers took 80.7% of the 150 offers that they answered or let pass.",
        "They took the fewest in zone north: 62.0% (31 of 50).",
    ]
    near = {"zone": "south", "answered": 50, "accepted": 44}
    assert len(said(acceptance_by_zone=[rest, near])) == 1
    few = {"zone": "south", "answered": 3, "accepted": 0}
    assert len(said(acceptance_by_zone=[rest, few])) == 1
    assert said(acceptance_by_zone=[few]) == []


def test_the_worst_hour_is_named_when_it_stands_out() -> None:
    steps = [{"at": START + timedelta(hours=hour), "answered": 50, "accepted": taken}
             for hour, taken in enumerate((45, 46, 20, 44))]  # fmt: skip
    assert said(acceptance_over_time=steps) == [
        "Acceptance was lowest from 2026-09-21 16:00 UTC on: 40.0% (20 of 50), against 77.5% over the whole time."
    ]
    assert said(acceptance_over_time=steps[:2]) == []
    assert said(acceptance_over_time=[steps[0], steps[1], steps[3]]) == []


def test_the_most_frequent_reason_for_refusals_is_told() -> None:
    rows = [{"reason": "earning", "rejected": 5, "of_rejected": 25, "drivers": 1},
            {"reason": "too_far", "rejected": 20, "of_rejected": 25, "drivers": 1}]  # fmt: skip
    assert said(rejection_reasons=rows) == [
        "The most frequent reason for a refusal is too_far: 80.0% (20 of 25), said by 1 driver."
    ]
    assert said(rejection_reasons=[{**rows[0], "of_rejected": 19}]) == []


def test_waits_are_told_when_one_zone_waits_twice_as_long() -> None:
    fast = {"zone": "a", "assigned": 40, "p50_ms": 900, "p95_ms": 30_000}
    slow = {"zone": "b", "assigned": 30, "p50_ms": 45_000, "p95_ms": 150_000}
    assert said(assignment_latency_by_zone=[fast, slow]) == [
        "Orders wait longest for a driver in zone b: 95 of 100 had one within 2.5 min (half within 45.0 s, of 30); "
        "in zone a it was 30.0 s (of 40)."
    ]
    assert said(assignment_latency_by_zone=[fast, {**slow, "p95_ms": 59_000}]) == []
    assert said(assignment_latency_by_zone=[fast, {**slow, "assigned": 5}]) == []


def test_orders_without_a_driver_are_told_with_the_zone_that_has_most_of_them() -> None:
    rows = [{"zone": "a", "over_5_min": 2, "judged": 60}, {"zone": "b", "over_5_min": 8, "judged": 40}]
    assert said(unassigned_by_zone=rows) == [
        "10 of 100 orders (10.0%) were without a driver for more than 5 min; 8 of them in zone b, of 40 there."
    ]
    assert said(unassigned_by_zone=[{"zone": "a", "over_5_min": 0, "judged": 60}]) == []


def test_losses_cancellations_and_first_attempts_are_told() -> None:
    lost = [{"reason": "driver_offline", "reassigned": 1, "found_again": 1},
            {"reason": "driver_cancelled", "reassigned": 4, "found_again": 3}]  # fmt: skip
    assert said(reassignments_by_reason=lost) == [
        "Drivers lost 5 deliveries before the pickup, most often for driver_cancelled (4 of 5); "
        "another driver was found for 4 of them."
    ]
    off = [{"reason": "in words", "stage": "with a driver", "cancelled": 6, "of_created": 100},
           {"reason": "nobody_found", "stage": "without a driver", "cancelled": 2, "of_created": 100}]  # fmt: skip
    assert said(cancellations_by_reason=off) == [
        "8 of 100 deliveries (8.0%) were called off, most of all with a driver, for a reason that somebody wrote (6)."
    ]
    assert said(cancellations_by_reason=[off[1]])[0].endswith("without a driver, as nobody_found (2).")
    assert said(first_attempt_by_zone=[{"zone": "a", "first_accepted": 15, "asked": 20}]) == [
        "The first driver who was asked took 75.0% of the orders (15 of 20)."
    ]


@pytest.mark.parametrize(
    ("in_band", "word"), [(80, "as meant"), (60, "the bands are too narrow"), (95, "wider than needed")]
)
def test_arrivals_are_judged_by_their_bands(in_band: int, word: str) -> None:
    zone = {"zone": "a", "delivered": 100, "banded": 100, "in_band": in_band, "early": 1, "late": 100 - in_band - 1,
            "bias_s": 20}  # fmt: skip
    (told,) = said(eta_accuracy_by_zone=[zone])
    assert told == (
        f"{in_band}.0% of 100 arrivals came within their band, 80% are meant to: {word}; 1 came earlier and "
        f"{99 - in_band} later."
    )
    assert said(eta_accuracy_by_zone=[{**zone, "bias_s": -90}])[1] == (
        "In zone a the 100 arrivals came 90.0 s earlier than promised, on average."
    )


def test_zones_without_drivers_and_drivers_who_go_are_told() -> None:
    zone = {"zone": "east", "minutes": 60, "understaffed_minutes": 30, "drivers_online": 2.5, "open_searches": 4}
    assert said(zone_density=[zone, {**zone, "zone": "west", "understaffed_minutes": 0}]) == [
        "Zone east had fewer drivers online than its minimum in 30 of 60 minutes counted (2.5 online on average, "
        "4 orders waiting)."
    ]
    drivers = [{"driver_id": "ana", "went_offline": 15, "while_busy": 2}, {"driver_id": "ben", "went_offline": 6,
               "while_busy": 0}, {"driver_id": "cleo", "went_offline": 0, "while_busy": 0}]  # fmt: skip
    assert said(offline_by_driver=drivers) == [
        "2 of 3 drivers went offline, 21 times together, 2 of them while busy; ana did most often (15)."
    ]


def test_of_nothing_nothing_is_said() -> None:
    assert said() == []


@given(FIGURES, st.integers(1, 60))
def test_a_sparkline_is_no_wider_than_asked_and_shows_gaps(values: list[float | None], width: int) -> None:
    line = spark(values, width)
    assert len(line) == min(len(values), width)
    if len(values) <= width:
        assert [letter == GAP for letter in line] == [value is None for value in values]


def test_a_sparkline_rises_with_its_figures() -> None:
    assert spark([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert spark([0.0, 0.0]) == "▁▁"
    assert spark([5, None, 5]) == "▄·▄"
    assert spark([1, 3, 10, 20], 2) == "▁█"


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9))
def test_ticks_hold_all_that_is_drawn_and_are_not_many(low: float, span: float) -> None:
    found = plots.ticks(low, low + span)
    slack = 1e-6 * max(1.0, abs(low), span)
    assert found[0] <= low + slack
    assert found[-1] >= low + span - slack
    assert 2 <= len(found) <= 8
    assert found == sorted(found)


def test_durations_are_short_and_steps_exact() -> None:
    assert [took(ms) for ms in (7, 1500, 3000, 150_000, 7_200_000, 172_800_000)] == [
        "7 ms", "1.5 s", "3 s", "2.5 min", "2 h", "2 days",
    ]  # fmt: skip
    assert [step_words(timedelta(seconds=seconds)) for seconds in (10, 90, 900, 3600, 86_400)] == [
        "10 s", "90 s", "15 min", "1 h", "1 d",
    ]  # fmt: skip


@given(st.integers(1, 400 * 86_400))
def test_of_the_steps_some_dozens_are_enough(seconds: int) -> None:
    step = step_for(timedelta(seconds=seconds))
    assert seconds / step.total_seconds() <= 70
    assert step == timedelta(seconds=1) or seconds / step.total_seconds() > 6


def test_a_verdict_is_not_passed_on_a_few() -> None:
    row = {"criterion": "acceptance", "seen": 90, "met": True, "denominator": 20}
    assert verdict(row) == ("met", "met")
    assert verdict({**row, "met": False}) == ("missed", "missed")
    assert verdict({**row, "denominator": 19}) == ("of too few", "soft")
    assert verdict({**row, "met": None}) == ("no aim set", "soft")
    assert verdict({**row, "seen": None}) == ("not measured", "soft")
    assert verdict({**row, "criterion": "audit_lag_ms", "denominator": 2}) == ("met", "met")


def test_a_line_is_broken_where_there_is_no_figure_and_a_single_one_is_a_dot() -> None:
    moments = [START + number * timedelta(hours=1) for number in range(6)]
    drawn = plots.lines("Orders <1>", [plots.Line("a & b", [1, 2, None, 3, None, 4])], moments, timedelta(hours=1), str)
    assert drawn.count("<polyline") == 1
    assert drawn.count("<circle") == 2
    assert "a &amp; b" in drawn
    assert "<title" in drawn
    assert "from 1 to 4, 4 at the end" in drawn


class Wellformed(html.parser.HTMLParser):
    """Whether every tag that opens closes, in turn; and what a page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.loads += [str(value) for name, value in attrs if name in ("src", "href")]
        self.ids += [str(value) for name, value in attrs if name == "id"]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of SVG without content."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(text: str) -> Wellformed:
    parser = Wellformed()
    parser.feed(text)
    assert parser.open == []
    assert parser.loads == []
    assert "<script" not in text
    assert "url(" not in text
    assert len(parser.ids) == len(set(parser.ids))
    return parser


def a_report(dsn: str, **changes: Any) -> Report:
    return gathered(dsn, changes.get("since"), changes.get("until"), changes.get("speed", 1.0))


@pytest.mark.servers
@pytest.mark.parametrize("count", [0, 1, 200])
def test_the_page_and_the_figures_hold_for_none_for_one_and_for_many(database: str, count: int) -> None:
    up(database)
    history = History(11, count, 60 if count > 1 else 0)
    if count:
        folded(database, history.events)
    try:
        found = a_report(database, since=START, until=START + timedelta(days=3))
        text = page(found)
        checked(text)
        assert found.deliveries == count
        assert found.about() in text
        assert all(len(one.values) == len(found.moments()) for one in found.series)
        if not count:
            assert "nothing to report" in text
            assert found.sentences == ()
            return
        orders = next(one for one in found.series if one.name == "orders")
        assert sum(value or 0 for value in orders.values) == count
        assert text.count("<svg") >= (1 if count == 1 else 8)
        assert ("say little" in text) == (count == 1)
        assert all(sentence.replace("'", "&#x27;") in text for sentence in found.sentences if "<" not in sentence)
        plain = found.as_json()
        assert plain["deliveries"] == count
        assert {row["criterion"] for row in plain["criteria"]} >= {"acceptance", "audit_lag_ms"}
    finally:
        down(database)


@pytest.mark.servers
def test_without_a_time_the_last_days_are_told_from_their_first_delivery_on(database: str) -> None:
    up(database)
    folded(database, History(12, 40, 0).events)
    with psycopg.connect(database) as connection:
        late = datetime.now(UTC) - timedelta(minutes=10)
        connection.execute("SELECT baton_month('public', 'deliveries', %s)", (late.date(),))
        connection.execute(
            "UPDATE deliveries SET created_at = %s, ended_at = %s WHERE delivery_id ="
            " (SELECT delivery_id FROM deliveries WHERE ended_at IS NOT NULL LIMIT 1)",
            (late, late + timedelta(minutes=4)),
        )
    try:
        found = a_report(database)
        assert found.deliveries == 1
        assert late - timedelta(seconds=30) <= found.since <= late
        assert found.until - late < timedelta(minutes=5)
        assert found.step <= timedelta(seconds=10)
        fast = a_report(database, speed=60.0)
        assert "5 min are 5 s here" in fast.about()
    finally:
        down(database)


def test_names_from_outside_are_text_on_the_page() -> None:
    drawn = plots.bars("x", [plots.Bar("<b>zone</b>", 3, "3 & more")])
    assert "<b>" not in drawn
    assert "&lt;b&gt;zone" in drawn
    assert re.search(r'class="bar" x="[\d.]+" y="\d+" width="[\d.]+"', drawn)
    assert 'class="bar below"' in plots.bars("x", [plots.Bar("a", -3, ""), plots.Bar("b", 2, "")])


@pytest.mark.servers
def test_the_commands_tell_and_write_at_a_terminal_of_eighty_columns(database: str, tmp_path: Path) -> None:
    up(database)
    folded(database, History(13, 120, 60).events)
    around = {"BATON_POSTGRES": database, "BATON_KAFKA": "none", "BATON_VALKEY": "none", "COLUMNS": "80",
              "PATH": "/usr/bin:/bin", "BATON_HOME": str(tmp_path)}  # fmt: skip
    span = ("--since", "2026-09-21", "--until", "2026-09-24")

    def baton(*arguments: str) -> str:
        command = [sys.executable, "-m", "dispatch.cli", *arguments]
        done = subprocess.run(command, env=around, capture_output=True, text=True, timeout=120, check=False,
                              cwd=Path(__file__).parents[2])  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    try:
        page_file = tmp_path / "page.html"
        told = baton("report", *span, "--html", str(page_file))
        checked(page_file.read_text())
        shown = [line for line in told.splitlines() if str(page_file) not in line]
        assert max(len(line) for line in shown) <= 80
        assert "120 deliveries became known." in told
        assert "offers taken" in told
        assert "What stands out" in told
        plain = json.loads(baton("report", *span, "--json"))
        assert plain["deliveries"] == 120
        assert len(plain["series"][0]["values"]) > 20
        wrote = baton("export", "offers", "acceptance_by_zone", *span, "--format", "csv", "--out", str(tmp_path))
        assert wrote.count(" rows, ") == 2
        assert (tmp_path / "offers.csv").read_text().startswith("offer_id,")
        assert not list(tmp_path.glob(".*.part"))
    finally:
        down(database)
