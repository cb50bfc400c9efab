"""A driver's score: bounded, shrunk while data is thin, each part shown and adding up."""

from math import fsum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dispatch.contract import codec
from dispatch.core.driver_score import PARTS, Tally, mean_score, scored, shrunk, told
from dispatch.core.policy import DriverScorePolicy

POLICY = DriverScorePolicy()
counts = st.integers(0, 5_000)
tallies = st.builds(
    lambda on_time_share, **fields: Tally(on_time=round(fields["completed"] * on_time_share), **fields),
    st.floats(0, 1),
    driver_id=st.just("ana"), accepted=counts, refused=counts, expired=counts, completed=counts, given_up=counts,
    lost=counts, rating=st.floats(0, 5),
)  # fmt: skip
shares = st.floats(0, 1)
policies = st.builds(
    lambda weights, means, strength: DriverScorePolicy(
        **{f"{part}_weight": weight for part, weight in zip(PARTS, weights, strict=True)},
        **{f"{part}_mean": mean for part, mean in zip(PARTS, means, strict=True)},
        strength=strength,
    ),
    st.tuples(*[st.floats(0, 100)] * 5), st.tuples(*[shares] * 5), st.floats(0.1, 1_000),
)  # fmt: skip


def a_tally(**fields: Any) -> Tally:
    return Tally(driver_id="ana", **fields)


@given(tallies, policies)
def test_the_parts_are_the_whole_score_and_all_stays_between_0_and_1(tally: Tally, policy: DriverScorePolicy) -> None:
    score = scored(tally, policy)
    assert [part.part for part in score.parts] == list(PARTS)
    assert score.score == pytest.approx(fsum(part.weight * part.value for part in score.parts))
    assert fsum(part.weight for part in score.parts) == pytest.approx(1)
    for value in (score.score, score.mean, score.acceptance_rate, *(part.value for part in score.parts)):
        assert 0 <= value <= 1
    assert codec.decode_checked(codec.encode(score)) == score


@given(policies)
def test_of_whom_nothing_is_known_has_the_mean(policy: DriverScorePolicy) -> None:
    score = scored(a_tally(), policy)
    assert score.score == pytest.approx(score.mean)
    assert score.mean == mean_score(policy)


@given(st.integers(0, 200), st.integers(1, 200), shares, st.floats(0.1, 1_000))
def test_a_share_lies_between_what_was_seen_and_the_mean_and_nears_what_was_seen(
    good: int, more: int, mean: float, strength: float
) -> None:
    seen = good + more
    thin, thick = shrunk(good, seen, mean, strength), shrunk(good * 10, seen * 10, mean, strength)
    low, high = sorted((good / seen, mean))
    assert low - 1e-9 <= thin <= high + 1e-9
    assert abs(thick - good / seen) <= abs(thin - good / seen) + 1e-9


@given(tallies, st.sampled_from(["accepted", "completed"]))
def test_one_more_that_went_well_never_lowers_the_score_and_one_that_did_not_never_raises_it(
    tally: Tally, good: str
) -> None:
    on_time = {"on_time": tally.on_time + 1} if good == "completed" else {}
    better = replace(tally, **{good: getattr(tally, good) + 1}, **on_time)
    assert scored(better, POLICY).score >= scored(tally, POLICY).score - 1e-12
    for bad in ("refused", "expired", "given_up", "lost"):
        worse = replace(tally, **{bad: getattr(tally, bad) + 1})
        before, after = ({part.part: part.value for part in scored(one, POLICY).parts} for one in (tally, worse))
        hit = "acceptance" if bad in ("refused", "expired") else "completion"
        assert after[hit] <= before[hit] + 1e-12


def test_one_refusal_of_a_new_driver_moves_less_than_ten_of_a_known_one() -> None:
    fresh = scored(a_tally(), POLICY).score - scored(a_tally(refused=1), POLICY).score
    known = a_tally(accepted=70, refused=30)
    assert 0 < fresh < scored(known, POLICY).score - scored(replace(known, refused=40), POLICY).score


def test_weights_of_nothing_weigh_all_alike() -> None:
    none = DriverScorePolicy(**{f"{part}_weight": 0 for part in PARTS})
    assert {part.weight for part in scored(a_tally(), none).parts} == {0.2}


def test_the_score_is_told_in_words_with_every_part() -> None:
    tally = a_tally(accepted=40, refused=8, expired=2, completed=36, on_time=30, given_up=3, lost=1, rating=4.6)
    lines = told(scored(tally, POLICY))
    # 0.2 x 54/70 + 0.25 x 55.4/60 + 0.25 x 47/56 + 0.15 x 34.4/40 + 0.15 x 56.4/60
    assert lines[0].startswith("ana scores 86.5 of 100, ")
    assert "against one unknown" in lines[0]
    text = "\n".join(lines)
    assert "acceptance: 40 of 50 offers accepted, of those answered or let expire; 77.1% after shrinkage" in text
    assert "completion: 36 of 40 assignments seen through to the customer" in text
    assert "on time: 30 of 36 handed over by the time told at the assignment" in text
    assert "cancellations: 37 of 40 assignments not given up" in text
    assert "rating: 4.60 stars" in text
    unknown = told(scored(a_tally(), POLICY))
    assert unknown[0].endswith("as a driver of whom nothing is known")
    assert sum("nothing seen yet" in line for line in unknown) == 5
