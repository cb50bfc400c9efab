"""A word that a newer writer added is read as UNKNOWN; it is folded into every table and sets nothing aside."""

import typing
from typing import Any, Literal, get_args, get_origin

import msgspec
import psycopg
import pytest
from filling import a_driver, a_life, as_records, noted, project
from test_models import an_event

from dispatch.contract import identity
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from projections.migrate import up
from projections.runtime import Projection

AT_MS = 1_790_000_000_000
MORE = (
    de.DriverRejected, de.OfferWithdrawn, de.UnassignedEscalated, de.AssignmentReassigned, de.DriverLost,
    de.ReservationFailed,
)  # fmt: skip


def unknown(event: Any) -> Any:
    """The event with UNKNOWN in place of every word of an enumeration, in what it holds, too."""
    changes: dict[str, Any] = {}
    for name, hint in typing.get_type_hints(type(event)).items():
        value = getattr(event, name)
        if get_origin(hint) is Literal and "UNKNOWN" in get_args(hint):
            changes[name] = "UNKNOWN"
        elif isinstance(value, msgspec.Struct):
            changes[name] = unknown(value)
    return msgspec.structs.replace(event, **changes)


@pytest.mark.servers
def test_unknown_words_are_folded_like_others(database: str) -> None:
    up(database)
    life, held = a_life("new words", AT_MS), a_life("changes hands", AT_MS)[:7]
    more = [
        an_event(
            kind,
            delivery_id=held[0].delivery_id,
            offer_id=identity.derived("offer changes hands"),
            driver_id="ana",
            version=len(held) + number,
            at_ms=AT_MS + 100 + number,
        )
        for number, kind in enumerate(MORE, 1)
    ]
    drivers = [*a_driver("ana", AT_MS), an_event(dr.DriverPauseRecorded, driver_id="ana", version=4, at_ms=AT_MS + 9)]
    events = [unknown(event) for event in (*life, *held, *more, *drivers)]
    with psycopg.connect(database.replace("//baton@", "//baton_projector@")) as connection:
        folding = project(Projection(connection), [*as_records(events), *noted(AT_MS)])
        assert folding.poison == []
        for statement in (
            "SELECT availability FROM drivers",
            "SELECT vehicle FROM drivers",
            "SELECT reason FROM driver_offers WHERE outcome = 'WITHDRAWN'",
            "SELECT outcome FROM delivery_costs WHERE outcome IS NOT NULL",
            "SELECT to_state FROM driver_availability_history",
            "SELECT preference FROM driver_zone_preferences",
            "SELECT DISTINCT how FROM assignments",
            "SELECT reassign_reason FROM assignments WHERE ended_as = 'reassigned'",
            "SELECT DISTINCT proof_wanted FROM deliveries",
            "SELECT DISTINCT actor_type FROM delivery_audit_logs",
        ):
            assert connection.execute(statement.encode()).fetchall() == [("UNKNOWN",)], statement
