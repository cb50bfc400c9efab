"""Which pings are believed, alone and after others."""

from math import cos, radians

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.core.policy import Policy, PresencePolicy, scaled
from dispatch.core.presence import Place, Track, judged, refused, top_kmh
from dispatch.core.travel import distance_m

NOW_MS = 1_790_000_000_000
LAT, LNG = 48.0, 7.85
DEGREE_M = 111_195
POLICY = PresencePolicy()


def a_ping(north_m: float = 0, after_s: float = 0, **changes: float) -> Place:
    return Place(LAT + north_m / DEGREE_M, LNG, NOW_MS + round(after_s * 1000))._replace(**changes)


def after(track: Track, *pings: Place, vehicle: str = "car") -> tuple[Track, list[str]]:
    outcomes = []
    for ping in pings:
        track, outcome = judged(track, ping, vehicle, max(NOW_MS, ping.at_ms), POLICY)  # type: ignore[arg-type]
        outcomes.append(outcome)
    return track, outcomes


def here(at_s: float = 0) -> Track:
    return Track(LAT, LNG, NOW_MS + round(at_s * 1000))


@pytest.mark.parametrize(
    ("ping", "code", "word"),
    [
        (a_ping(lat=0, lng=0), "zero_place", "0,0"),
        (a_ping(after_s=61), "in_the_future", "61 s in the future; at most 60 s"),
        (a_ping(after_s=-601), "too_old", "601 s old; at most 600 s"),
        (a_ping(accuracy_m=-1), "bad_accuracy", "-1 m; 0 to 1000 m"),
        (a_ping(accuracy_m=1_001), "bad_accuracy", "1001 m; 0 to 1000 m"),
        (a_ping(accuracy_m=float("nan")), "bad_accuracy", "nan"),
    ],
)
def test_a_ping_that_cannot_be_right_is_refused_with_the_reason(ping: Place, code: str, word: str) -> None:
    found = refused(ping, NOW_MS, POLICY)
    assert found is not None
    assert found[0] == code
    assert word in found[1]


@pytest.mark.parametrize(
    "ping",
    [a_ping(), a_ping(after_s=60), a_ping(after_s=-600), a_ping(accuracy_m=1_000), a_ping(lat=0), a_ping(lng=0)],
)
def test_a_ping_within_the_limits_is_not_refused(ping: Place) -> None:
    assert refused(ping, NOW_MS, POLICY) is None


def test_a_jump_is_not_believed_until_a_second_ping_near_it_confirms_it() -> None:
    track, outcomes = after(here(), a_ping(20_000, 10))
    assert outcomes == ["jump"]
    assert (track.lat, track.at_ms) == (LAT, NOW_MS)
    track, outcomes = after(track, a_ping(20_050, 15), a_ping(20_100, 20))
    assert outcomes == ["confirmed", "taken"]
    assert distance_m(track.lat, track.lng, LAT, LNG) == pytest.approx(20_100, abs=50)


def test_a_jump_is_forgotten_when_the_driver_is_heard_from_where_they_were() -> None:
    track, outcomes = after(here(), a_ping(20_000, 10), a_ping(50, 15), a_ping(20_000, 20))
    assert outcomes == ["jump", "taken", "jump"]
    assert track.doubted is not None


def test_pings_scattered_over_the_country_confirm_nothing() -> None:
    scattered = [a_ping(30_000 * (-1) ** number, number) for number in range(1, 9)]
    track, outcomes = after(here(), *scattered)
    assert set(outcomes) == {"jump"}
    assert (track.lat, track.lng) == (LAT, LNG)


def test_the_same_ping_told_twice_does_not_confirm_itself() -> None:
    _, outcomes = after(here(), a_ping(20_000, 10), a_ping(20_000, 10))
    assert outcomes == ["jump", "jump"]


def test_an_older_ping_moves_nobody_back() -> None:
    track, outcomes = after(here(), a_ping(100, 10), a_ping(50, 5))
    assert outcomes == ["taken", "out_of_order"]
    assert track.at_ms == NOW_MS + 10_000


def test_a_clock_ahead_of_ours_does_not_outrank_what_follows() -> None:
    track, _ = judged(here(), a_ping(100, 50), "car", NOW_MS + 1_000, POLICY)
    assert track.pinged_ms == NOW_MS + 1_000
    _, outcome = judged(track, a_ping(120, 2), "car", NOW_MS + 2_000, POLICY)
    assert outcome == "taken"


def test_a_bicycle_is_doubted_where_a_car_is_believed() -> None:
    fast = a_ping(2_000, 60)
    assert after(here(), fast, vehicle="car")[1] == ["taken"]
    assert after(here(), fast, vehicle="bicycle")[1] == ["jump"]


def test_a_fast_city_has_faster_drivers_but_the_same_clocks_and_networks() -> None:
    fast = scaled(Policy(), 60).presence
    assert top_kmh("car", fast) == 60 * top_kmh("car", POLICY)
    assert (fast.oldest_s, fast.clock_ahead_s) == (600, 60)


_PINGS = st.lists(
    st.tuples(st.floats(-60, 60), st.floats(-179, 179), st.integers(-600_000, 60_000), st.floats(0, 1_000)),
    max_size=30,
)


@given(_PINGS, st.sampled_from(["bicycle", "scooter", "motorbike", "car", "van"]))
def test_whoever_is_believed_was_in_reach_and_time_never_runs_back(
    drawn: list[tuple[float, float, int, float]], vehicle: str
) -> None:
    track = here(-600)
    for lat, lng, after_ms, accuracy_m in drawn:
        ping = Place(lat, lng, NOW_MS + after_ms, accuracy_m)
        moved, outcome = judged(track, ping, vehicle, NOW_MS, POLICY)  # type: ignore[arg-type]
        assert moved.pinged_ms >= track.pinged_ms
        if outcome in ("taken", "confirmed"):
            since = track if outcome == "taken" else track.doubted
            assert since is not None
            seconds = max(0, moved.at_ms - since.at_ms) / 1000
            most_m = top_kmh(vehicle, POLICY) / 3.6 * seconds + POLICY.jump_slack_m + accuracy_m  # type: ignore[arg-type]
            assert distance_m(since.lat, since.lng, lat, lng) <= most_m + 1e-3
            assert (moved.lat, moved.lng) == (lat, lng)
        else:
            assert (moved.lat, moved.lng, moved.at_ms) == (track.lat, track.lng, track.at_ms)
        track = moved


@given(st.lists(st.tuples(st.integers(1, 60), st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=30))
def test_a_driver_within_their_speed_is_always_believed(steps: list[tuple[int, float, float]]) -> None:
    track, lat, lng, at_ms = here(), LAT, LNG, NOW_MS
    for seconds, north, east in steps:
        at_ms += seconds * 1000
        metres = 25 * seconds / 2**0.5
        lat += north * metres / DEGREE_M
        lng += east * metres / (DEGREE_M * cos(radians(lat)))
        track, outcome = judged(track, Place(lat, lng, at_ms), "car", at_ms, POLICY)
        assert outcome == "taken"
