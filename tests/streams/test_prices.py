"""Prices follow the pressure of their zone: smoothed, in steps, told when they change and as a sign of life."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dispatch.contract.limits import check
from dispatch.contract.records.system import ZoneHealth
from dispatch.core.policy import Policy, PricingPolicy
from dispatch.streams.price_book import PriceBook

AT_MS = 1_790_000_000_000
POLICY = Policy(version=4)


def health(pressure: float, after_s: float = 0, zone: str = "old-town") -> ZoneHealth:
    return ZoneHealth(
        zone=zone, zone_version=1, at_ms=AT_MS + round(after_s * 1000), drivers_available=1, drivers_busy=0,
        drivers_on_break=0, drivers_paused=0, drivers_shift_ended=0, drivers_offline=0, drivers_online=1,
        min_drivers_online=0, open_searches=1, oldest_search_s=0, pressure=pressure, trend="steady", waits=0,
        wait_p50_ms=0, wait_p95_ms=0, target_wait_s=0, window_s=300, understaffed=False, understaffed_since_ms=0,
    )  # fmt: skip


def test_a_zone_under_pressure_rises_step_by_step_and_falls_again() -> None:
    book, told = PriceBook(), []
    for second in range(0, 600, 5):
        told.append(book.take(health(4.0, second), POLICY))
    up = [price.multiplier_percent for price in told if price]
    assert up[0] == 100
    assert up == sorted(up)
    assert {b - a for a, b in pairwise(up)} <= {0, 5}
    assert 165 <= up[-1] <= 175  # 1 + 25% for each of three above the free one
    down = [book.take(health(0.0, 600 + second), POLICY) for second in range(0, 900, 5)]
    assert [price.multiplier_percent for price in down if price][-1] == 100


def test_a_price_that_stays_is_told_again_as_a_sign_of_life_and_not_more_often() -> None:
    book = PriceBook()
    told = [book.take(health(0.5, second), POLICY) for second in range(0, 91)]
    assert [second for second, price in enumerate(told) if price] == [0, 30, 60, 90]


def test_after_a_restart_smoothing_goes_on_from_what_was_published() -> None:
    book = PriceBook()
    prices = [book.take(health(4.0, second), POLICY) for second in range(0, 300, 5)]
    last = [price for price in prices if price][-1]
    anew = PriceBook()
    anew.recall(last)
    after = anew.take(health(4.0, 300), POLICY)
    assert after is None or last.multiplier_percent <= after.multiplier_percent <= last.multiplier_percent + 5
    fresh = PriceBook().take(health(4.0, 300), POLICY)
    assert fresh is not None
    assert fresh.multiplier_percent == 100


def test_a_count_that_is_older_than_the_last_changes_nothing() -> None:
    book = PriceBook()
    book.take(health(0.0, 10), POLICY)
    assert book.take(health(9.0, 5), POLICY) is None


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 3600)), min_size=1, max_size=30), st.integers(100, 200))
def test_whatever_the_pressure_every_price_keeps_its_bounds_and_the_contract(
    counts: list[tuple[float, int]], highest: int
) -> None:
    book, second, policy = PriceBook(), 0, Policy(pricing=PricingPolicy(max_percent=highest))
    for pressure, passed_s in counts:
        second += passed_s
        price = book.take(health(pressure, second), policy)
        if price is not None:
            check(price)
            assert 100 <= price.multiplier_percent <= highest
