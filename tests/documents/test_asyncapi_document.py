"""The AsyncAPI document: good by the official schema, whole by the catalogue, true by what is really said."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from in_process import Asked

from dispatch.contract import identity, registry, topics
from dispatch.contract.records.driver_events import DriverAvailabilityChanged, DriverBreakExtended, DriverBreakNoticed
from dispatch.contract.records.offers import AssignmentEnded, DeliveryAssigned, OfferCreated, OfferEnded
from dispatch.contract.records.shared import OfferTerms
from dispatch.contract.records.system import Notice
from gateways.documents import asyncapi, messages
from gateways.sockets import words

OFFICIAL = json.loads((Path(__file__).parent / "asyncapi/3.0.0.schema.json").read_text())
AT_MS = 1_790_000_000_000
ONE = identity.derived("one")
TERMS = OfferTerms(
    store_name="Anker", pickup_lat=1, pickup_lng=1, dropoff_lat=48.012, dropoff_lng=7.86, pickup_eta_ms=AT_MS,
    delivery_eta_ms=AT_MS, pickup_distance_m=1330, total_distance_m=4000, earning_minor=489, incentive_minor=0,
    currency="EUR",
)  # fmt: skip
EVENT = {
    "event_id": ONE, "driver_id": "ana", "version": 1, "at_ms": AT_MS, "actor_type": "driver", "actor_id": "ana",
    "causation_id": ONE, "correlation_id": "x",
}  # fmt: skip
WHICH = {"offer_id": ONE, "delivery_id": ONE, "driver_id": "ana", "at_ms": AT_MS}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return json.loads(json.dumps(asyncapi.document()))  # type: ignore[no-any-return]


def test_it_is_good_by_the_official_schema(document: dict[str, Any]) -> None:
    judge = jsonschema.Draft7Validator(OFFICIAL)
    assert [error.message[:200] for error in judge.iter_errors(document)] == []
    del document["channels"]["offers"]["messages"]["OfferCreated"]["$ref"]
    document["channels"]["offers"]["messages"]["OfferCreated"]["payload"] = 7
    wrong = document | {"operations": {"send_offers": {"action": "shout"}}}
    assert list(judge.iter_errors(wrong)), "the schema finds what is wrong"


def test_every_topic_and_every_record_is_in_it() -> None:
    document = asyncapi.document()
    told = {channel["address"]: channel for channel in document["channels"].values() if "x-key" in channel}
    assert set(told) == {topic.name for topic in topics.CATALOGUE} - set(asyncapi.PRIVATE)
    assert all(channel["messages"] for channel in told.values())
    carried = {subject for topic in topics.CATALOGUE for subject in asyncapi.subjects_on(topic)}
    assert carried == set(registry.latest())
    for subject, row in registry.latest().items():
        payload = document["components"]["messages"][subject]["payload"]
        assert payload["schema"] == row.schema


def test_every_reference_leads_somewhere() -> None:
    document = asyncapi.document()

    def look(part: Any) -> None:
        if isinstance(part, dict):
            if isinstance(part.get("$ref"), str):
                found: Any = document
                for step in part["$ref"].removeprefix("#/").split("/"):
                    found = found[step]
            for value in part.values():
                look(value)
        elif isinstance(part, list):
            for value in part:
                look(value)

    look(document)


@pytest.mark.parametrize(
    "record",
    [
        OfferCreated(**WHICH, terms=TERMS, expires_at_ms=AT_MS),
        DeliveryAssigned(**WHICH, terms=TERMS, how="accepted"),
        OfferEnded(**WHICH, outcome="EXPIRED", why="silence"),
        AssignmentEnded(**WHICH, why="completed"),
        DriverAvailabilityChanged(
            **EVENT, from_availability="AVAILABLE", to_availability="ON_BREAK", reason="lunch", duty="break",
            paused=False, offline=False, free_capacity=1,
        ),
        DriverBreakNoticed(**EVENT, until_ms=AT_MS),
        DriverBreakExtended(**EVENT, until_ms=AT_MS),
        Notice(notice_id=ONE, audience="driver", kind="zone_request", at_ms=AT_MS, details={}),
        Notice(notice_id=ONE, audience="driver", kind="broadcast", at_ms=AT_MS, details={}),
    ],
    ids=lambda record: f"{type(record).__name__}-{getattr(record, 'kind', '')}",
)  # fmt: skip
def test_what_drivers_are_told_is_as_described(record: Any) -> None:
    said = json.loads(json.dumps(words.worded(record)))
    shape = messages.named(said)
    assert shape is not None
    shape.model_validate(said, strict=False)
    schemas = asyncapi.document()["components"]["schemas"]
    jsonschema.Draft202012Validator({**schemas[shape.__name__], "components": {"schemas": schemas}}).validate(said)
    assert {*said} <= set(shape.model_json_schema(by_alias=True)["properties"]), "a field that is not described"


def changed(reason: str) -> DriverAvailabilityChanged:
    return DriverAvailabilityChanged(
        **EVENT, from_availability="ON_BREAK", to_availability="AVAILABLE", reason=reason, duty="working", paused=False,
        offline=False, free_capacity=1,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("record", "kind", "event"),
    [
        (OfferCreated(**WHICH, terms=TERMS, expires_at_ms=AT_MS), "DELIVERY_OFFERED_V2", "offer_created"),
        (DeliveryAssigned(**WHICH, terms=TERMS, how="accepted"), "DELIVERY_ASSIGNED", "delivery_assigned"),
        (OfferEnded(**WHICH, outcome="ACCEPTED", why="accepted"), "OFFER_ENDED", "offer_accepted"),
        (OfferEnded(**WHICH, outcome="REJECTED", why="too_far"), "OFFER_ENDED", "offer_rejected"),
        (changed("resumed"), "AVAILABILITY_CHANGED", "availability_changed"),
        (changed("break_over"), "AVAILABILITY_CHANGED", "break_expired"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_the_words_that_apps_are_written_for(record: Any, kind: str, event: str) -> None:
    """A break that ends by itself is called break_over by the core: tests/core/test_driver.py."""
    said = words.worded(record)
    assert said is not None
    assert (said["type"], said["event"]) == (kind, event)


def test_it_is_served() -> None:
    from fastapi import FastAPI

    from gateways.documents import routes

    app = FastAPI(docs_url=None, redoc_url=None)
    routes.attach(app)
    assert Asked(app).get("/asyncapi.json").json()["asyncapi"] == "3.0.0"
