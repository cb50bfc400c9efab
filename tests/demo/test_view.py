"""The live view of the demonstration: whole words, figures under one another, and no taller than a terminal."""

import io
import re

import pytest
from rich.console import Console

from deploy.demo.tally import ENDED, Tally
from deploy.demo.view import render
from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import Economics, OfferTerms
from dispatch.contract.records.system import ZoneHealth

ECONOMICS = Economics(
    currency="EUR", driver_pay_minor=150_000, compensation_minor=0, routing_minor=0, messages_minor=0, storage_minor=0,
    platform_minor=0, cost_minor=150_000, commission_minor=400_000, delivery_fee_minor=0, revenue_minor=400_000,
    net_minor=250_000,
)  # fmt: skip


def shown(tally: Tally, width: int) -> list[str]:
    console = Console(width=width, height=24, record=True, file=io.StringIO())
    console.print(render(tally, 60, 12_345, 20_000))
    return console.export_text().splitlines()


def an_event(kind: type, delivery: str, at_ms: int = 1_790_000_000_123, **more: object) -> object:
    """One of this kind, with something in each field that has to be there."""
    blank = {name: {"driver_id": "robo-001", **more}.get(name, 0) for name in kind.__struct_fields__}  # type: ignore[attr-defined]
    return kind(**{**blank, "delivery_id": delivery, "at_ms": at_ms})


def a_busy_evening() -> Tally:
    """Events of every kind, of 1500 deliveries, by drivers with long and short names."""
    tally = Tally()
    kinds = [kind for kind in vars(events).values() if isinstance(kind, type) and kind.__module__ == events.__name__]
    for number in range(1_500):
        kind = kinds[number % len(kinds)]
        driver = "robo-001" if number % 2 else "a-driver-with-a-name-of-many-words-" * 3
        more = {"driver_id": driver, "level": 1} if "driver_id" in kind.__struct_fields__ else {"level": 1}
        if kind is events.DeliveryEconomicsSettled:
            more["economics"] = ECONOMICS
        tally.take(an_event(kind, f"{number:08x}-1", **more))
    for number in range(7):
        tally.take(health(f"a zone with a long name {number}", understaffed=True))
    tally.ready_to_offer_ms = [5, 60, 12_345]
    return tally


@pytest.mark.parametrize("width", [80, 120])
def test_nothing_is_cut_at_80_columns_and_the_figures_stand_under_one_another(width: int) -> None:
    tally = a_busy_evening()
    lines = shown(tally, width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for word in (
        "orders sent, of 20,000", "12,345", "ready to offer p50, p99 ms", "refused/expired/withdrawn",
        "to the customer", "understaffed", "in the band told", "deliveries", *ENDED,
    ):  # fmt: skip
        assert word in text, word
    rows = lines[1:11]
    assert len({len(line[:50].rstrip()) for line in rows}) == 1
    assert len({len(line.rstrip()) for line in rows}) == 1
    assert [line for line in rows if "…" in line] == []


@pytest.mark.parametrize("width", [80, 120])
def test_the_last_events_are_named_in_full_however_long_a_drivers_name_is(width: int) -> None:
    tally = Tally()
    for kind in (events.DriverCandidatesFound, events.DriverAssigned):
        tally.take(an_event(kind, "1234abcd-1", driver_id="ana-" * 40))
    text = "\n".join(shown(tally, width))
    assert re.search(r"14:13:20\.123  1234abcd  DriverCandidatesFound +│", text)
    assert re.search(r"14:13:20\.123  1234abcd  DriverAssigned +ana-ana-.*…", text)


def test_the_view_keeps_its_height_and_fits_a_terminal_of_24_rows() -> None:
    assert len(shown(Tally(), 80)) == len(shown(a_busy_evening(), 80)) <= 24


def test_the_tally_follows_deliveries_to_their_end_or_to_people() -> None:
    tally = Tally()
    for number, last in enumerate((events.DeliveryCompleted, events.UnassignedEscalated, events.DriverOfferSent)):
        name = f"{number:08x}"
        tally.take(an_event(events.AssignmentStarted, name, 1_000))
        tally.take(an_event(events.DriverOfferSent, name, 1_000, sent_at_ms=1_000 + 10 * number))
        tally.take(an_event(last, name, 5_000))
    assert tally.settled() == 2
    assert (tally.percentile_ms(0), tally.percentile_ms(0.5), tally.percentile_ms(0.99)) == (0, 10, 20)
    tally.take(an_event(events.DriverAssigned, f"{1:08x}", 6_000))
    assert tally.settled() == 1
    tally.take(an_event(events.ManualReviewRequired, f"{2:08x}", 7_000))
    assert tally.settled() == 2


def health(zone: str, **more: object) -> ZoneHealth:
    blank = {name: {"zone": zone, "trend": "steady", "understaffed": False, **more}.get(name, 0)
             for name in ZoneHealth.__struct_fields__}  # fmt: skip
    return ZoneHealth(**blank)  # type: ignore[arg-type]


def test_zones_under_most_pressure_stand_first_and_those_understaffed_are_named() -> None:
    tally = Tally(speed=60)
    for number in range(8):
        tally.take(health(f"zone-{number}", pressure=float(number), drivers_online=number, understaffed=number == 7))
    lines = [line for line in shown(tally, 80) if line.startswith("zone-")]
    assert [line.split()[0] for line in lines] == [f"zone-{number}" for number in (7, 6, 5, 4, 3, 2)]
    assert "understaffed" in lines[0]
    assert "understaffed" not in lines[1]


def test_promises_count_as_kept_within_five_minutes_of_the_city() -> None:
    for speed, late_ms, kept in ((1, 299_000, 1), (1, 301_000, 0), (60, 4_900, 1), (60, 5_100, 0)):
        tally = Tally(speed=speed)
        tally.take(an_event(events.DriverAssigned, "d", 0, terms=terms(1_000_000)))
        tally.take(an_event(events.DeliveryCompleted, "d", 1_000_000 + late_ms))
        assert (tally.promises.ended, tally.promises.soon, tally.promises.with_band) == (1, kept, 0)


def terms(delivery_eta_ms: int) -> OfferTerms:
    return OfferTerms(
        store_name="Anker", pickup_lat=48, pickup_lng=7.8, dropoff_lat=48, dropoff_lng=7.9, pickup_eta_ms=1,
        delivery_eta_ms=delivery_eta_ms, pickup_distance_m=1, total_distance_m=2, earning_minor=300, incentive_minor=0,
        currency="EUR",
    )  # fmt: skip
