"""One delivery for somebody outside: what it holds, that it proves itself, and that nothing in it can be changed."""

import io
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filled
import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from filled import as_the_owner, look
from test_erasure import TOLD, a_contact, project

from dispatch.contract import codec
from dispatch.log.application import Record
from projections.audit import bundle
from projections.audit.bundle import BadBundle, check
from projections.audit.export import NotKnown, NotWhole, export
from projections.audit.keys import Known, Signer, public_pem

pytestmark = pytest.mark.servers
MINE = filled.delivery(28)
DOCS = Path(__file__).parents[2] / "docs" / "audit.md"


def a_bundle(dsn: str, signer: Signer) -> bytes:
    return export(dsn, signer, MINE, actor_id="eva", reason="the customer asks")[1]


def files_in(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def resealed(files: dict[str, bytes], signer: Signer) -> bytes:
    """As somebody would who has a key and changes files and manifest."""
    import hashlib

    manifest = json.loads(files[bundle.MANIFEST])
    manifest["files"] = {name: hashlib.sha256(files[name]).hexdigest() for name in manifest["files"]}
    told = json.dumps(manifest).encode()
    return packed({**files, bundle.MANIFEST: told, bundle.SIGNATURE: signer.sign(told)})


def wrong(content: bytes, *signers: Signer) -> str:
    return "; ".join(check(content, Known(*(signer.public for signer in signers))).wrong)


def test_a_bundle_holds_and_tells_the_delivery(audit: str, signer: Signer) -> None:
    content = a_bundle(audit, signer)
    found = check(content, Known(signer.public))
    assert found.wrong == ()
    assert (found.about.events, found.about.actor_id, found.about.reason) == (3, "eva", "the customer asks")
    assert "by eva: the customer asks" in found.timeline
    assert "Cancelled by customer: no longer wanted" in found.timeline
    events = json.loads(files_in(content)["events.json"])
    assert [event["version"] for event in events] == [1, 2, 3]
    assert all(event["path"] for event in events), "what was not anchored yet was anchored first"


def test_the_export_is_noted_with_who_and_why(audit: str, signer: Signer) -> None:
    about, _ = export(audit, signer, MINE, actor_id="eva", reason="the customer asks")
    with psycopg.connect(audit) as connection:
        noted = "SELECT export_id::text, delivery_id::text, actor_id, reason, events FROM audit_exports"
        rows = connection.execute(noted).fetchall()
    assert rows == [(about.export_id, MINE, "eva", "the customer asks", 3)]


def test_what_is_not_whole_is_not_signed_and_not_noted(audit: str, signer: Signer) -> None:
    with as_the_owner(audit) as connection:
        changed = "UPDATE delivery_audit_logs SET actor_id = 'ben' WHERE delivery_id = %s AND version = 2"
        connection.execute(changed, (MINE,))
    with pytest.raises(NotWhole, match="actor_id does not say"):
        a_bundle(audit, signer)
    with pytest.raises(NotKnown):
        export(audit, signer, filled.delivery(1_000), actor_id="eva", reason="x")
    with psycopg.connect(audit) as connection:
        assert connection.execute("SELECT count(*) FROM audit_exports").fetchone() == (0,)


def test_it_holds_nothing_of_whom_it_went_to(audit: str, signer: Signer) -> None:
    project(audit, Record("contacts", 0, 0, 0, MINE.encode(), codec.encode(a_contact(MINE, "Clara Q."))))
    content = a_bundle(audit, signer)
    project(audit, Record("contacts", 0, 1, 0, MINE.encode(), None))
    for again in (content, a_bundle(audit, signer)):
        text = b"".join(files_in(again).values()).decode(errors="replace")
        assert not [word for word in TOLD if word in text]
        assert not [word for word in TOLD if word.encode().hex() in text], "nor in the bytes"
    assert look(audit, signer).findings == []


def in_events(change: Callable[[list[dict[str, Any]]], None]) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def changed(files: dict[str, bytes]) -> dict[str, bytes]:
        events = json.loads(files["events.json"])
        change(events)
        return {**files, "events.json": json.dumps(events).encode()}

    return changed


BY_ONE_WITH_A_KEY = {
    "a body": (in_events(lambda events: events[1]["body"].update(search_no=2)), "body does not say"),
    "a value": (in_events(lambda events: events[1].update(value=events[0]["value"])), "SHA-256 of prev_hash and value"),
    "a name": (in_events(lambda events: events[2].update(event="DeliveryFailed")), "bytes say 'DeliveryCancelled'"),
    "an offset": (in_events(lambda events: events[2].update(offset=events[2]["offset"] + 1)), "not lead to the root"),
    "a leaf": (in_events(lambda events: events[2].update(leaf=0)), "not lead to the root"),
    "a path": (in_events(lambda events: events[2].update(path=[])), "not lead to the root"),
    "an anchor": (in_events(lambda events: events[2].update(anchor=77)), "anchor 77 is not in the bundle"),
    "the last event": (in_events(lambda events: events.pop()), "2 events are in it, the manifest says 3"),
    "a middle event": (in_events(lambda events: events.pop(1)), r"versions 1 to 2, and have \[1, 3\]"),
    "the anchors": (lambda files: {**files, "anchors.json": files["anchors.json"].replace(b'"rows": 5', b'"rows": 6')},
                    "has a signature that is not of the key"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "said"), BY_ONE_WITH_A_KEY.values(), ids=BY_ONE_WITH_A_KEY)
def test_even_the_exporter_cannot_change_what_was_anchored(
    audit: str, signer: Signer, change: Callable[[dict[str, bytes]], dict[str, bytes]], said: str
) -> None:
    files = files_in(a_bundle(audit, signer))
    exporter = Signer(Ed25519PrivateKey.generate())
    manifest = json.loads(files[bundle.MANIFEST])
    files[bundle.MANIFEST] = json.dumps({**manifest, "key_id": exporter.key_id}).encode()
    assert wrong(resealed(files, exporter), signer, exporter) == ""
    assert re.search(said, wrong(resealed(change(files), exporter), signer, exporter))


@pytest.mark.parametrize("name", [bundle.MANIFEST, bundle.SIGNATURE, *bundle.FILES])
def test_no_file_of_it_can_be_changed_by_others(audit: str, signer: Signer, name: str) -> None:
    files = files_in(a_bundle(audit, signer))
    changed = files[name].replace(b" ", b"  ", 1) if name != bundle.SIGNATURE else bytes(64)
    assert changed != files[name]
    assert wrong(packed({**files, name: changed}), signer)


def test_a_bundle_signed_by_nobody_who_is_believed_does_not_hold(audit: str, signer: Signer) -> None:
    other = Signer(Ed25519PrivateKey.generate())
    assert "which is not among those given" in wrong(a_bundle(audit, signer), other)


def test_what_is_no_bundle_is_told(audit: str, signer: Signer) -> None:
    content = a_bundle(audit, signer)
    files = files_in(content)
    odd = [
        b"", b"PK", content[:200], packed({}), packed({**files, "more.txt": b""}),
        packed({**files, "events.json": b"["}), packed({**files, "events.json": b"[" * 100_000}),
        packed({**files, "events.json": b"[{}]"}), packed({**files, "events.json": b"{}"}),
        packed({**files, "events.json": b'[{"topic": 1}]'}), packed({**files, "anchors.json": b"[1]"}),
        packed({**files, bundle.MANIFEST: b"{}"}),
        packed({**files, bundle.MANIFEST: b'{"format":"baton-audit-bundle/1"}'}),
    ]  # fmt: skip
    for one in odd:
        with pytest.raises(BadBundle):
            check(one, Known(signer.public))


def test_the_check_in_the_docs_finds_what_holds_and_what_does_not(audit: str, signer: Signer, tmp_path: Path) -> None:
    script = next(part for part in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.S) if "zipfile" in part)
    (tmp_path / "check.py").write_text(script)
    (tmp_path / "public.pem").write_text(public_pem(signer.public))
    good = a_bundle(audit, signer)
    files = files_in(good)
    manifest = {**files, bundle.MANIFEST: files[bundle.MANIFEST].replace(b"eva", b"ben")}
    bad = [packed(manifest), *(resealed(change(files), signer) for name, (change, _) in BY_ONE_WITH_A_KEY.items()
                               if name not in ("a name", "a body", "the last event"))]  # fmt: skip
    for number, content in enumerate([good, *bad]):
        (tmp_path / "bundle.zip").write_bytes(content)
        done = subprocess.run(
            [sys.executable, "-I", "-S", "check.py", "bundle.zip", "public.pem"],
            cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert (done.returncode == 0) == (number == 0), (number, done)
        assert ("holds" in done.stdout) == (number == 0)
