"""Two small decoders for trying the runner: one that holds, one with a fault that only coverage leads to."""

from tests.fuzz.target import Target


def _sound(data: bytes) -> None:
    if data[:1] == b"x":
        raise ValueError("refused")


def _broken(data: bytes) -> None:
    if data[:1] != b"b":
        raise ValueError("refused")
    if data[1:2] != b"a":
        raise ValueError("refused")
    if data[2:3] != b"t":
        raise ValueError("refused")
    raise KeyError("behind three bytes")


KINDS = (("sound", _sound), ("broken", _broken))
TARGETS = {name: Target(name, take, (ValueError,), lambda: [b"b"]) for name, take in KINDS}
