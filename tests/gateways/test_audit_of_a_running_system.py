"""The audit of a delivery that went the whole way: whole by itself and beside Kafka, and given out as a bundle."""

import json
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from whole_system import System, an_order, heard

from dispatch.contract import topics
from dispatch.log.reading import read_all
from projections.audit.against_log import compare
from projections.audit.anchors import anchor_all
from projections.audit.bundle import check
from projections.audit.export import export
from projections.audit.keys import Known, Signer
from projections.audit.rows import noted, snapshot
from projections.audit.verify import Asked, verify

pytestmark = pytest.mark.servers


def delivered(system: System) -> str:
    """Offered, accepted, picked up and handed over."""
    system.sign_on("ana")
    with system.socket("ana") as socket:
        time.sleep(1.5)
        system.post("/events/seller-order-ready", an_order())
        offer = heard(socket, "DELIVERY_OFFERED_V2")
        system.post(f"/v2/drivers/ana/offers/{offer['offer_id']}/accept")
        heard(socket, "DELIVERY_ASSIGNED")
    name: str = offer["delivery_id"]
    for step in ("picked_up", "delivered"):
        body = {"offer_id": offer["offer_id"], "step": step}
        assert system.post(f"/v2/drivers/ana/deliveries/{name}/progress", body).status_code == 200
    system.until(lambda: system.http.get(f"/v2/deliveries/{name}").json().get("status") == "delivered", "in the tables")
    return name


def test_it_is_whole_beside_the_log_and_in_a_bundle(system: System) -> None:
    name, settings = delivered(system), system.settings
    signer = Signer(Ed25519PrivateKey.generate())
    time.sleep(1)  # what follows a hand-over
    assert anchor_all(settings.postgres, signer)
    report = verify(settings.postgres, Asked(known=Known(signer.public), namespace=settings.namespace))
    assert report.findings == []
    assert report.rows >= 12
    log = [settings.namespace + topic.name for topic in (topics.DELIVERY_EVENTS, topics.DRIVER_EVENTS)]
    with snapshot(settings.postgres) as connection:
        ends = noted(connection, settings.namespace)
        beside = compare(connection, ends, read_all(settings.kafka, log), settings.namespace)
    assert (beside.findings, beside.rows, beside.dropped) == ([], report.rows, 0)
    about, content = export(settings.postgres, signer, name, actor_id="eva", reason="a test")
    found = check(content, Known(signer.public))
    assert found.wrong == ()
    assert (found.about, about.events >= 12) == (about, True)
    assert "Handed over by ana" in found.timeline
    assert not [word for word in ("Clara", "5550123", "Basler", "48.01234") if word in json.dumps(found.timeline)]
