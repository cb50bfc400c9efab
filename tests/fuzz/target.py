"""A target of odd bytes: what takes them, what it may raise, real ones to begin with; and ways to make them odd."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from dispatch.contract import codec
from dispatch.contract.records.shared import Order

LARGEST = 65_536
_NAMED_BY_UUID = ("delivery", "offer", "event", "command", "causation", "correlation", "broadcast", "notice", "change",
                  "request")  # fmt: skip
_TEXTS = {"currency": "EUR", "language": "de", "document": "{}", "token_hash": "ab" * 32, "hash": "ab" * 32,
          "pin_mark": "ab" * 32, "letter_id": "0-7"}  # fmt: skip
_UUID = "11111111-2222-4333-8444-555555555555"


@dataclass(frozen=True)
class Target:
    """One decoder. Anything that is raised and not named here is a fault, and so is a broken assertion."""

    name: str
    take: Callable[[bytes], object]
    may_raise: tuple[type[Exception], ...]
    seeds: Callable[[], list[bytes]]

    def hold(self, data: bytes) -> bool:
        """Whether the bytes were taken; False: they were refused as they may be. Raises what is a fault."""
        try:
            self.take(data)
        except self.may_raise as error:
            str(error).encode()  # it is told to somebody
            return False
        return True


def some(kind: Any, name: str = "") -> Any:
    """A record of this kind with ordinary values."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind)
        fields = [field for field in msgspec.structs.fields(kind) if field.required or kind is Order]
        return kind(**{field.name: some(hints[field.name], field.name) for field in fields})
    options = get_args(kind)
    if get_origin(kind) is tuple:
        return (some(options[0], name),)
    if get_origin(kind) is dict:
        return {"word": some(options[1], name)}
    if options:
        first = next(option for option in options if option not in (type(None), "UNKNOWN"))
        return first if isinstance(first, str) else some(first, name)
    return {str: _text(name), int: _number(name), float: 0.5, bool: True, bytes: b"\x01\x02"}[kind]


def _number(name: str) -> int:
    if name == "multiplier_percent":
        return 120
    return 1_790_000_000_000 if name.endswith("_ms") and not name.startswith("wait_") else 1


def _text(name: str) -> str:
    if name.removesuffix("_id") in _NAMED_BY_UUID:
        return _UUID
    return _TEXTS.get(name, "word")


def encoded() -> list[bytes]:
    """One record of every kind, as it stands in the log."""
    return [codec.encode(some(kind)) for kind in codec.RECORD_TYPES.values()]


_TOKENS = (
    b"\x00", b"\xff", b"\x80", b"\xff\xff\xff\xff\x0f", b"\xed\xa0\x80", b"\xc3\x28", b"NaN", b"Infinity", b"-1",
    b"1e999", b"9" * 30, b"9" * 5_000, b"[" * 3_000, b'{"a":' * 1_500, b'"', b"'", b"{}", b"[]", b"null", b"true",
    "٣".encode(), "ß".encode(), "\u202e".encode(), b"%00", b"%", b"..", b"=", b"-", b".", b",", b":", b"\r\n", b" ",
    b"0", b"\\ud800",
)  # fmt: skip


def odd(seeds: list[bytes], chance: random.Random) -> Iterator[bytes]:
    """First the seeds, cut short and empty too; then what becomes of them by a few changes, again and again."""
    yield b""
    yield from seeds
    yield from _TOKENS
    while True:
        data = bytearray(chance.choice(seeds))
        for _ in range(1 + int(math.log2(1 + chance.randrange(15)))):
            at, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
            match chance.randrange(7):
                case 0 if data:
                    data[min(at, len(data) - 1)] ^= 1 << chance.randrange(8)
                case 1:
                    data[at:at] = chance.choice(_TOKENS)
                case 2:
                    data[at:end] = chance.choice(_TOKENS)
                case 3:
                    del data[at : min(end, at + 8)]
                case 4:
                    del data[at:]
                case 5:
                    data[at:at] = data[at:end]
                case _:
                    other = chance.choice(seeds)
                    data[at:end] = other[: chance.randrange(len(other) + 1)]
        yield bytes(data[:LARGEST])
