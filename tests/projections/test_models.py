"""Every event is handled or named as ignored by every read model; the tables come and go; a story is told in words."""

from typing import Any, get_args

import psycopg
import pytest

from dispatch.contract import identity
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.shared import Candidate, Economics, Eta, EtaBand, OfferTerms, Order
from projections.migrate import down, up
from projections.models import AUDIT, BASES, FOLDED, LATEST, NOTED, Events
from projections.models.audit import WORDS, chained
from projections.models.model import Appended, Folded, Several, Summed
from projections.story import tell

AT_MS = 1_790_000_000_000
TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
UUID = identity.derived("x")
ORDER = Order(
    seller_id="s1", seller_order_id="o1", store_name="Anker", pickup_lat=1, pickup_lng=1, dropoff_lat=1, dropoff_lng=1,
    order_value_minor=2181, delivery_fee_minor=1, currency="EUR", placed_at_ms=AT_MS,
)  # fmt: skip
TERMS = OfferTerms(
    store_name="Anker", pickup_lat=1, pickup_lng=1, dropoff_lat=1, dropoff_lng=1, pickup_eta_ms=AT_MS,
    delivery_eta_ms=AT_MS, pickup_distance_m=1330, total_distance_m=4000, earning_minor=489, incentive_minor=0,
    currency="EUR",
)  # fmt: skip

ECONOMICS = Economics(
    currency="EUR", driver_pay_minor=489, compensation_minor=0, routing_minor=0, messages_minor=4, storage_minor=0,
    platform_minor=35, cost_minor=528, commission_minor=436, delivery_fee_minor=1, revenue_minor=437, net_minor=-91,
)  # fmt: skip


def a_candidate(name: str, travel: float, rating: float = 0, **changes: Any) -> Candidate:
    fields: dict[str, Any] = {
        "driver_id": name, "distance_m": 1000, "travel_s": 60, "orders": 0, "capacity": 1, "rating": 4.5,
        "vehicle": "car", "availability": "AVAILABLE", "score": travel + rating, "travel_min": travel,
        "rating_min": rating, "fairness_min": 0.0, "load_min": 0.0, "source": "valkey",
    }  # fmt: skip
    return Candidate(**{**fields, **changes})


def an_event(kind: type[Any], **fields: Any) -> Any:
    """An event of this kind; what is not given is something that fits."""
    import typing

    hints = typing.get_type_hints(kind)
    known: dict[str, Any] = {
        "order": ORDER, "terms": TERMS, "candidates": (), "at_ms": AT_MS, "version": 1, "delivery_id": UUID,
        "offer_id": UUID, "driver_id": "ana", "economics": ECONOMICS, "event_id": UUID, "causation_id": UUID,
    }  # fmt: skip
    made: dict[str, Any] = {}
    for name, hint in hints.items():
        arguments = get_args(hint)
        if name in fields:
            made[name] = fields[name]
        elif name in known:
            made[name] = known[name]
        elif hint in (int, float):
            made[name] = AT_MS if name.endswith("_at_ms") or name == "until_ms" else 1
        elif hint is bool:
            made[name] = False
        elif hint is str:
            made[name] = "word"
        elif hint is Eta:
            band = EtaBand(p10_ms=AT_MS, p50_ms=AT_MS, p90_ms=AT_MS, confidence=80)
            made[name] = Eta(pickup=band, delivery=band)
        elif type(None) in arguments:
            made[name] = None
        else:
            made[name] = arguments[1]
    return kind(**made)


@pytest.mark.parametrize("model", FOLDED, ids=lambda model: model.table)
def test_every_event_is_handled_or_named_as_ignored(model: Events) -> None:
    family = de.DeliveryEvent if model.family == "delivery" else dr.DriverEvent
    for kind in get_args(family):
        assert (kind in model.handles) != (kind in model.ignores), kind.__name__


def test_no_table_is_of_two_models_and_every_model_has_its_table() -> None:
    tables = [model.table for model in (*FOLDED, AUDIT, *NOTED, *(one for some in LATEST.values() for one in some))]
    assert len(tables) == len(set(tables))
    assert all(base in FOLDED and base.family == family for family, base in BASES.items())


@pytest.mark.parametrize("model", FOLDED, ids=lambda model: model.table)
def test_every_fold_keeps_to_the_table_s_columns(model: Events) -> None:
    for kind in model.handles:
        for row in rows_of(model, kind):
            assert set(row) <= set(model.columns), kind.__name__


def rows_of(model: Events, kind: type) -> list[dict[str, Any]]:
    """What an event makes of a row that is there."""
    if kind.__name__ == "DriverLocation":
        return []
    event = an_event(kind)
    there = dict.fromkeys(model.columns)
    match model:
        case Folded():
            row = there | model.defaults
            model.handles[kind](row, event)
            return [row]
        case Several():
            changed = model.handles[kind]([there], event)
            return [changed] if changed is not None else []
        case Appended():
            return [model.handles[kind](event)]
        case Summed():
            return list(model.handles[kind](event, {"estimated_net_minor": 1}))


def test_every_event_has_its_word_for_the_audit() -> None:
    kinds = (*get_args(de.DeliveryEvent), *get_args(dr.DriverEvent))
    assert set(WORDS) == set(kinds)
    assert chained(b"", b"a") != chained(b"x", b"a")


@pytest.mark.servers
def test_the_tables_come_go_and_come_again(database: str) -> None:
    def tables() -> set[str]:
        with psycopg.connect(database) as connection:
            return {name for (name,) in connection.execute(TABLES).fetchall()}

    up(database)
    made = tables()
    assert {model.table for model in (*FOLDED, *NOTED)} < made
    for step, expected in ((up, made), (down, {"alembic_version"}), (up, made)):
        step(database)
        assert tables() == expected


def test_every_event_can_be_told_in_words() -> None:
    for kind in get_args(de.DeliveryEvent):
        ((moment, sentence), *_) = tell([an_event(kind)])
        assert moment
        assert len(sentence) > 5, kind.__name__


def test_the_story_says_why_the_first_was_first() -> None:
    found = an_event(
        de.DriverCandidatesFound, radius_m=5000, source="valkey", redis_ok=True,
        candidates=(
            a_candidate("ana", 3.0, -0.5),
            a_candidate("ben", 5.0, -0.6),
            a_candidate("cleo", 1.0, excluded="former_driver"),
        ),
    )  # fmt: skip
    lines = [line for _, line in tell([found])]
    assert "within 5 km" in lines[0]
    assert any("cleo" in line and "not asked: former driver" in line for line in lines)
    assert "ana before ben by 1.9 min, most of it the shorter way to the store (+2.0)" in lines[-1]
    alone = an_event(de.DriverCandidatesFound, candidates=(a_candidate("ana", 3.0),), source="valkey")
    assert "the only one" in tell([alone])[-1][1]
    same = an_event(
        de.DriverCandidatesFound, candidates=(a_candidate("ana", 3.0), a_candidate("ben", 3.0)), source="none"
    )
    assert "the name decides" in tell([same])[-1][1]
