"""The model is learned from made-up offers of which we know how drivers answer; published only when it earned it."""

import random
import re
from math import exp
from typing import Any

import pytest

from dispatch.contract import codec
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.shared import Candidate, OfferTerms
from dispatch.core.acceptance import FEATURES, chance, row_of
from dispatch.inputs.standing import model_in
from dispatch.log.application import Record
from dispatch.training.acceptance import NotLearned, learn, log_loss, record_of
from dispatch.training.offers import Offers, OfferSeen, offers_in

AT_MS = 1_790_000_000_000
TRUTH = {"travel_min": -0.20, "orders": -1.2, "acceptance_rate": 4.0}
INTERCEPT = 0.5


def made_up(count: int, seed: int = 1, truth: dict[str, float] | None = None) -> list[OfferSeen]:
    """Offers answered by the logistic of known coefficients."""
    chance_of, offers = random.Random(seed), []
    for number in range(count):
        values = {
            "travel_min": chance_of.uniform(1, 20), "distance_km": chance_of.uniform(0.2, 6),
            "orders": float(chance_of.choice((0, 0, 1, 2))), "rating_stars": chance_of.uniform(3, 5),
            "acceptance_rate": chance_of.uniform(0.3, 0.95), "waited_h": chance_of.uniform(0, 2),
            "on_bicycle": float(chance_of.random() < 0.3),
        }  # fmt: skip
        row = tuple(values.get(name, 0.0) for name in FEATURES)
        odds = INTERCEPT + sum(weight * values[name] for name, weight in (TRUTH if truth is None else truth).items())
        offers.append(OfferSeen(AT_MS + number, row, chance_of.random() < 1 / (1 + exp(-odds))))
    return offers


def test_known_coefficients_are_found_again_roughly() -> None:
    judged = learn(made_up(8_000))
    found = {
        name: coefficient / scale
        for name, coefficient, scale in zip(FEATURES, judged.model.coefficients, judged.model.scales, strict=True)
    }
    for name in FEATURES:
        assert found[name] == pytest.approx(TRUTH.get(name, 0.0), rel=0.15, abs=0.15), name
    assert judged.misgivings == ()
    assert judged.auc is not None
    assert judged.auc > 0.75
    assert judged.gain > 0.1
    assert all(abs(part.said - part.came) < 0.06 for part in judged.bins)
    assert (judged.learned_from, judged.held_out) == (6_000, 2_000)


def test_it_is_judged_on_the_newest_offers_only() -> None:
    """Drivers who turn about at the end: what was learned before is worth less than nothing."""
    turned = {name: -weight for name, weight in TRUTH.items()}
    late = [offer._replace(sent_at_ms=AT_MS + 10**9 + n) for n, offer in enumerate(made_up(500, 2, turned))]
    judged = learn(late + made_up(1_500))
    assert (judged.held_out, judged.gain < 0) == (500, True)
    assert len(judged.misgivings) == 1
    assert re.search(r"base rate's [\d.]+: [\d.]+% larger, where 0\.5% smaller is wanted", judged.misgivings[0])


def test_where_there_is_nothing_to_learn_it_is_not_earned() -> None:
    judged = learn(made_up(4_000, truth={}))
    assert judged.gain < 0.005
    assert ["log-loss" in misgiving for misgiving in judged.misgivings] == [True]


def test_too_few_offers_are_told_with_the_number_wanted() -> None:
    judged = learn(made_up(120))
    assert judged.misgivings[0] == "120 offers are too few; 400 are wanted"
    assert not any("too few" in misgiving for misgiving in learn(made_up(120), least=100).misgivings)


@pytest.mark.parametrize("answers", [[], [True] * 100, [False] * 100])
def test_without_some_of_each_kind_there_is_no_model_even_by_force(answers: list[bool]) -> None:
    offers = [offer._replace(accepted=answer) for offer, answer in zip(made_up(len(answers)), answers, strict=True)]
    with pytest.raises(NotLearned, match="without some of each kind nothing can be learned"):
        learn(offers)


def test_what_is_published_scores_as_what_was_judged() -> None:
    judged = learn(made_up(1_000))
    record = codec.decode_checked(codec.encode(record_of(judged, 3, "t", forced=True)))
    model = model_in(record)  # type: ignore[arg-type]
    assert (model.version, model.forced) == (3, True)
    for offer in made_up(50, seed=9):
        assert chance(model, offer.row) == pytest.approx(chance(judged.model, offer.row), abs=1e-12)


def test_log_loss_is_that_of_the_textbook() -> None:
    assert log_loss([0.8, 0.4], [True, False]) == pytest.approx((0.22314355 + 0.51082562) / 2)


def an_event(kind: type[Any], **fields: Any) -> Any:
    header = {"event_id": "00000000-0000-5000-8000-000000000001", "delivery_id": fields.pop("delivery_id", DELIVERY),
              "version": 1, "at_ms": AT_MS, "actor_type": "system", "actor_id": "t",
              "causation_id": "00000000-0000-5000-8000-000000000002", "correlation_id": "c"}  # fmt: skip
    return kind(**header, **fields)


DELIVERY = "00000000-0000-5000-8000-000000000009"
TERMS = OfferTerms(
    store_name="Anker", pickup_lat=1, pickup_lng=1, dropoff_lat=1, dropoff_lng=1, pickup_eta_ms=AT_MS,
    delivery_eta_ms=AT_MS, pickup_distance_m=1330, total_distance_m=4000, earning_minor=489, incentive_minor=0,
    currency="EUR",
)  # fmt: skip


def a_candidate(name: str, **changes: Any) -> Candidate:
    fields: dict[str, Any] = {
        "driver_id": name, "distance_m": 1000, "travel_s": 240, "orders": 1, "capacity": 2, "rating": 4.5,
        "vehicle": "car", "availability": "AVAILABLE", "score": 1.0, "travel_min": 4.0, "rating_min": 0.0,
        "fairness_min": 0.0, "load_min": 0.0, "source": "valkey", "accepts_share": 0.7, "idle_s": 1800,
    }  # fmt: skip
    return Candidate(**{**fields, **changes})


def found(*candidates: Candidate) -> Any:
    return an_event(
        de.DriverCandidatesFound, search_no=1, radius_m=5000, candidates=candidates, source="valkey", redis_ok=True,
        free_in_radius=1, busy_in_radius=0, policy_version=1, zone="none",
    )  # fmt: skip


def sent(offer: str, driver: str) -> Any:
    return an_event(
        de.DriverOfferSent, offer_id=offer, driver_id=driver, fence=1, sent_at_ms=AT_MS, expires_at_ms=AT_MS + 30_000,
        terms=TERMS, notified_by="t",
    )  # fmt: skip


def test_offers_are_read_from_the_log_with_what_was_known_when_they_were_made() -> None:
    ids = {"offer_id": "00000000-0000-5000-8000-00000000000a", "driver_id": "ana"}
    other = {"offer_id": "00000000-0000-5000-8000-00000000000b", "driver_id": "ben"}
    third = {"offer_id": "00000000-0000-5000-8000-00000000000c", "driver_id": "ana"}
    events = [
        found(a_candidate("ana"), a_candidate("ben", accepts_share=-1.0, rating=0.0, idle_s=-1)),
        sent(*ids.values()),
        an_event(de.DriverRejected, **ids, response_ms=4, reason="too_far"),
        sent(*other.values()),
        found(a_candidate("ana")),
        an_event(de.OfferExpired, **other, auto_assigned=False),
        an_event(de.OfferExpired, **other, auto_assigned=False),  # ended before: not counted again
        sent(*third.values()),
        an_event(de.DriverAccepted, **third, response_ms=9),
    ]
    records = [Record("delivery.events", 0, n, AT_MS, b"", codec.encode(event)) for n, event in enumerate(events)]
    offers = offers_in(records)
    assert [offer.accepted for offer in offers.seen] == [False, False, True]
    assert offers.seen[0].row == row_of(a_candidate("ana"), 240, 1800, 0.7)
    assert dict(zip(FEATURES, offers.seen[1].row, strict=True))["rate_unknown"] == 1


def test_what_says_nothing_of_the_driver_is_left_out() -> None:
    offers = Offers()
    ids = {"offer_id": "o", "driver_id": "ana"}
    for event in (
        found(a_candidate("ana")), sent("o", "ana"), an_event(de.OfferWithdrawn, **ids, why="order_cancelled"),
        an_event(de.DriverAccepted, **ids, response_ms=9), sent("p", "nobody"),
        found(a_candidate("ana", source="named")), sent("q", "ana"),
    ):  # fmt: skip
        offers.take(event)
    assert (offers.seen, offers.without_candidate) == ([], 2)


def test_offers_that_lead_to_no_model_are_told_as_such() -> None:
    """A value that hardly differs from offer to offer: the model would divide by next to nothing."""
    still = [offer._replace(row=(5 + 1e-8 * (number % 2), *offer.row[1:])) for number, offer in enumerate(made_up(500))]
    with pytest.raises(NotLearned, match=r"what was learned is no model: a number of the model is .* out of all"):
        learn(still)
