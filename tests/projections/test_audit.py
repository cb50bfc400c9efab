"""The audit against a log that a broken broker wrote to."""

import psycopg
import pytest
from test_models import an_event

from dispatch.contract import codec
from dispatch.contract.records import driver_events as dr
from dispatch.log.application import Record
from projections.migrate import down, up
from projections.runtime import Projection, fold, positions

PLACE = ("driver.events", 0)


@pytest.mark.servers
def test_an_event_that_is_in_the_log_twice_is_in_the_audit_twice_and_stops_no_table(database: str) -> None:
    up(database)
    with psycopg.connect(database) as connection:
        projection = Projection(connection)
        for offset in (0, 1):
            event = an_event(dr.DriverSignedOn, actor_type="driver", vehicle="car")
            records = [Record(*PLACE, offset, 0, b"ana", codec.encode(event))]
            at = positions(connection, [PLACE])
            projection.write(fold(records, at, ""), at)
        counted = connection.execute(
            "SELECT (SELECT count(*) FROM delivery_audit_logs), (SELECT count(*) FROM drivers)"
        ).fetchone()
        connection.commit()
    assert counted == (2, 1)
    down(database)
