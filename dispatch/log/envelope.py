"""The form of an aggregate in the state topic: the host's own memory of it round the application's bytes.

A format number leads. A release reads its own and the one before, and writes what `WRITTEN` says, so that a rolling
update can go back.
"""

import msgspec

from dispatch.log.application import Deadline
from dispatch.log.errors import Misconfigured

WRITTEN = 1
READ = (1,)
REMEMBERED = 32
"""Commands whose outcome an aggregate remembers."""


class Envelope(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An aggregate as kept."""

    format: int
    now_ms: int
    deadlines: tuple[tuple[str, int, str], ...]
    recent: tuple[tuple[bytes, bytes], ...]
    state: bytes

    def remembers(self, command_id: bytes) -> bytes | None:
        """The outcome of a command seen before."""
        for known, outcome in self.recent:
            if known == command_id:
                return outcome
        return None

    def due(self) -> tuple[Deadline, ...]:
        """The open deadlines."""
        return tuple(Deadline(*deadline) for deadline in self.deadlines)


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Envelope)


def dump(envelope: Envelope) -> bytes:
    """The envelope's bytes."""
    return _ENCODER.encode(envelope)


def load(data: bytes) -> Envelope:
    """The envelope in these bytes. Raises Misconfigured for a format that this release does not read."""
    envelope = _DECODER.decode(data)
    if envelope.format not in READ:
        raise Misconfigured(f"state of format {envelope.format}; this release reads {READ}: run a newer release")
    return envelope
