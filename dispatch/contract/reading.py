"""Avro bodies read by functions that are compiled from the schemas, as `writing` writes them.

They read what is written under our own version of a schema. Whatever they stumble at is left to the library, and so is
what is wrong with it: nothing is read here that the library would refuse.
Source of the format: Apache Avro 1.12 specification, "Binary encoding".
"""

import struct
from collections.abc import Callable
from typing import Any, get_args, get_type_hints

import msgspec

Read = Callable[[bytes], Any]
_BYTES_OF_A_LONG = 10
_FIVE_MORE = sum(0x80 << 7 * place for place in range(5))
"""What the bits that say that more follows add to a number of six bytes."""


def _long(data: bytes, at: int) -> tuple[int, int]:
    """A number of more than one byte and where it ends. Raises ValueError beyond 64 bits, IndexError at the end.

    Most have two bytes or, as a moment in milliseconds, six.
    """
    if (second := data[at + 1]) < 0x80:
        value = data[at] & 0x7F | second << 7
        return (value >> 1) ^ -(value & 1), at + 2
    if len(six := data[at : at + 6]) == 6:
        a, b, c, d, e, f = six
        if f < 0x80 <= min(c, d, e):
            value = a + (b << 7) + (c << 14) + (d << 21) + (e << 28) + (f << 35) - _FIVE_MORE
            return (value >> 1) ^ -(value & 1), at + 6
    value = shift = 0
    for place in range(at, at + _BYTES_OF_A_LONG):
        byte = data[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 2**64:
                break
            return (value >> 1) ^ -(value & 1), place + 1
        shift += 7
    raise ValueError("no number of 64 bits")


def _size(data: bytes, at: int) -> tuple[int, int]:
    """A length and where it ends. Raises ValueError for one that cannot be."""
    byte = data[at]
    size, at = ((byte >> 1) ^ -(byte & 1), at + 1) if byte < 0x80 else _long(data, at)
    if not 0 <= size <= len(data):
        raise ValueError("no length")
    return size, at


_NAMES: dict[str, Any] = {
    "long": _long,
    "size": _size,
    "numbers": [(byte >> 1) ^ -(byte & 1) if byte < 0x80 else None for byte in range(256)],
    "sizes": [byte >> 1 if byte < 0x80 and not byte & 1 else -1 for byte in range(256)],
    "double": struct.Struct("<d").unpack_from,
    "flags": (False, True),
}


def compiled(schema: Any, record_type: type[msgspec.Struct], begin: int) -> Read:
    """What reads a whole record after so many bytes. Raises ValueError for a schema of another form than
    `writing` knows."""
    source = _Source()
    made = source.record(schema, record_type)
    lines = [
        "def whole(data):",
        f"    value, at = {made}(data, {begin})",
        "    if at != len(data): raise ValueError",
        "    return value",
    ]
    whole: Read = source.function("whole", lines)
    return whole


class _Source:
    """The functions of one schema: its named types are known by their names."""

    def __init__(self) -> None:
        self._named: dict[str, Any] = {}
        self._names = dict(_NAMES)

    def function(self, name: str, lines: list[str]) -> Any:
        """Compiles a function of Python. Its texts are our schemas', never a user's."""
        exec("\n".join(lines), self._names)
        return self._names[name]

    def record(self, schema: Any, record_type: type[msgspec.Struct]) -> str:
        """The name of what gives a record of the data, read from a place on, and the place after it."""
        name = f"read_{record_type.__name__}"
        if name not in self._names:
            self._named[schema["name"]] = schema
            self._names[record_type.__name__] = record_type
            hints = get_type_hints(record_type)
            lines = [f"def {name}(data, at):"]
            for number, field in enumerate(schema["fields"]):
                lines += [f"    {line}" for line in self._value(field["type"], f"v{number}", hints[field["name"]])]
            given = ", ".join(f"{field['name']}=v{number}" for number, field in enumerate(schema["fields"]))
            lines.append(f"    return {record_type.__name__}({given}), at")
            self.function(name, lines)
        return name

    def _value(self, schema: Any, to: str, kind: Any) -> list[str]:
        """Lines that read one value from `at` on into a variable, and move `at` behind it."""
        sized = ["n = sizes[data[at]]; at += 1", "if n < 0: n, at = size(data, at - 1)"]
        match schema:
            case "string":
                return [*sized, f"end = at + n; {to} = data[at:end].decode(); at = end"]
            case "bytes":
                return [*sized, f"end = at + n; {to} = data[at:end]; at = end"]
            case "long" | "int":
                return [f"{to} = numbers[data[at]]; at += 1", f"if {to} is None: {to}, at = long(data, at - 1)"]
            case "double":
                return [f"({to},) = double(data, at); at += 8"]
            case "boolean":
                return [f"{to} = flags[data[at]]; at += 1"]
            case ["null", other]:
                (some,) = (one for one in get_args(kind) if one is not type(None))
                return [
                    "n = data[at]; at += 1",
                    f"if n == 0: {to} = None",
                    "elif n != 2: raise ValueError",
                    "else:",
                    *(f"    {line}" for line in self._value(other, to, some)),
                ]
            case str() if schema in self._named:
                return self._value(self._named[schema], to, kind)
            case {"type": "record"}:
                return [f"{to}, at = {self.record(schema, kind)}(data, at)"]
            case {"type": "enum", "name": name, "symbols": symbols}:
                self._named[name] = schema
                words = f"words_{name.rpartition('.')[2]}"
                self._names[words] = {place << 1: word for place, word in enumerate(symbols)}
                return [f"{to} = {words}[data[at]]; at += 1"]
            case {"type": "array", "items": items}:
                one = self._value(items, "one", get_args(kind)[0])
                return [*self._many(to, one, "{0} = []", "{0}.append(one)"), f"{to} = tuple({to})"]
            case {"type": "map", "values": values}:
                pair = self._value("string", "key", str) + self._value(values, "one", str)
                return self._many(to, pair, "{0} = {{}}", "{0}[key] = one")
            case {"type": str() as plain} if plain not in ("record", "enum", "array", "map"):
                return self._value(plain, to, kind)
        raise ValueError(f"{schema!r} is not compiled")

    @staticmethod
    def _many(to: str, one: list[str], begin: str, take: str) -> list[str]:
        """Blocks of values, each with their number before it; the last has none."""
        return [
            begin.format(to),
            "n, at = size(data, at)",
            "while n:",
            "    for _ in range(n):",
            *(f"        {line}" for line in one),
            f"        {take.format(to)}",
            "    n, at = size(data, at)",
        ]
