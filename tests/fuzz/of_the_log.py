"""Targets that take what stands in the log, in the state topics and in the journal's file."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any, get_args

import msgspec

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records import delivery_commands as commands
from dispatch.contract.records import driver_commands, system
from dispatch.contract.records.delivery_commands import DeliveryTimer
from dispatch.contract.records.driver_commands import DriverTimer
from dispatch.core.acceptance import FEATURES, MODEL_NAME, AcceptanceModel
from dispatch.core.policy import Policy
from dispatch.core.zones import Zone
from dispatch.inputs.arrivals import Arrivals
from dispatch.inputs.prices import PriceBoard
from dispatch.inputs.rules import Rules, policy_record
from dispatch.inputs.standing import Standing
from dispatch.inputs.zones import ZoneBoard, zone_record
from dispatch.log import envelope
from dispatch.log.application import Context, Deadline, Record
from dispatch.log.envelope import Envelope
from dispatch.log.errors import BadRecord, Misconfigured
from dispatch.log.journal import FileOfJournal, Journal, Said, Taken
from dispatch.processors.cores import aggregates
from dispatch.processors.inbound import InboundDoor
from projections.models import LATEST
from projections.noting import noted
from projections.runtime import Position, fold
from tests.fuzz.target import Target, encoded, some

NOW_MS = 1_790_000_000_000
ID = "11111111-2222-4333-8444-555555555555"


def _record(data: bytes) -> None:
    read = codec.decode(data)
    again = codec.encode(read)
    assert codec.encode(codec.decode(again)) == again, "what was read is not read again as it was"
    assert codec.subject_in(data) == codec.subject(type(read))


def _inbound(data: bytes) -> None:
    InboundDoor("").transform(Record("orders.inbound", 0, 0, NOW_MS, b"k", data))


def _command(data: bytes) -> None:
    """As a worker takes it: decoded, named, decided upon nothing."""
    for aggregate in aggregates(Rules(), ""):
        if codec.subject_in(data).split(".")[1:2] != [f"{aggregate.name}_commands"]:
            continue
        command = aggregate.decode(Record(aggregate.commands_topic, 0, 0, NOW_MS, b"k", data))
        name, command_id = aggregate.identity(command)
        assert len(command_id) == 16
        state: Any = aggregate.initial(name)
        if aggregate.needs(state, command, NOW_MS) is None:
            step = aggregate.step(state, command, None, Context(NOW_MS, NOW_MS, data))
            if step.state is not None:
                aggregate.load(name, aggregate.dump(step.state))


def _timer(data: bytes) -> None:
    """A deadline of any moment and reference, as a state kept by another release may hold it.

    One of a kind that this release does not know cannot be written down; the host sets it aside.
    """
    kind, _, ref = data[8:].decode("utf-8", "replace").partition(" ")
    deadline = Deadline(kind, int.from_bytes(data[:8].ljust(8, b"\0"), "big", signed=True) >> 20, ref)
    for aggregate, known in zip(aggregates(Rules(), ""), (DeliveryTimer, DriverTimer), strict=True):
        if kind not in get_args(known):
            continue
        command = aggregate.timer_command(ID, deadline)
        assert len(aggregate.identity(command)[1]) == 16
        state: Any = aggregate.initial(ID)
        if aggregate.needs(state, command, NOW_MS) is None:
            aggregate.step(state, command, None, Context(NOW_MS, NOW_MS, b""))


def _envelope(data: bytes) -> None:
    kept = envelope.load(data)
    assert envelope.load(envelope.dump(kept)).state == kept.state


def _state(data: bytes) -> None:
    for aggregate in aggregates(Rules(), ""):
        aggregate.load(ID, data)


def _states() -> list[bytes]:
    return [aggregate.dump(aggregate.initial(ID)) for aggregate in aggregates(Rules(), "")]  # type: ignore[arg-type]


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="baton-fuzz-"))


def _journal(data: bytes) -> None:
    path = _folder() / "journal"
    path.write_bytes(data)
    journal = Journal(FileOfJournal(path))
    journal.settle(lambda taken: not journal.is_deadly(taken))
    journal.close()


def _rules(data: bytes) -> None:
    Rules().apply(data)


def _policy_of_the_log(data: bytes) -> None:
    document = data.decode("utf-8", "replace")
    Rules().apply(codec.encode(system.PolicyPublished(version=1, at_ms=1, actor_id="a", document=document, reason="")))


def _zones(data: bytes) -> None:
    board = ZoneBoard()
    board.apply(b"z", data)
    board.facts("z", NOW_MS, "EUR")


def _zone_shape(data: bytes) -> None:
    record = zone_record(_zone(), 1)
    _zones(codec.encode(msgspec.structs.replace(record, geometry=data.decode("utf-8", "replace"))))


def _zone() -> Zone:
    from shapely.geometry import box

    return Zone(zone_id="z", name="Z", priority=3, min_drivers_online=0, target_wait_s=300, shape=box(7, 48, 7.1, 48.1))


def _prices(data: bytes) -> None:
    PriceBoard().apply(b"z", data)


def _standing(data: bytes) -> None:
    for topic in (topics.DRIVER_SCORES, topics.MODELS):
        Standing().apply(topic, b"k", data)


def _arrivals(data: bytes) -> None:
    Arrivals().apply(b"k", data)


def _learned(data: bytes) -> None:
    """A model's document as the log holds it: of arrivals when it names a scope, else of acceptance."""
    arrivals = b'"scope"' in data
    document, published = data.decode("utf-8", "replace"), some(system.ModelPublished)
    model = "eta" if arrivals else MODEL_NAME
    record = codec.encode(msgspec.structs.replace(published, model=model, document=document))
    if arrivals:
        Arrivals().apply(b"k", record)
    else:
        Standing().apply(topics.MODELS, b"k", record)


def _projected(data: bytes) -> None:
    """As the projector takes it: of every topic that it reads, nothing but poison may come of it."""
    names = (topics.DELIVERY_EVENTS.name, topics.DRIVER_EVENTS.name, topics.DRIVER_PLACES.name, *LATEST,
             *(topic.name for topic in (topics.ZONE_HEALTH, topics.DEAD_LETTERS)))  # fmt: skip
    for name in dict.fromkeys(names):
        record = Record(name, 0, 0, NOW_MS, b"key", data)
        folding = fold([record], {(name, 0): Position()}, "")
        assert folding.positions[name, 0].next_offset == 1


def _letters(data: bytes) -> None:
    noted(topics.DEAD_LETTERS.name, Record(topics.DEAD_LETTERS.name, 0, 0, NOW_MS, None, data))


def _documents() -> list[bytes]:
    whole = policy_record(Policy(), at_ms=1, actor_id="a").document.encode()
    return [whole, b'{"offer": {"timeout_s": 10}}', b'{"by_zone": {"z": {"search": {"radius_m": 9000}}}}']


def _envelopes() -> list[bytes]:
    deadlines = (Deadline("offer_expiry", NOW_MS, ID), Deadline("grace", NOW_MS + 1))
    return [
        envelope.dump(Envelope(format, NOW_MS, deadlines, ((b"i" * 16, b"o"),), state, deadlines[1:]))
        for format in envelope.READ
        for state in (b"", *_states())
    ]


def _kept_in_hand() -> list[bytes]:
    taken = {Taken("commands", 0, 7), Taken("commands", 1, aggregate_id="a", deadline=Deadline("grace", 5))}
    return [msgspec.json.encode(Said(taken, 2)) + b"\n", msgspec.json.encode(Said()) + b"\nold"]


def _kinds() -> list[bytes]:
    words = ("search_retry 1", "reserve_timeout " + ID, "offer_expiry " + ID, "grace", "forget", "escalation 2",
             "break_end", "break_notice", "offline_check", "nonsense x")  # fmt: skip
    return [(NOW_MS << 20).to_bytes(8, "big", signed=True) + word.encode() for word in words]


def _of(*rooms: Any) -> list[bytes]:
    return [data for data in encoded() if type(codec.decode(data)).__module__ in {room.__name__ for room in rooms}]


def _arrivals_learned() -> list[bytes]:
    document = '{"scope": "city", "cells": {"pickup": {"3": 1.5}}}'
    return [codec.encode(msgspec.structs.replace(some(system.ModelPublished), model="eta", document=document))]


def _acceptance() -> bytes:
    each = (0.5,) * len(FEATURES)
    return msgspec.json.encode(AcceptanceModel(features=FEATURES, means=each, scales=each, coefficients=each,
                                               intercept=0.2, trained_offers=100, base_rate=0.7))  # fmt: skip


TARGETS = (
    Target("record", _record, (ContractError,), encoded),
    Target("record-with-limits", codec.decode_checked, (ContractError,), encoded),
    Target("inbound-order", _inbound, (BadRecord,), encoded),
    Target("command", _command, (BadRecord,), lambda: _of(commands, driver_commands)),
    Target("timer", _timer, (), _kinds),
    Target("envelope", _envelope, (Misconfigured,), _envelopes),
    Target("state", _state, (Misconfigured,), _states),
    Target("journal", _journal, (), _kept_in_hand),
    Target("rules-record", _rules, (ContractError,), lambda: _of(system)),
    Target("policy-record", _policy_of_the_log, (ContractError,), _documents),
    Target("zones-record", _zones, (ContractError,), lambda: _of(system)),
    Target("zone-shape", _zone_shape, (ContractError,), lambda: [zone_record(_zone(), 1).geometry.encode()]),
    Target("price-record", _prices, (ContractError,), lambda: _of(system)),
    Target("standing-record", _standing, (ContractError,), lambda: _of(system)),
    Target("arrivals-record", _arrivals, (ContractError, ValueError), _arrivals_learned),
    Target("learned-document", _learned, (ContractError, ValueError), lambda: [
        b'{"scope": "zone z", "cells": {"pickup": {"3": 1.5}}}',
        b'{"scope": "positions", "positions": {"0": 4}, "begin": {"0": 1}}', _acceptance(),
    ]),
    Target("projected-record", _projected, (), encoded),
    Target("dead-letter", _letters, (ContractError,), lambda: _of(system)),
)  # fmt: skip
