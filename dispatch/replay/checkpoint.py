"""Where a verification got to, in a file: offsets, states, events read ahead, the report. It goes on from there."""

from pathlib import Path

import msgspec

from dispatch.log.application import Record
from dispatch.log.errors import Misconfigured
from dispatch.replay.report import Report
from dispatch.replay.verify import Verifier

FORMAT = 1


class Checkpoint(msgspec.Struct, kw_only=True):
    """The whole of it. `asked` is the question: partitions, times, aggregate."""

    format: int
    asked: tuple[tuple[int, ...], int, int, str]
    done: tuple[int, ...]
    partition: int
    offsets: dict[str, int]
    states: tuple[tuple[tuple[str, str], bytes], ...]
    ahead: dict[str, tuple[Record, ...]]
    lost: tuple[tuple[str, str], ...]
    report: Report


def keep(
    file: Path,
    asked: tuple[tuple[int, ...], int, int, str],
    done: list[int],
    report: Report,
    within: tuple[int, Verifier] | None = None,
) -> None:
    """Writes it, as a whole or not at all: between two partitions, or within one. Raises Misconfigured."""
    partition, verifier = within or (-1, None)
    content = Checkpoint(
        format=FORMAT,
        asked=(asked[0], asked[1], asked[2], asked[3]),
        done=tuple(done),
        partition=partition,
        offsets=_offsets(verifier) if verifier else {},
        states=tuple(verifier.states.items()) if verifier else (),
        ahead={kind: tuple(ahead.left()) for kind, ahead in verifier.ahead.items()} if verifier else {},
        lost=tuple(verifier.lost) if verifier else (),
        report=report,
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f"{file.name}.new")
        beside.write_bytes(msgspec.msgpack.encode(content))
        beside.replace(file)
    except OSError as error:
        raise Misconfigured(f"{file} cannot be written: {error.strerror}") from error


def read(file: Path) -> Checkpoint:
    """What `keep` wrote. Raises Misconfigured."""
    try:
        found = msgspec.msgpack.decode(file.read_bytes(), type=Checkpoint)
    except OSError as error:
        raise Misconfigured(f"nothing to resume: {file} cannot be read: {error.strerror}") from error
    except msgspec.DecodeError as error:
        raise Misconfigured(f"{file} is no checkpoint of this release: {error}") from error
    if found.format != FORMAT:
        raise Misconfigured(f"{file} has the form {found.format}; this release reads {FORMAT}: begin anew")
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


def _offsets(verifier: Verifier) -> dict[str, int]:
    """Of the next records; an events' topic that was not read yet begins at its start."""
    read = {kind: ahead.next_offset for kind, ahead in verifier.ahead.items() if ahead.next_offset >= 0}
    return {"decisions": verifier.next_offset, **read}
