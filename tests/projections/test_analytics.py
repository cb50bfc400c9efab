"""Each view over tables that were folded from random histories gives what is reckoned from the same events by hand."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from histories import DRIVERS, HOURS, START_MS, STATES, History, folded
from psycopg import sql
from psycopg.rows import dict_row

from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from projections.analytics.catalogue import SCHEMA, BadHead, View, read, views
from projections.analytics.placing import put_in_place
from projections.migrate import down, up

FIVE_MIN_MS = 300_000
NOW_MS = START_MS + (HOURS + 60) * 3_600_000
SEEDS = (1, 2, 3)
Row = dict[str, Any]
pytestmark = pytest.mark.servers


class Filled:
    """A history in tables."""

    def __init__(self, dsn: str, history: History) -> None:
        self.dsn, self.history = dsn, history

    def of(self, view: str, **changes: str) -> list[Row]:
        """The rows of a view for the whole time."""
        given = {"since": _iso(START_MS), "until": _iso(NOW_MS), **changes}
        with psycopg.connect(self.dsn, row_factory=dict_row) as connection:
            for name, value in given.items():
                connection.execute("SELECT set_config(%s, %s, true)", (f"baton.{name}", value))
            return connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(SCHEMA, view))).fetchall()

    def by(self, view: str, key: str, **changes: str) -> dict[Any, Row]:
        """The same by a column."""
        return {row[key]: row for row in self.of(view, **changes)}


@pytest.fixture(scope="module", params=SEEDS)
def filled(database: str, request: pytest.FixtureRequest) -> Iterator[Filled]:
    up(database)
    history = History(request.param)
    folded(database, history.events)
    yield Filled(database, history)
    down(database)


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole + 1e-9, 1) if whole else None


def _at(values: Iterable[int], share: float) -> int | None:
    """The smallest value that so many are not above."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


def _near(seen: Any, wanted: float | None) -> bool:
    """To a tenth: Postgres rounds decimals, Python halves of doubles."""
    return seen is None if wanted is None else seen is not None and abs(float(seen) - wanted) < 0.101


def _groups(events: Iterable[Any], key: Any) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = defaultdict(list)
    for event in events:
        found[key(event)].append(event)
    return found


def _zones(history: History) -> dict[str, str]:
    return {event.delivery_id: event.order.zone for event in history.of(de.DeliveryCreated)}


def _outcomes(history: History) -> dict[str, str]:
    words = {de.DriverAccepted: "accepted", de.DriverRejected: "rejected", de.OfferExpired: "expired",
             de.OfferWithdrawn: "withdrawn"}  # fmt: skip
    return {event.offer_id: words[type(event)] for event in history.of(*words)}


def _ready(history: History) -> dict[str, int]:
    return {event.delivery_id: event.at_ms for event in history.of(de.AssignmentStarted)}


def _ends(history: History) -> dict[str, Any]:
    kinds = (de.DeliveryCompleted, de.DeliveryFailed, de.DeliveryCancelled)
    return {event.delivery_id: event for event in history.of(*kinds)}


def _firsts(history: History, kind: type) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for event in history.of(kind):
        found.setdefault(event.delivery_id, event)
    return found


@pytest.mark.parametrize(
    ("view", "key"),
    [("acceptance_by_zone", "zone"), ("acceptance_by_driver", "driver_id"), ("acceptance_over_time", "at")],
)
def test_acceptance_is_what_was_taken_of_what_was_answered(filled: Filled, view: str, key: str) -> None:
    history = filled.history
    zones, outcomes = _zones(history), _outcomes(history)
    keys = {
        "zone": lambda event: zones[event.delivery_id],
        "driver_id": lambda event: event.driver_id,
        "at": lambda event: datetime.fromtimestamp(event.sent_at_ms // 3_600_000 * 3_600, UTC),
    }
    seen, wanted = filled.by(view, key), _groups(history.of(de.DriverOfferSent), keys[key])
    assert set(seen) == set(wanted)
    for name, offers in wanted.items():
        counts, row = Counter(outcomes.get(offer.offer_id, "open") for offer in offers), seen[name]
        assert row["sent"] == len(offers)
        assert [row[word] for word in ("accepted", "rejected", "expired", "withdrawn")] == [
            counts[word] for word in ("accepted", "rejected", "expired", "withdrawn")
        ]
        answered = counts["accepted"] + counts["rejected"] + counts["expired"]
        assert row["answered"] == answered
        assert _near(row["acceptance_percent"], _percent(counts["accepted"], answered))


def test_every_refusal_is_under_its_reason(filled: Filled) -> None:
    refusals = filled.history.of(de.DriverRejected)
    seen, wanted = filled.by("rejection_reasons", "reason"), _groups(refusals, lambda event: event.reason)
    assert set(seen) == set(wanted)
    for reason, mine in wanted.items():
        row = seen[reason]
        assert (row["rejected"], row["of_rejected"]) == (len(mine), len(refusals))
        assert row["drivers"] == len({event.driver_id for event in mine})
        assert row["response_p50_ms"] == _at((event.response_ms for event in mine), 0.5)
        assert _near(row["share_percent"], _percent(len(mine), len(refusals)))


def test_the_wait_for_the_first_driver_is_told_by_percentiles(filled: Filled) -> None:
    zones, firsts = _zones(filled.history), _firsts(filled.history, de.DriverAssigned)
    wanted = _groups(firsts.values(), lambda event: zones[event.delivery_id])
    seen = filled.by("assignment_latency_by_zone", "zone")
    assert set(seen) == set(wanted)
    for zone, mine in wanted.items():
        waits = [event.search_ms for event in mine]
        row = seen[zone]
        assert (row["assigned"], row["max_ms"]) == (len(mine), max(waits))
        assert [row["p50_ms"], row["p95_ms"], row["p99_ms"]] == [_at(waits, share) for share in (0.5, 0.95, 0.99)]
    over_time = filled.of("assignment_latency_over_time")
    assert sum(row["assigned"] for row in over_time) == len(firsts)


def test_the_first_offer_is_timed_where_nobody_had_to_be_waited_for(filled: Filled) -> None:
    ready, offers = _ready(filled.history), _firsts(filled.history, de.DriverOfferSent)
    queued = {event.delivery_id for event in filled.history.of(de.NoDriverFound)}
    seen = filled.by("first_offers", "delivery_id")
    assert {str(name) for name in seen} == set(offers)
    for name, row in seen.items():
        assert row["latency_ms"] == offers[str(name)].sent_at_ms - ready[str(name)]
        assert row["waited"] == (str(name) in queued)
    timed = [row["latency_ms"] for row in seen.values() if not row["waited"]]
    steps = filled.of("offer_latency_over_time", step="1000 days")
    assert [(row["offered"], row["p50_ms"], row["p99_ms"]) for row in steps] == [
        (len(timed), _at(timed, 0.5), _at(timed, 0.99))
    ]


def test_first_attempts_are_counted_by_first_offers_and_first_drivers(filled: Filled) -> None:
    history = filled.history
    zones, outcomes, offers = _zones(history), _outcomes(history), _firsts(history, de.DriverOfferSent)
    drivers = Counter(event.delivery_id for event in history.of(de.DriverAssigned))
    seen = filled.by("first_attempt_by_zone", "zone")
    for zone in set(zones.values()):
        first = [outcomes.get(event.offer_id) for name, event in offers.items() if zones[name] == zone]
        asked = [outcome for outcome in first if outcome in ("accepted", "rejected", "expired")]
        done = [event.delivery_id for event in history.of(de.DeliveryCompleted) if zones[event.delivery_id] == zone]
        once = [name for name in done if drivers[name] == 1]
        row = seen[zone]
        assert (row["asked"], row["first_accepted"]) == (len(asked), asked.count("accepted"))
        assert (row["delivered"], row["by_first_driver"]) == (len(done), len(once))
        assert _near(row["first_accepted_percent"], _percent(asked.count("accepted"), len(asked)))


def test_a_reassignment_succeeds_when_another_driver_gets_it(filled: Filled) -> None:
    history = filled.history
    ends, assigned = _ends(history), _groups(history.of(de.DriverAssigned), lambda event: event.delivery_id)
    seen = filled.by("reassignments_by_reason", "reason")
    wanted = _groups(history.of(de.AssignmentReassigned), lambda event: event.reason)
    assert set(seen) == set(wanted)
    for reason, mine in wanted.items():
        after = [
            next((one.at_ms - event.at_ms for one in assigned[event.delivery_id] if one.version > event.version), None)
            for event in mine
        ]
        found = [took for took in after if took is not None]
        still_open = sum(
            1 for event, took in zip(mine, after, strict=True) if took is None and event.delivery_id not in ends
        )
        row = seen[reason]
        assert (row["reassigned"], row["found_again"], row["still_open"]) == (len(mine), len(found), still_open)
        assert _near(row["success_percent"], _percent(len(found), len(mine) - still_open))
        assert (row["again_p50_ms"], row["again_p95_ms"]) == (_at(found, 0.5), _at(found, 0.95))


@pytest.mark.parametrize(
    ("view", "key"),
    [("completion_by_zone", "zone"), ("completion_by_seller", "seller_id"), ("completion_over_time", "at")],
)
def test_completion_is_what_was_delivered_of_what_ended(filled: Filled, view: str, key: str) -> None:
    keys = {
        "zone": lambda event: event.order.zone,
        "seller_id": lambda event: event.order.seller_id,
        "at": lambda event: datetime.fromtimestamp(event.at_ms // 3_600_000 * 3_600, UTC),
    }
    ends, ready = _ends(filled.history), _ready(filled.history)
    seen, wanted = filled.by(view, key), _groups(filled.history.of(de.DeliveryCreated), keys[key])
    assert set(seen) == set(wanted)
    for name, created in wanted.items():
        mine = [ends[event.delivery_id] for event in created if event.delivery_id in ends]
        kinds, row = Counter(type(event) for event in mine), seen[name]
        assert (row["created"], row["ended"], row["still_open"]) == (len(created), len(mine), len(created) - len(mine))
        assert (row["delivered"], row["failed"], row["returned"], row["cancelled"]) == (
            kinds[de.DeliveryCompleted], kinds[de.DeliveryFailed], 0, kinds[de.DeliveryCancelled],
        )  # fmt: skip
        assert _near(row["completion_percent"], _percent(kinds[de.DeliveryCompleted], len(mine)))
        took = [(end.at_ms - ready[end.delivery_id]) / 1000 for end in mine if isinstance(end, de.DeliveryCompleted)]
        middle = _at(took, 0.5)  # type: ignore[arg-type]
        assert (row["ready_to_end_p50_s"] is None) == (middle is None)
        assert middle is None or abs(row["ready_to_end_p50_s"] - middle) <= 1


def test_a_cancellation_shows_its_word_but_no_text_that_somebody_wrote(filled: Filled) -> None:
    rows, ends = filled.of("cancellations_by_reason"), _ends(filled.history)
    cancelled = [event for event in ends.values() if isinstance(event, de.DeliveryCancelled)]
    assert sum(row["cancelled"] for row in rows) == len(cancelled)
    assert {row["reason"] for row in rows} <= {"in words", "nobody_found", "order_cancelled"}
    written = sum(1 for event in cancelled if " " in event.reason)
    assert sum(row["cancelled"] for row in rows if row["reason"] == "in words") == written
    assert all(row["of_created"] == len(filled.history.of(de.DeliveryCreated)) for row in rows)
    had = {event.delivery_id for event in filled.history.of(de.DriverAssigned)}
    without = sum(1 for event in cancelled if event.delivery_id not in had)
    assert sum(row["cancelled"] for row in rows if row["stage"] == "without a driver") == without


def test_arrivals_are_judged_by_what_the_last_driver_s_taking_promised(filled: Filled) -> None:
    zones = _zones(filled.history)
    promised = {event.delivery_id: event.terms for event in filled.history.of(de.DriverAssigned)}
    seen = filled.by("eta_accuracy_by_zone", "zone")
    wanted = _groups(filled.history.of(de.DeliveryCompleted), lambda event: zones[event.delivery_id])
    assert set(seen) == set(wanted)
    for zone, mine in wanted.items():
        row = seen[zone]
        errors = [round((event.at_ms - promised[event.delivery_id].delivery_eta_ms) / 1000) for event in mine]
        bands = [(event.at_ms, promised[event.delivery_id].eta.delivery) for event in mine
                 if promised[event.delivery_id].eta is not None]  # fmt: skip
        within = sum(1 for at_ms, band in bands if band.p10_ms <= at_ms <= band.p90_ms)
        assert (row["delivered"], row["banded"], row["in_band"]) == (len(mine), len(bands), within)
        assert row["early"] == sum(1 for at_ms, band in bands if at_ms < band.p10_ms)
        assert row["late"] == sum(1 for at_ms, band in bands if at_ms > band.p90_ms)
        assert _near(row["in_band_percent"], _percent(within, len(bands)))
        assert (row["error_p50_s"], row["error_p90_s"]) == tuple(
            _at((abs(error) for error in errors), share) for share in (0.5, 0.9)
        )
        assert row["within_5_min"] == sum(1 for error in errors if abs(error) <= 300)
        assert _near(row["bias_s"], sum(errors) / len(errors))
    over_time = filled.of("eta_accuracy_over_time")
    assert sum(row["delivered"] for row in over_time) == sum(row["delivered"] for row in seen.values())


def test_who_is_unassigned_for_five_minutes_is_counted_whether_somebody_came_then_or_not(filled: Filled) -> None:
    history = filled.history
    zones, ready, ends = _zones(history), _ready(history), _ends(history)
    firsts = _firsts(history, de.DriverAssigned)
    seen = filled.by("unassigned_by_zone", "zone")
    assert set(seen) == {zones[name] for name in ready}
    for zone, row in seen.items():
        mine = [name for name in ready if zones[name] == zone]
        waited = {name: (firsts[name].at_ms if name in firsts else ends[name].at_ms if name in ends else NOW_MS * 2)
                  - ready[name] for name in mine}  # fmt: skip
        over = [name for name in mine if waited[name] > FIVE_MIN_MS]
        judged = [name for name in mine if name in firsts or waited[name] > FIVE_MIN_MS]
        assert (row["ready"], row["judged"], row["over_5_min"]) == (len(mine), len(judged), len(over))
        assert row["waiting"] == sum(1 for name in mine if name not in firsts and name not in ends)
        assert _near(row["over_5_min_percent"], _percent(len(over), len(judged)))
    assert sum(row["over_5_min"] for row in filled.of("unassigned_over_time")) == sum(
        row["over_5_min"] for row in seen.values()
    )


def test_where_the_city_lives_faster_five_minutes_are_shorter(filled: Filled) -> None:
    usual, fast = (filled.by("unassigned_by_zone", "zone", speed=speed) for speed in ("1", "60"))
    ready, firsts, zones = _ready(filled.history), _firsts(filled.history, de.DriverAssigned), _zones(filled.history)
    for zone, row in fast.items():
        late = sum(1 for name, event in firsts.items() if zones[name] == zone and event.at_ms - ready[name] > 5_000)
        assert row["over_5_min"] >= max(late, usual[zone]["over_5_min"])


def test_the_queue_shows_who_waits_now(filled: Filled) -> None:
    history, queued = filled.history, set()
    left = (de.DriverAssigned, de.DeliveryCompleted, de.DeliveryCancelled, de.DeliveryFailed)
    for event in history.of(de.NoDriverFound, *left):
        (queued.add if isinstance(event, de.NoDriverFound) else queued.discard)(event.delivery_id)
    zones = _zones(history)
    assert {row["zone"]: row["orders"] for row in filled.of("unassigned_now")} == Counter(map(zones.get, queued))


def _spells(history: History, since_ms: int, until_ms: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for driver, mine in _groups(history.of(dr.DriverAvailabilityChanged), lambda event: event.driver_id).items():
        for event, following in zip(mine, [*mine[1:], None], strict=True):
            begin, end = max(event.at_ms, since_ms), min(following.at_ms if following else until_ms, until_ms)
            if end > begin or (since_ms <= event.at_ms < until_ms):
                spells = found.setdefault(driver, dict.fromkeys(STATES, 0.0))
                spells[event.to_availability] += max(0, end - begin) / 1000
    return found


@pytest.mark.parametrize(("since_h", "until_h"), [(0, HOURS + 60), (5, 11), (10, 10.5), (200, 300)])
def test_states_last_until_the_next_change_and_are_cut_to_the_time_asked_for(
    filled: Filled, since_h: float, until_h: float
) -> None:
    since_ms, until_ms = (START_MS + int(hours * 3_600_000) for hours in (since_h, until_h))
    period = {"since": _iso(since_ms), "until": _iso(until_ms)}
    seen, wanted = (
        filled.by("availability_by_driver", "driver_id", **period),
        _spells(filled.history, since_ms, until_ms),
    )
    assert set(seen) == set(wanted)
    for driver, spells in wanted.items():
        for state in STATES:
            assert abs(seen[driver][f"{state.lower()}_s"] - spells[state]) <= 1, (driver, state)
    offline = filled.by("offline_by_driver", "driver_id", **period)
    for driver in wanted:
        mine = [event for event in filled.history.of(dr.DriverAvailabilityChanged)
                if event.driver_id == driver and since_ms <= event.at_ms < until_ms]  # fmt: skip
        gone = [event for event in mine if event.to_availability == "OFFLINE"]
        assert offline[driver]["went_offline"] == len(gone)
        assert offline[driver]["while_busy"] == sum(1 for event in gone if event.from_availability == "BUSY")
    assert set(seen) <= set(DRIVERS)


@pytest.mark.parametrize(
    ("view", "key"),
    [("economics_by_zone", "zone"), ("economics_by_seller", "seller_id"), ("economics_by_driver", "driver_id"),
     ("economics_by_hour", "at")],
)  # fmt: skip
def test_money_is_summed_by_currency(filled: Filled, view: str, key: str) -> None:
    keys = {
        "zone": lambda event: event.zone, "seller_id": lambda event: event.seller_id,
        "driver_id": lambda event: event.driver_id,
        "at": lambda event: datetime.fromtimestamp(event.at_ms // 3_600_000 * 3_600, UTC),
    }  # fmt: skip
    seen = {(row[key], row["currency"]): row for row in filled.of(view)}
    wanted = _groups(filled.history.of(de.DeliveryEconomicsSettled), lambda e: (keys[key](e), e.economics.currency))
    assert set(seen) == set(wanted)
    for name, mine in wanted.items():
        row = seen[name]
        assert (row["deliveries"], row["delivered"]) == (len(mine), sum(e.outcome == "delivered" for e in mine))
        for amount in ("revenue_minor", "cost_minor", "driver_pay_minor", "net_minor"):
            assert row[amount] == sum(getattr(event.economics, amount) for event in mine)
        assert row["lost_minor"] == sum(e.economics.net_minor for e in mine if e.outcome != "delivered")


def test_the_criteria_are_sums_of_what_the_views_show(filled: Filled) -> None:
    rows = filled.by("success_criteria", "criterion")
    acceptance = filled.of("acceptance_by_zone")
    accepted, answered = (sum(row[name] for row in acceptance) for name in ("accepted", "answered"))
    assert (rows["acceptance"]["numerator"], rows["acceptance"]["denominator"]) == (accepted, answered)
    assert rows["acceptance"]["met"] == (accepted > 0.8 * answered)
    lost, held = (filled.history.of(kind) for kind in (de.AssignmentReassigned, de.DriverAssigned))
    assert rows["reassignments"]["numerator"] == len(lost)
    assert rows["reassignments"]["denominator"] == len({event.delivery_id for event in held})
    assert rows["reassignments"]["met"]
    ended = _ends(filled.history)
    assert rows["completion"]["denominator"] == len(ended)
    assert rows["completion"]["met"] is None
    newest = max(event.at_ms for event in filled.history.of(*de.AUDIT_WORDS))
    lags = {row["topic"]: row for row in filled.of("audit_lag")}
    assert set(lags) == {"delivery.events", "driver.events"}
    assert lags["delivery.events"]["event_at"].timestamp() * 1000 <= newest
    assert rows["audit_lag_ms"]["seen"] == max(row["lag_ms"] for row in lags.values())
    assert list(rows) == [
        "acceptance", "unassigned_after_5_min", "reassignments", "reassignment_success", "offer_p99_ms",
        "audit_lag_ms", "eta_in_band", "first_attempt", "completion",
    ]  # fmt: skip


@pytest.mark.parametrize("view", views().values(), ids=lambda view: view.name)
def test_a_view_has_the_columns_that_its_head_describes(filled: Filled, view: View) -> None:
    with psycopg.connect(filled.dsn) as connection:
        found = connection.execute(
            "SELECT attname, split_part(replace(format_type(atttypid, atttypmod), 'timestamp with time zone',"
            " 'timestamptz'), '(', 1) FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum",
            (f"{SCHEMA}.{view.name}",),
        ).fetchall()
    assert found == [(column.name, column.kind) for column in view.columns]


def test_an_analyst_reads_the_views_and_no_personal_data(filled: Filled) -> None:
    with psycopg.connect(filled.dsn) as connection:
        connection.execute("SET ROLE baton_analyst")
        for name in views():
            connection.execute(sql.SQL("SELECT * FROM {} LIMIT 1").format(sql.Identifier(SCHEMA, name)))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM contacts")


def test_a_view_whose_columns_changed_is_made_anew_and_one_without_a_file_goes(filled: Filled) -> None:
    with psycopg.connect(filled.dsn, autocommit=True) as connection:
        connection.execute("DROP VIEW analytics.unassigned_now")
        connection.execute("CREATE VIEW analytics.unassigned_now AS SELECT 1 AS something, 2 AS zone")
        connection.execute("CREATE VIEW analytics.of_old AS SELECT * FROM analytics.unassigned_now")
        assert put_in_place(connection) == len(views())
        names = connection.execute("SELECT viewname FROM pg_views WHERE schemaname = 'analytics'").fetchall()
    assert {name for (name,) in names} == set(views())
    assert len(filled.of("unassigned_now")) >= 0


def test_without_any_data_every_view_answers(database: str, servers: Any) -> None:
    name = f"{database.rsplit('/', 1)[1]}_empty"
    with psycopg.connect(servers.postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    dsn = database.rsplit("/", 1)[0] + f"/{name}"
    try:
        up(dsn)
        for view in views():
            rows = Filled(dsn, History(0, 0, 0)).of(view)
            assert rows == [] or view == "success_criteria"
        assert all(row["seen"] is None and row["met"] is None for row in Filled(dsn, History(0, 0, 0)).of(
            "success_criteria"))  # fmt: skip
    finally:
        with psycopg.connect(servers.postgres, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def test_a_head_that_lacks_something_is_refused() -> None:
    good = (
        "-- a: what?\n-- One row: x\n-- Period: now\n-- By: x\n-- Columns:\n--   y text: z\n-- Null: n\n"
        "-- Caveats: c\nSELECT 1"
    )
    assert read("a", good).columns[0].about == "z"
    for part in ("-- Null: n\n", "-- One row: x\n", "-- a: what?\n"):
        with pytest.raises(BadHead):
            read("a", good.replace(part, ""))
    for wrong in (good.replace("Period: now", "Period: sometimes"), good.replace("y text: z", "y: z")):
        with pytest.raises(BadHead):
            read("a", wrong)
