"""The chance of acceptance from plain coefficients, and what of it a search is told."""

from math import exp
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.contract import codec
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import DriverLocation, ModelPublished
from dispatch.contract.topics import DRIVER_SCORES, MODELS
from dispatch.core.acceptance import FEATURES, AcceptanceModel, chance, row_of
from dispatch.core.driver_score import Tally, scored
from dispatch.core.facts import FoundDriver, SearchNeed, SearchResult
from dispatch.core.policy import DriverScorePolicy, Flag, Flags, Policy
from dispatch.inputs.rules import Rules
from dispatch.inputs.standing import Standing, with_standing

NOW_MS = 1_790_000_000_000


def a_model(intercept: float = 0.0, **coefficients: float) -> AcceptanceModel:
    return AcceptanceModel(
        features=FEATURES, means=(0.0,) * len(FEATURES), scales=(1.0,) * len(FEATURES),
        coefficients=tuple(coefficients.get(name, 0.0) for name in FEATURES), intercept=intercept,
        trained_offers=1000, base_rate=0.6,
    )  # fmt: skip


def found(name: str = "ana", **changes: Any) -> FoundDriver:
    fields: dict[str, Any] = {
        "driver_id": name, "lat": 48, "lng": 7.85, "distance_m": 2000, "vehicle": "car", "capacity": 1, "orders": 0,
        "rating": 4.0, "availability": "AVAILABLE", "last_assigned_ms": NOW_MS - 1_800_000, "travel_s": 300.0,
    }  # fmt: skip
    return FoundDriver(**{**fields, **changes})


def published(model: AcceptanceModel, version: int = 4, kind: str = "acceptance") -> bytes:
    record = ModelPublished(
        model=kind, version=version, at_ms=NOW_MS, actor_id="t", document=msgspec.json.encode(model).decode()
    )
    return codec.encode(record)


def test_the_chance_is_the_logistic_of_the_weighted_sum() -> None:
    model = a_model(0.5, travel_min=-0.1, rating_stars=0.2)
    assert chance(model, row_of(found(), 300, 1800, None)) == pytest.approx(1 / (1 + exp(-(0.5 - 0.5 + 0.8))))
    scaled = msgspec.structs.replace(model, means=(5.0, *model.means[1:]), scales=(2.0, *model.scales[1:]))
    assert chance(scaled, row_of(found(), 540, None, None)) == pytest.approx(1 / (1 + exp(-(0.5 - 0.2 + 0.8))))


sizes = st.floats(-1e6, 1e6)
rows = st.lists(st.floats(-1e9, 1e9), min_size=len(FEATURES), max_size=len(FEATURES))


@given(rows, sizes, sizes, sizes, st.floats(1e-6, 1e6))
def test_it_is_a_chance_whatever_the_row_and_whatever_the_model(
    row: list[float], intercept: float, travel: float, orders: float, scale: float
) -> None:
    model = msgspec.structs.replace(a_model(intercept, travel_min=travel, orders=orders), scales=(scale,) * 9)
    assert 0 < chance(model, tuple(row)) < 1


def test_what_is_not_known_is_told_apart_from_naught() -> None:
    known = dict(zip(FEATURES, row_of(found(), 60, 0, 0.0), strict=True))
    assert (known["rate_unknown"], known["rating_unknown"], known["waited_h"]) == (0, 0, 0)
    unknown = dict(zip(FEATURES, row_of(found(rating=0.0, vehicle="bicycle"), 60, None, None), strict=True))
    assert (unknown["rate_unknown"], unknown["rating_unknown"], unknown["waited_h"]) == (1, 1, 2)
    assert unknown["on_bicycle"] == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"features": ("colour",)}, "this version knows travel_min"),
        ({"means": (0.0,)}, "9 means, scales and coefficients are wanted"),
        ({"scales": (0.0,) * 9}, "Expected `float` > 0"),
        ({"base_rate": 2}, "Expected `float` <= 1"),
        ({"colour": 1}, "unknown field"),
        ({"coefficients": (1e300,) + (0.0,) * 8}, "a number of the model is 1e[+]300: out of all proportion"),
        ({"intercept": -1e9}, "a number of the model is -1000000000.0: out of all proportion"),
        ({"scales": (1e-9,) + (1.0,) * 8}, "a number of the model is 1e-09: out of all proportion"),
        ({"intercept": None}, "Expected `float`"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_and_the_one_before_stays(changes: dict[str, Any], said: str) -> None:
    standing = Standing()
    standing.apply(MODELS, b"acceptance", published(a_model(0.5)))
    document = msgspec.json.encode({**msgspec.to_builtins(a_model()), **changes}).decode()
    wrong = ModelPublished(model="acceptance", version=5, at_ms=NOW_MS, actor_id="t", document=document)
    with pytest.raises(ContractError, match=said):
        standing.apply(MODELS, b"acceptance", codec.encode(wrong))
    assert standing.model is not None
    assert (standing.model.version, standing.model.intercept) == (4, 0.5)


def test_a_search_is_told_the_score_the_chance_and_the_model() -> None:
    standing, rules = Standing(), Rules(flags=Flags(acceptance_ranking=Flag()))
    standing.apply(MODELS, b"acceptance", published(a_model(1.0)))
    standing.apply(
        DRIVER_SCORES, b"ana", codec.encode(scored(Tally(driver_id="ana", accepted=80), DriverScorePolicy()))
    )
    need = SearchNeed(lat=48, lng=7.85, radius_m=5000, limit=10)
    search = with_standing(lambda needs: [SearchResult(drivers=(found(), found("ben")))] * len(needs), standing, rules)
    one, other = search([need, need])
    assert one == other
    ana, ben = one.drivers
    assert (one.model_version, ana.acceptance) == (4, pytest.approx(1 / (1 + exp(-1))))
    assert ana.acceptance_rate == pytest.approx(0.94)
    assert ana.driver_score is not None
    assert ana.driver_score > ana.driver_score_mean > 0
    assert (ben.driver_score, ben.acceptance_rate) == (None, None)
    rules.flags = Flags()
    (off,) = search([need])
    assert (off.model_version, off.drivers[0].acceptance) == (0, None)
    assert off.drivers[0].driver_score == ana.driver_score


def test_tombstones_forget_other_models_are_passed_over_and_other_records_refused() -> None:
    standing = Standing()
    standing.apply(MODELS, b"acceptance", published(a_model()))
    standing.apply(MODELS, b"eta", published(a_model(), kind="eta"))
    assert standing.model is not None
    assert standing.model.version == 4
    standing.apply(DRIVER_SCORES, b"acceptance", None)  # a driver of that name
    assert standing.model.version == 4
    standing.apply(MODELS, b"acceptance", None)
    assert standing.model is None
    ping = DriverLocation(driver_id="ana", lat=1, lng=1, at_ms=NOW_MS)
    with pytest.raises(ContractError, match="DriverLocation"):
        standing.apply(MODELS, b"ana", codec.encode(ping))
    result = SearchResult(drivers=(found(),))
    assert standing.added(result, Policy(), NOW_MS, acceptance=True) is result
