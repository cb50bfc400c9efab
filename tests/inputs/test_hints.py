"""Places that were asked for a moment ago are counted as taken until the index has heard of it."""

from typing import Any

from dispatch.core.facts import FoundDriver, SearchResult
from dispatch.processors.hints import KEPT_MS, UNTOLD_MS, ReservedHints

NOW = 1_800_000_000_000


def found(driver_id: str = "ana", as_of_ms: int = NOW - 60_000, **changes: Any) -> SearchResult:
    fields: dict[str, Any] = {
        "lat": 48.0, "lng": 7.85, "distance_m": 100, "vehicle": "car", "capacity": 2, "orders": 0, "rating": 4.5,
        "availability": "AVAILABLE",
    } | changes  # fmt: skip
    return SearchResult(source="valkey", drivers=(FoundDriver(driver_id=driver_id, as_of_ms=as_of_ms, **fields),))


def taken(hints: ReservedHints, search: SearchResult, now_ms: int = NOW, by: str = "another") -> int:
    (driver,) = hints.applied(search, by, now_ms).drivers
    return driver.orders


def test_a_place_asked_for_counts_as_taken_until_the_index_has_heard_of_it() -> None:
    hints = ReservedHints()
    hints.asked("ana", "first", NOW - 1_000)
    hints.asked("ana", "second", NOW - 100)
    assert taken(hints, found()) == 2
    assert taken(hints, found(as_of_ms=NOW - 1_000, orders=1)) == 2
    assert taken(hints, found(as_of_ms=NOW - 50, orders=2)) == 2
    assert taken(hints, found("ben")) == 0


def test_what_the_index_never_hears_of_is_forgotten() -> None:
    hints = ReservedHints()
    hints.asked("ana", "first", NOW)
    assert taken(hints, found(), NOW + KEPT_MS - 1) == 1
    assert taken(hints, found(), NOW + KEPT_MS) == 0


def test_an_index_that_does_not_say_how_old_it_is_is_soon_believed() -> None:
    hints = ReservedHints()
    hints.asked("ana", "first", NOW)
    assert taken(hints, found(as_of_ms=0), NOW + UNTOLD_MS - 1) == 1
    assert taken(hints, found(as_of_ms=0), NOW + UNTOLD_MS) == 0


def test_a_delivery_that_asks_again_after_its_transaction_was_taken_back_does_not_stand_in_its_own_way() -> None:
    hints = ReservedHints()
    hints.asked("ana", "first", NOW)
    assert taken(hints, found(), NOW + 50, by="first") == 0
    hints.asked("ana", "first", NOW + 50)
    assert taken(hints, found(), NOW + 60) == 1


def test_no_more_is_kept_than_the_last_moment_asked_for() -> None:
    hints = ReservedHints()
    for number in range(10_000):
        hints.asked(f"driver-{number}", "first", NOW + number * 10)
    assert len(hints._asked) <= KEPT_MS // 10 + 1
