"""Arrivals on real servers: foretold with a band, told when they move, learned from, known again after a restart."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from town import Town, until

from deploy.local import Addresses
from dispatch.contract import topics
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.system import DriverLocation, ModelPublished
from dispatch.core.policy import Policy
from dispatch.inputs.arrivals import Arrivals, ArrivalsFollower
from dispatch.inputs.rules import Rules
from dispatch.inputs.travel import Roads
from dispatch.streams.eta_report import from_log, score
from dispatch.streams.eta_tracker import EtaTracker

pytestmark = pytest.mark.servers
PLACE = (48.0, 7.85)


@pytest.fixture
def here(servers: Addresses, namespace: str, tmp_path: Path) -> Iterator[Town]:
    made = Town(servers, namespace, tmp_path)
    yield made
    made.close()


class Tracker:
    """The process `eta` as a thread, to be ended and begun again."""

    def __init__(self, here: Town, policy: Policy | None = None) -> None:
        rules = Rules(policy or Policy())
        self.tracker = EtaTracker(here.settings, rules, Roads(None))
        self.tracker.open()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.tracker.turn()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(20)
        self.tracker.close()


def events_of(here: Town, name: str, kind: type[Any]) -> list[Any]:
    found = here.dispatch.read(topics.DELIVERY_EVENTS)
    return [event for event in found if event.delivery_id == name and isinstance(event, kind)]


def test_an_assignment_has_a_band_a_far_driver_moves_it_and_the_end_is_learned(here: Town) -> None:
    here.run("worker", "streams")
    eta = Tracker(here)
    send = here.dispatch
    send.sign_on("ana")
    send.flush()
    send.wait(topics.DRIVER_EVENTS, lambda found: any(isinstance(event, dr.DriverSignedOn) for event in found))
    name = send.order(1, prep_s=0)
    send.flush()
    send.wait(topics.DELIVERY_EVENTS, lambda found: any(isinstance(event, de.DriverOfferSent) for event in found))
    offer = events_of(here, name, de.DriverOfferSent)[0]
    held = {"offer_id": offer.offer_id, "driver_id": "ana"}
    send.delivery(dc.AcceptOffer, name, **held)
    send.flush()
    send.wait(topics.DELIVERY_EVENTS, lambda found: any(isinstance(event, de.DriverAssigned) for event in found))
    assigned = events_of(here, name, de.DriverAssigned)[0]
    assert assigned.terms.eta is not None
    assert assigned.terms.eta.source == "formula"
    far = DriverLocation(driver_id="ana", at_ms=time.time_ns() // 1_000_000, lat=PLACE[0] + 0.09, lng=PLACE[1])
    until(lambda: "ana" in eta.tracker.courses.by_driver, "the tracker knows of the assignment")
    send.send(topics.DRIVER_PLACES, "ana", far)
    send.flush()
    changed = send.wait(topics.DELIVERY_EVENTS, lambda found: any(isinstance(event, de.EtaChanged) for event in found))
    moved = next(event for event in changed if isinstance(event, de.EtaChanged))
    assert moved.why == "driver_moved"
    assert moved.eta.pickup.p50_ms > assigned.terms.eta.pickup.p50_ms + 60_000
    for step in ("arrived_at_pickup", "picked_up", "arrived_at_dropoff", "delivered"):
        send.delivery(dc.ReportProgress, name, **held, step=step)
    send.flush()
    send.wait(topics.ETA_MODEL, lambda found: any(isinstance(record, ModelPublished) for record in found))
    eta.end()
    here.holds()
    found = from_log(here.settings.kafka, here.settings.namespace)
    judged = score(found.deliveries, 300)
    assert judged is not None
    assert judged.count == 1
    assert found.changes >= 1
    follower = ArrivalsFollower(here.settings.kafka, here.settings.namespace, Arrivals())
    known = follower.start()
    follower.stop()
    assert known.model.version == 1
    assert "store|s1" in known.model.scopes


def test_a_restart_learns_nothing_twice_and_forgets_nothing(here: Town) -> None:
    here.run("worker", "streams")
    eta = Tracker(here)
    here.sign_on()
    here.delivered(here.orders(12))
    until(lambda: eta.tracker.courses.arrivals.model.version == 12, "twelve are learned")
    eta.end()
    here.delivered(here.orders(8))
    again = Tracker(here)
    until(lambda: again.tracker.courses.arrivals.model.version == 20, "the eight that came meanwhile are learned")
    again.end()
    third = Tracker(here)
    until(lambda: third.tracker.courses.arrivals.model.version >= 20, "known again")
    time.sleep(1)
    assert third.tracker.courses.arrivals.model.version == 20
    cells = third.tracker.courses.arrivals.model.scopes["city"]["delivery@assigned"]
    assert sum(cells) == pytest.approx(20, abs=0.01)
    third.end()
