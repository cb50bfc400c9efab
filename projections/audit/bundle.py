"""A bundle: one delivery's events with all that is needed to check them, in one signed file; no server, no database.

The form, and a check in a page of standard Python, are in docs/audit.md; `sealed` makes it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from dispatch.contract import codec, registry
from dispatch.contract.errors import ContractError
from projections.audit import anchor as anchors
from projections.audit import merkle, proof
from projections.audit.anchor import Anchor
from projections.audit.delivery import Proof
from projections.audit.keys import Known, Signer
from projections.audit.sealed import (
    MANIFEST,
    SIGNATURE,
    BadBundle,
    as_json,
    read_json,
    seal_is_wrong,
    sealed,
    unpacked,
)
from projections.models.audit import WORDS, chained
from projections.models.model import Row

FORMAT = "baton-audit-bundle/1"
FILES = ("anchors.json", "events.json", "schemas.json", "timeline.txt")
OWN = "delivery.events"
__all__ = ["FILES", "FORMAT", "MANIFEST", "OWN", "SIGNATURE", "About", "BadBundle", "Checked", "check", "made"]


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What the manifest says of the export."""

    export_id: str
    delivery_id: str
    at_ms: int
    actor_id: str
    reason: str
    events: int
    key_id: str


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What came of checking a bundle."""

    about: About
    wrong: tuple[str, ...]
    timeline: str
    anchored_ms: int
    """When the last of the anchors was signed that hold its events."""


def made(about: About, rows: Sequence[tuple[Row, bytes, Proof]], timeline: str, signer: Signer) -> tuple[bytes, bytes]:
    """The bundle's bytes, and SHA-256 of its manifest."""
    held = {(proof.anchor.place, proof.anchor.number): proof.anchor for _, _, proof in rows}
    ids = sorted({codec.schema_id_in(value) for _, value, _ in rows})
    files = {
        "anchors.json": as_json([json.loads(held[key].line()) for key in sorted(held)]),
        "events.json": as_json([_event(*row) for row in rows]),
        "schemas.json": as_json({str(number): registry.registered()[number - 1].schema for number in ids}),
        "timeline.txt": timeline.encode(),
    }
    return sealed(FORMAT, msgspec.to_builtins(about), files, signer)


def check(content: bytes, known: Known) -> Checked:
    """Looks at a bundle with nothing else at hand than keys that are believed. Raises BadBundle."""
    files = unpacked(content, FILES)
    manifest, events, held = (read_json(files, name) for name in (MANIFEST, "events.json", "anchors.json"))
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BadBundle(f"its manifest is not of the form {FORMAT}")
    if not isinstance(events, list) or not isinstance(held, list):
        raise BadBundle("its events and anchors are no lists")
    try:
        about = msgspec.convert(manifest, About)
        given = [anchors.read(one) for one in held]
        timeline = files["timeline.txt"].decode()
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise BadBundle(f"it cannot be read: {error}") from error
    by_place = {(one.topic, one.partition, one.number): one for one in given}
    wrong = seal_is_wrong(files, manifest, about.key_id, known, FILES)
    wrong += [f"{_name(one)} {said}" for one in given if (said := one.wrong(known))]
    own = []
    for event in events:
        try:
            wrong += [f"{event['topic']}/{event['partition']}/{event['offset']}: {said}"
                      for said in _wrong(event, about.delivery_id, by_place)]  # fmt: skip
            own += [event["version"]] if event["topic"] == OWN else []
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise BadBundle(f"an event in it cannot be read: {type(error).__name__} {error}") from error
    if own != list(range(1, len(own) + 1)) or not own:
        wrong.append(f"the delivery's events should have the versions 1 to {len(own)}, and have {own}")
    if len(events) != about.events:
        wrong.append(f"{len(events)} events are in it, the manifest says {about.events}")
    latest_ms = max((one.at_ms for one in given), default=0)
    return Checked(about=about, wrong=tuple(wrong), timeline=timeline, anchored_ms=latest_ms)


def _event(row: Row, value: bytes, proof: Proof) -> dict[str, Any]:
    return {
        "topic": row["topic"], "partition": row["partition"], "offset": row["record_offset"], "event": row["event"],
        "version": row["version"], "at_ms": row["body"]["at_ms"], "schema_id": codec.schema_id_in(value),
        "body": row["body"], "value": value.hex(), "prev_hash": row["prev_hash"].hex(), "hash": row["hash"].hex(),
        "anchor": proof.anchor.number, "leaf": proof.leaf_index, "path": [one.hex() for one in proof.path or ()],
    }  # fmt: skip


def _wrong(
    event: Mapping[str, Any], delivery_id: str, by_place: Mapping[tuple[str, int, int], Anchor]
) -> Iterator[str]:
    """What of an event does not hold."""
    value, hashed = bytes.fromhex(event["value"]), bytes.fromhex(event["hash"])
    if chained(bytes.fromhex(event["prev_hash"]), value) != hashed:
        yield "SHA-256 of prev_hash and value is not the hash"
    try:
        read = codec.decode(value)
    except ContractError as error:
        yield f"its bytes are no event: {error.reason}"
        return
    header = msgspec.structs.asdict(read)
    wanted = {"event": type(read).__name__, "version": header.get("version"), "at_ms": header.get("at_ms"),
              "schema_id": codec.schema_id_in(value)}  # fmt: skip
    for name, said in wanted.items():
        if event[name] != said:
            yield f"{name} is {event[name]!r}, its bytes say {said!r}"
    if type(read) not in WORDS or header.get("delivery_id") != delivery_id:
        yield "its bytes are no event of this delivery"
    if not proof.is_body_of(event["body"], read, value):
        yield "body does not say what its bytes say"
    anchor = by_place.get((event["topic"], event["partition"], event["anchor"]))
    if anchor is None:
        yield f"anchor {event['anchor']} is not in the bundle"
        return
    siblings = [bytes.fromhex(one) for one in event["path"]]
    within = anchor.first_offset <= event["offset"] <= anchor.last_offset
    leaf = merkle.leaf(event["offset"], hashed)
    if not within or merkle.root_by(leaf, event["leaf"], anchor.rows, siblings) != anchor.root:
        yield f"its path does not lead to the root of {_name(anchor)}"


def _name(anchor: Anchor) -> str:
    return f"anchor {anchor.number} of {anchor.topic}/{anchor.partition}"
