"""An incident bundle: one delivery's decisions, facts, events and policies in a signed file that replays anywhere.

It is sealed as the audit's bundles are, with the same key. What people wrote and what follows from contacts is cut out
(`cutting`); the manifest counts what was.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from dispatch import __version__
from dispatch.contract import codec
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import Decision, PolicyPublished
from dispatch.log.application import Record
from dispatch.log.errors import Misconfigured
from dispatch.processors import recorded
from dispatch.replay.cutting import Cutter
from dispatch.replay.history import History, history
from dispatch.replay.policies import Policies, readable
from dispatch.replay.report import Report
from dispatch.replay.verify import Asked, Sources, Verifier
from projections.audit.keys import Known, Signer
from projections.audit.sealed import MANIFEST, BadBundle, as_json, read_json, seal_is_wrong, sealed, unpacked
from projections.story import tell

FORMAT = "baton-incident-bundle/1"
FILES = ("decisions.json", "events.json", "policies.json", "timeline.txt", "versions.json")
_EVENTS = {"delivery": "delivery.events", "driver": "driver.events"}
_LARGEST = 64_000_000


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What the manifest says."""

    kind: str
    aggregate_id: str
    at_ms: int
    actor_id: str
    reason: str
    decisions: int
    events: int
    exported_by: str
    """The version of the code that made it."""
    cut: dict[str, int]
    """Record and field of what was cut out, and how often."""
    key_id: str


class Opened(NamedTuple):
    """A bundle that was read."""

    about: About
    wrong: tuple[str, ...]
    """What of its seal does not hold; empty: all holds."""
    known: History
    policies: Policies


def made(known: History, policies: Policies, who: tuple[int, str, str], signer: Signer) -> tuple[About, bytes]:
    """The bundle of a history; `who`: the moment, the actor and the reason. Raises Misconfigured for what is unread."""
    if known.unread:
        raise Misconfigured(f"not all of it can be read by this release: {known.unread[0]}")
    cutter, topic = Cutter(), _EVENTS[known.kind]
    decisions = [_cut_decision(cutter, record) for record in known.records["decisions"]]
    events = [_cut_event(cutter, record) for record in known.records[topic]]
    versions = sorted({entry.one.decision.policy_version for entry in known.entries})
    at_ms, actor_id, reason = who
    about = About(
        kind=known.kind, aggregate_id=known.aggregate_id, at_ms=at_ms, actor_id=actor_id, reason=reason,
        decisions=len(decisions), events=len(events), exported_by=__version__, cut=cutter.cut, key_id=signer.key_id,
    )  # fmt: skip
    files = {
        "decisions.json": as_json(decisions),
        "events.json": as_json(events),
        "policies.json": as_json([msgspec.to_builtins(one) for one in map(policies.published, versions) if one]),
        "timeline.txt": _timeline(known.kind, events).encode(),
        "versions.json": as_json(_versions(known)),
    }
    return about, sealed(FORMAT, msgspec.to_builtins(about), files, signer)[0]


def opened(content: bytes, keys: Known) -> Opened:
    """Reads a bundle, and looks whether its seal holds. Raises BadBundle."""
    files = unpacked(content, FILES)
    manifest = read_json(files, MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BadBundle(f"its manifest is not of the form {FORMAT}")
    try:
        about = msgspec.convert(manifest, About)
        policies = Policies(readable(msgspec.convert(read_json(files, "policies.json"), list[PolicyPublished])))
        topic = _EVENTS[about.kind]
        decisions = list(_records("decisions", read_json(files, "decisions.json"), about))
        events = list(_records(topic, read_json(files, "events.json"), about))
    except (msgspec.ValidationError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadBundle(f"it cannot be read: {type(error).__name__} {error}") from error
    wrong = seal_is_wrong(files, manifest, about.key_id, keys, FILES)[0 if keys else 1 :]  # the first: the signature
    wrong += [f"{len(decisions)} decisions are in it, the manifest says {about.decisions}"] * (
        len(decisions) != about.decisions
    )
    wrong += [f"{len(events)} events are in it, the manifest says {about.events}"] * (len(events) != about.events)
    known = history(about.kind, about.aggregate_id, decisions, events, ("decisions", topic))
    return Opened(about, tuple(wrong), known, policies)


def opened_file(path: str, keys: Known | None = None) -> Opened:
    """The same of a file. Raises Misconfigured."""
    file = Path(path)
    try:
        if file.stat().st_size > _LARGEST:
            raise Misconfigured(f"{file} is larger than any bundle")
        return opened(file.read_bytes(), keys or Known())
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from error
    except BadBundle as error:
        raise Misconfigured(f"{file} is no incident bundle: {error}") from error


def verified(found: Opened) -> Report:
    """Decides all of it again. What was cut stands as it was cut on both sides; everything else is compared."""
    report, cutter = Report(), Cutter()
    records = found.known.records
    of_kind = records[_EVENTS[found.about.kind]]
    none: tuple[Record, ...] = ()
    delivery, driver = (of_kind, none) if found.about.kind == "delivery" else (none, of_kind)
    sources = Sources(_source(records["decisions"]), _source(delivery), _source(driver))
    Verifier(found.policies, sources, Asked(), report, cutter.record).run()
    return report


def _source(records: Iterable[Record]) -> Any:
    left = iter(records)
    return lambda: next(left, None)


def _cut_decision(cutter: Cutter, record: Record) -> dict[str, Any]:
    decision: Any = codec.decode(record.value)
    command = cutter.record(codec.decode(decision.command))
    cut: Decision = msgspec.structs.replace(decision, command=codec.encode(command))
    said = {**msgspec.structs.asdict(cut), "command": type(command).__name__, "facts": None}
    return {
        **_place(record),
        "decision": said,
        "command": msgspec.to_builtins(command),
        "facts": msgspec.json.decode(cut.facts),
        "value": codec.encode(cut).hex(),
    }


def _cut_event(cutter: Cutter, record: Record) -> dict[str, Any]:
    event = cutter.record(codec.decode(record.value))
    body = msgspec.to_builtins(event)
    return {**_place(record), "event": type(event).__name__, "body": body, "value": codec.encode(event).hex()}


def _place(record: Record) -> dict[str, Any]:
    return {"partition": record.partition, "offset": record.offset, "stamp_ms": record.timestamp_ms}


def _records(topic: str, said: list[Mapping[str, Any]], about: About) -> Iterable[Record]:
    for one in said:
        value = bytes.fromhex(one["value"])
        try:
            codec.decode(value)
        except ContractError as error:
            raise ValueError(f"a record of {topic}: {error}") from error
        key = about.aggregate_id.encode()
        yield Record(topic, int(one["partition"]), int(one["offset"]), int(one["stamp_ms"]), key, value)


def _timeline(kind: str, events: list[dict[str, Any]]) -> str:
    if kind != "delivery":
        return "".join(f"{one['body']['at_ms']}  {one['event']}\n" for one in events)
    cut: list[Any] = [codec.decode(bytes.fromhex(one["value"])) for one in events]
    rows = tell(cut)
    return "".join(f"{moment:12}  {sentence}\n" for moment, sentence in rows)


def _versions(known: History) -> dict[str, Any]:
    """Which code, policies, flags, maps of zones and schemas all of it rests on."""
    facts = [recorded.read(entry.one.decision.facts) for entry in known.entries]
    flags = {msgspec.json.encode(one.flags).decode() for one in facts}
    topic = _EVENTS[known.kind]
    values = [record.value or b"" for record in (*known.records["decisions"], *known.records[topic])]
    return {
        "code": sorted({entry.one.decision.code_version for entry in known.entries}),
        "policies": sorted({entry.one.decision.policy_version for entry in known.entries}),
        "flags": [msgspec.json.decode(one) for one in sorted(flags)],
        "zones": sorted({one.zone.version for one in facts if one.zone}),
        "schemas": sorted({codec.schema_id_in(value) for value in values}),
    }
