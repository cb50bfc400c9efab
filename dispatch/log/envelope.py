"""The form of an aggregate in the state topic: the host's own memory of it round the application's bytes.

A format number leads. A release reads its own and the one before, and writes the one that its settings say, so that a
rolling update can go back: the older until every worker reads the newer. Format 2 added the deadlines set aside; what
writes 1 forgets them when it restarts.
"""

import msgspec

from dispatch.log.application import Deadline
from dispatch.log.errors import Misconfigured

WRITTEN = 2
"""The newest, written unless the settings say otherwise."""
READ = (1, 2)
REMEMBERED = 32
"""Commands whose outcome an aggregate remembers."""
REMEMBERED_BYTES = 4_096
"""Bytes of those outcomes together, at most."""
Recent = tuple[tuple[bytes, bytes], ...]
"""Command ids with their outcomes, the newest last."""


class Envelope(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An aggregate as kept."""

    format: int
    now_ms: int
    deadlines: tuple[Deadline, ...]
    recent: Recent
    state: bytes
    set_aside: tuple[Deadline, ...] = ()
    """Deadlines whose timers were poison and which the state still wants."""


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Envelope)


def dump(envelope: Envelope) -> bytes:
    """The envelope's bytes, in its format."""
    if envelope.format == 1:
        return _ENCODER.encode((1, envelope.now_ms, envelope.deadlines, envelope.recent, envelope.state))
    return _ENCODER.encode(envelope)


def load(data: bytes) -> Envelope:
    """The envelope in these bytes. Raises Misconfigured for a format that this release does not read, and for none."""
    try:
        envelope = _DECODER.decode(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Misconfigured(f"what stands there is no state that this release reads {READ}: {error}") from error
    if envelope.format not in READ:
        raise Misconfigured(f"state of format {envelope.format}; this release reads {READ}: run a newer release")
    return envelope


def remembered(recent: Recent, command_id: bytes, outcome: bytes) -> Recent:
    """With one more outcome, which is at most REMEMBERED_BYTES; the oldest go when there are too many or too much."""
    recent = (*recent, (command_id, outcome))[-REMEMBERED:]
    while sum(len(known) for _, known in recent) > REMEMBERED_BYTES:
        recent = recent[1:]
    return recent
