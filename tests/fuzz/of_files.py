"""Targets that take files: policies, zones, orders, bundles of the audit, and what the environment says."""

import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from shapely.geometry import box

from deploy.demo import order_file
from deploy.demo.order_file import BadOrderFile
from dispatch.config import SettingsError
from dispatch.contract import codec
from dispatch.contract.records import delivery_events
from dispatch.core.policy import Flags, Policy
from dispatch.core.policy_document import PolicyRefused, parse
from dispatch.core.zone_files import ZoneFileError
from dispatch.core.zone_files import read as read_zones
from dispatch.core.zone_files import write as write_zones
from dispatch.core.zones import Zone
from dispatch.inputs import policy_file
from dispatch.inputs.policy_file import BadPolicyFile
from dispatch.inputs.start_values import VARIABLES, start_flags, start_policy
from dispatch.log.errors import Misconfigured
from projections.audit import anchor, bundle, merkle
from projections.audit.anchor import Anchor
from projections.audit.bundle import About, BadBundle
from projections.audit.delivery import Proof
from projections.audit.keys import Known, public, public_pem
from projections.models.audit import chained
from projections.models.audit import row as audit_row
from tests.fuzz.sealing import SIGNER, parts, resealed
from tests.fuzz.target import Target, some


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="baton-fuzz-"))


def _as_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
    def take(data: bytes) -> object:
        path = _folder() / name
        path.write_bytes(data)
        return read(path)

    return take


def _policy(path: Path) -> None:
    found = policy_file.read(path)
    path.write_text(policy_file.toml(found.policy, every_field=True), encoding="utf-8")
    again = policy_file.read(path.rename(path.with_suffix(".toml")))
    assert again.policy == found.policy, "what is written is not read as it was"


def _policies_toml() -> list[bytes]:
    small = b'version = 3\n[offer]\ntimeout_s = 10.0\n[by_zone."old-town".search]\nradius_m = 9000\n'
    return [policy_file.toml(Policy(), every_field=True).encode(), small]


def _policies_json() -> list[bytes]:
    return [json.dumps({"offer": {"timeout_s": 10}, "by_zone": {"z": {"search": {"radius_m": 9000}}}}).encode()]


def _document(data: bytes) -> None:
    """As the door for policies takes it: JSON that was read already."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    parse(document)


def _zones(data: bytes) -> None:
    found = read_zones(data)
    assert [zone.zone_id for zone in read_zones(write_zones(found))] == [zone.zone_id for zone in found]


def _zone_files() -> list[bytes]:
    zones = [
        Zone(zone_id=name, name=name.title(), priority=priority, min_drivers_online=2, target_wait_s=300,
             shape=box(lng, 48, lng + 0.05, 48.05))
        for name, priority, lng in (("a", 3, 7.80), ("b", 2, 7.82))
    ]  # fmt: skip
    return [write_zones(zones), b'{"type": "FeatureCollection", "features": []}']


def _orders(path: Path) -> None:
    assert list(order_file.read(path))


def _csv() -> list[bytes]:
    names = (*order_file.REQUIRED, *order_file.OPTIONAL)
    cells = '0,s1,o1,Anker,48.0,7.8,48.1,7.9,1000,200,EUR,60,car,2,true,false,Kim,+49 1,de,"A 1, left",n'
    return [f"{','.join(names)}\n{cells}\n{cells.replace('o1', 'o2')}\n".encode()]


def _json_lines() -> list[bytes]:
    order = {"arrives_s": 0.5, "seller_id": "s1", "seller_order_id": "o1", "store_name": "Anker", "pickup_lat": 48.0,
             "pickup_lng": 7.8, "dropoff_lat": 48.1, "dropoff_lng": 7.9, "order_value_minor": 1000,
             "delivery_fee_minor": 200, "currency": "EUR", "vehicle": "car", "cash": True}  # fmt: skip
    return [json.dumps(order).encode() + b"\n" + json.dumps(order | {"seller_order_id": "o2"}).encode() + b"\n"]


def _environment(data: bytes) -> None:
    """Values by line, for the variables in their order."""
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    names = [variable.name for variable in VARIABLES]
    flags = [name.upper() for name in Flags.__struct_fields__]
    names += [f"ENABLE_{flag}" for flag in flags] + [f"{flag}_ROLLOUT" for flag in flags]
    said = dict(zip(names, lines, strict=False))
    start_policy(said)
    start_flags(said)


def _environments() -> list[bytes]:
    return [
        b"30\nnext_driver\n2\n5\n120\n2\n5\n120\n3\n5\n15\n30\n5000\n10000\n5\n30\ntrue\noff\n1",
        b"\n" * 20 + b"50",
    ]


# The audit


@cache
def _bundle() -> bytes:
    """One delivery's first event, chained, anchored and signed."""
    event = some(delivery_events.DeliveryCreated)
    value = codec.encode(event)
    row = audit_row(event, value, (bundle.OWN, 0, 5), b"")
    leaf = merkle.leaf(5, row["hash"])
    held = Anchor(
        topic=bundle.OWN, partition=0, number=1, first_offset=5, last_offset=5, rows=1, rows_so_far=1,
        first_at_ms=event.at_ms, last_at_ms=event.at_ms, before=b"", hash=row["hash"], root=leaf, previous=bytes(32),
        at_ms=event.at_ms, key_id=SIGNER.key_id,
    ).signed(SIGNER)  # fmt: skip
    about = About(export_id="e", delivery_id=event.delivery_id, at_ms=1, actor_id="eva", reason="r", events=1,
                  key_id=SIGNER.key_id)  # fmt: skip
    body = json.loads(__import__("msgspec").json.encode(event))
    made, _ = bundle.made(about, [({**row, "body": body}, value, Proof(held, 0, []))], "told", SIGNER)
    assert chained(b"", value) == row["hash"]
    return made


def _check(data: bytes) -> None:
    bundle.check(data, Known(SIGNER.public))


def _resealed(data: bytes) -> None:
    _check(resealed(_bundle(), data, bundle.FILES))


def _anchor(data: bytes) -> None:
    found = anchor.read(data.decode("utf-8", "replace"))
    found.wrong(Known(SIGNER.public))
    assert anchor.read(found.line()) == found


def _anchors() -> list[bytes]:
    with zipfile.ZipFile(io.BytesIO(_bundle())) as archive:
        return [json.dumps(one).encode() for one in json.loads(archive.read("anchors.json"))]


TARGETS = (
    Target("policy-toml", _as_file("policy.toml", _policy), (BadPolicyFile,), _policies_toml),
    Target("policy-json", _as_file("policy.json", _policy), (BadPolicyFile,), _policies_json),
    Target("policy-document", _document, (PolicyRefused,), _policies_json),
    Target("zone-file", _zones, (ZoneFileError,), _zone_files),
    Target("orders-csv", _as_file("orders.csv", _orders), (BadOrderFile,), _csv),
    Target("orders-json", _as_file("orders.jsonl", _orders), (BadOrderFile,), _json_lines),
    Target("start-values", _environment, (SettingsError,), _environments),
    Target("audit-bundle", _check, (BadBundle,), lambda: [_bundle()]),
    Target("audit-bundle-resealed", _resealed, (BadBundle,), lambda: parts(_bundle(), bundle.FILES)),
    Target("audit-anchor", _anchor, (ValueError,), _anchors),
    Target("audit-key", _as_file("key.pem", public), (Misconfigured,), lambda: [public_pem(SIGNER.public).encode()]),
)  # fmt: skip
