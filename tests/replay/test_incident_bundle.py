"""One delivery carried to another machine: signed, without what people wrote or what follows from a contact."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from city import START_MS, City
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace
from test_history import history_in

from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.log.errors import Misconfigured
from dispatch.replay import bundle
from dispatch.replay.bundle import BadBundle, made, opened, opened_file, verified
from dispatch.replay.explaining import explained
from dispatch.replay.moment import at
from dispatch.replay.policies import Policies
from projections.audit.keys import Known, Signer

CANARIES = ("Canary-Name", "+49-761-CANARY", "Canary Lane 7", "canary rings twice", "canary at the gate",
            "canary is away", "canary bit me", "canary called off")  # fmt: skip
WHO = (START_MS, "eva", "ticket 4711")


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer(Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def city() -> City:
    """A delivery in which people wrote whatever they liked wherever they could, and proof by PIN."""
    city = City().sign_on("ana", "ben")
    about = {"customer_name": CANARIES[0], "customer_phone": CANARIES[1], "dropoff_address": CANARIES[2],
             "dropoff_note": CANARIES[3], "proof": "pin"}  # fmt: skip
    name, order = city.order(1, **about)
    order = replace(order, pin_mark="ab" * 32)
    city.send(dc.PlaceOrder, name, order=order)
    city.send(dc.MarkReady, name, order=order)
    city.work()
    city.reject(name, note=CANARIES[4])
    city.accept(name)
    held = city.offer(name)
    city.send(dc.ReportProgress, name, **held, step="picked_up")
    for mark in ("cd" * 32, "cd" * 32):
        city.send(dc.ReportProgress, name, **held, step="delivered", pin_mark=mark)
    city.send(dc.CancelDelivery, name, actor="admin", reason=CANARIES[7], note=CANARIES[5])
    city.send(dc.FailDelivery, name, actor="admin", reason=CANARIES[6], note=CANARIES[6])
    city.work()
    return city


def export(city: City, signer: Signer) -> bytes:
    name = (city.log["delivery.commands"][0].key or b"").decode()
    return made(history_in(city, name), Policies(city.published), WHO, signer)[1]


def repacked(content: bytes, **files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, files.get(name.replace(".", "_"), old.read(name)))
    return out.getvalue()


def test_it_replays_with_nothing_else_at_hand(city: City, signer: Signer) -> None:
    found = opened(export(city, signer), Known(signer.public))
    assert found.wrong == ()
    report = verified(found)
    assert report.ok, report.differences
    assert report.decisions == report.equal == found.about.decisions == 11
    assert report.events == found.about.events > 15
    assert any(isinstance(event, de.ProofRefused) for event in found.known.events)


def test_nothing_that_names_a_person_is_in_the_file(city: City, signer: Signer) -> None:
    content = export(city, signer)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist())
    hexed = whole.lower()
    order: Any = history_in(city, (city.log["delivery.commands"][0].key or b"").decode()).events[0].order
    for word in (*CANARIES, order.contact_digest, order.pin_mark):
        assert word.encode() not in whole, word
        assert word.encode().hex().encode() not in hexed, word
    assert order.contact_digest != ""
    found = opened(content, Known(signer.public))
    assert found.about.cut["RejectOffer.note"] == 1
    assert found.about.cut["DriverRejected.note"] == 1
    assert found.about.cut["Order.contact_digest"] == 3
    assert found.about.cut["ReportProgress.pin_mark"] == 2
    assert found.about.cut["CancelDelivery.reason"] == 1


def test_two_bundles_have_different_stand_ins(city: City, signer: Signer) -> None:
    def digest(content: bytes) -> str:
        events: Any = opened(content, Known(signer.public)).known.events
        return str(events[0].order.contact_digest)

    assert digest(export(city, signer)) != digest(export(city, signer))


def test_show_and_explain_work_from_it(city: City, signer: Signer, tmp_path: Path) -> None:
    file = tmp_path / "incident.zip"
    file.write_bytes(export(city, signer))
    found = opened_file(str(file), Known(signer.public))
    seen = at(found.known, START_MS)
    assert seen is not None
    assert seen.candidates
    assert explained(found.known.entries[1], found.policies).same_again


def test_what_was_changed_in_it_is_found(city: City, signer: Signer) -> None:
    content = export(city, signer)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        events = json.loads(archive.read("events.json"))
        timeline = archive.read("timeline.txt")
    lost = repacked(content, events_json=json.dumps(events[:-1]).encode())
    found = opened(lost, Known(signer.public))
    assert "events.json is not what the manifest names" in found.wrong
    assert any("the manifest says" in one for one in found.wrong)
    assert verified(found).different == 1
    assert opened(repacked(content, timeline_txt=timeline + b"!"), Known(signer.public)).wrong == (
        "timeline.txt is not what the manifest names",
    )
    other = Signer(Ed25519PrivateKey.generate())
    (wrong,) = opened(content, Known(other.public)).wrong
    assert "not among those given" in wrong
    assert opened(content, Known()).wrong == ()


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04"])
def test_what_is_no_bundle_is_refused(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadBundle):
        opened(content, Known())
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(Misconfigured, match="no incident bundle"):
        opened_file(str(tmp_path / "x"))


@pytest.mark.parametrize("name", ["events_json", "decisions_json", "policies_json", "manifest_json"])
def test_files_that_are_nonsense_are_refused(city: City, signer: Signer, name: str) -> None:
    for nonsense in (b"{}", b"[1]", b"nonsense", b'[{"value": "zz"}]'):
        try:
            found = opened(repacked(export(city, signer), **{name: nonsense}), Known())
        except BadBundle:
            continue
        assert found.wrong != ()


def test_the_form_has_a_number(city: City, signer: Signer) -> None:
    assert bundle.FORMAT.endswith("/1")
    with pytest.raises(BadBundle, match="not of the form"):
        opened(repacked(export(city, signer), manifest_json=b'{"format": "baton-audit-bundle/1"}'), Known())
