"""Where a verification got to, in a file: offsets, states, events read ahead, the report. It goes on from there."""

from pathlib import Path
from typing import Any

import msgspec

from dispatch.log.application import Record
from dispatch.log.errors import Misconfigured
from dispatch.replay.report import Report
from dispatch.replay.verify import Verifier

FORMAT = 1


class Checkpoint(msgspec.Struct, kw_only=True):
    """The whole of it. `asked` tells another question apart."""

    format: int
    asked: tuple[Any, ...]
    done: tuple[int, ...]
    partition: int
    offsets: dict[str, int]
    states: tuple[tuple[tuple[str, str], bytes], ...]
    ahead: dict[str, tuple[Record, ...]]
    lost: tuple[tuple[str, str], ...]
    report: Report


def keep(file: Path, asked: tuple[Any, ...], done: list[int], verifier: Verifier, partition: int) -> None:
    """Writes it, as a whole or not at all. Raises Misconfigured."""
    offsets = {"decisions": verifier.next_offset} | {
        kind: ahead.next_offset for kind, ahead in verifier.ahead.items() if ahead.next_offset >= 0
    }
    content = Checkpoint(
        format=FORMAT,
        asked=tuple(asked),
        done=tuple(done),
        partition=partition,
        offsets=offsets,
        states=tuple(verifier.states.items()),
        ahead={kind: tuple(ahead.left()) for kind, ahead in verifier.ahead.items()},
        lost=tuple(verifier.lost),
        report=verifier.report,
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f"{file.name}.new")
        beside.write_bytes(msgspec.msgpack.encode(content))
        beside.replace(file)
    except OSError as error:
        raise Misconfigured(f"{file} cannot be written: {error.strerror}") from error


def read(file: Path, asked: tuple[Any, ...]) -> Checkpoint:
    """What `keep` wrote for the same question. Raises Misconfigured."""
    try:
        found = msgspec.msgpack.decode(file.read_bytes(), type=Checkpoint)
    except OSError as error:
        raise Misconfigured(f"nothing to resume: {file} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise Misconfigured(f"{file} is no checkpoint: {error}") from error
    if found.format != FORMAT or msgspec.to_builtins(found.asked) != msgspec.to_builtins(tuple(asked)):
        raise Misconfigured(f"{file} is of another question; ask the same, or begin anew without --resume")
    return found


def restore(verifier: Verifier, found: Checkpoint) -> None:
    """Puts a verifier where it was."""
    verifier.next_offset = found.offsets["decisions"]
    for key, raw in found.states:
        verifier.states.restored(key, raw)
    for kind, records in found.ahead.items():
        for record in records:
            verifier.ahead[kind].put(record)
        verifier.ahead[kind].next_offset = found.offsets.get(kind, -1)
    verifier.lost = set(found.lost)
