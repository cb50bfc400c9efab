"""Avro bodies written by functions that are compiled from the schemas, one for each type of record.

A worker spends a third of its time on what it writes, and a general library walks the schema again for each record.
What such a function does not write, with whatever exception, is left to the library, and so is what is wrong with it.
Source of the format: Apache Avro 1.12 specification, "Binary encoding".
"""

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any

Write = Callable[[Any], bytes]
_READY = 1_024


@lru_cache(maxsize=8_192)
def _long(value: int) -> bytes:
    """Zigzag, seven bits a byte. Raises OverflowError beyond 64 bits, TypeError for what is no whole number."""
    if not -(2**63) <= value < 2**63:
        raise OverflowError(value)
    left = (value << 1) ^ (value >> 63)
    written = bytearray()
    while left > 0x7F:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    written.append(left)
    return bytes(written)


class _Longs(dict[int, bytes]):
    """The small ones, which are most, laid out ahead."""

    def __missing__(self, value: int) -> bytes:
        return _long(value)


_NAMES: dict[str, Any] = {
    "join": b"".join,
    "longs": _Longs({value: _long(value) for value in range(-1, _READY)}),
    "double": struct.Struct("<d").pack,
    "some": b"\x02",
    "none": b"\x00",
    "yes": b"\x01",
    "no": b"\x00",
}


def compiled(schema: Any, header: bytes = b"") -> Write:
    """What writes an instance, its fields named as the schema's, after this header. Raises ValueError for a
    schema with more than records, arrays, maps of strings, enums, plain types and null-or-another."""
    return _Compiler().function(schema, header)


class _Compiler:
    """The functions of one schema: its named types are known by their names."""

    def __init__(self) -> None:
        self._named: dict[str, Any] = {}
        self._functions: dict[str, Write] = {}

    def function(self, schema: Any, header: bytes = b"") -> Write:
        """Compiles one expression of Python. Its texts are our schemas', never a user's."""
        names = {**_NAMES, "header": header}
        pieces = self._pieces(schema, "value", names)
        made: Write = eval(f"lambda value: join((header, {', '.join(pieces)}))", names)
        return made

    def _pieces(self, schema: Any, value: str, names: dict[str, Any]) -> list[str]:
        """Expressions whose bytes follow each other."""
        kept = f"v{len(names)}"  # a name of its own, for as many are kept as there were names before
        names[kept] = None
        match schema:
            case "string":
                return [f"longs[len({kept} := {value}.encode())]", kept]
            case "bytes":
                return [f"longs[len({kept} := {value})]", kept]
            case "long" | "int":
                return [f"longs[{value}]"]
            case "double":
                return [f"double({value})"]
            case "boolean":
                return [f"(yes if {value} else no)"]
            case ["null", other]:
                pieces = ", ".join(self._pieces(other, kept, names))
                return [f"(none if ({kept} := {value}) is None else join((some, {pieces})))"]
            case str() if schema in self._named:
                return self._pieces(self._named[schema], value, names)
            case {"type": "record", "name": name, "fields": fields}:
                self._named[name] = schema
                if value == "value":
                    return [
                        piece for field in fields
                        for piece in self._pieces(field["type"], f"value.{field['name']}", names)
                    ]  # fmt: skip
                names[kept] = self._functions.get(name) or self._functions.setdefault(name, self.function(schema))
                return [f"{kept}({value})"]
            case {"type": "enum", "name": name, "symbols": symbols}:
                self._named[name] = schema
                names[kept] = {symbol: _long(place) for place, symbol in enumerate(symbols)}
                return [f"{kept}[{value}]"]
            case {"type": "array", "items": items}:
                each = f"{kept}each"
                names[each] = self.function(items)
                return [f"(no if not ({kept} := {value}) else join((longs[len({kept})], *map({each}, {kept}), no)))"]
            case {"type": "map", "values": "string"}:
                each = f"{kept}each"
                names[each] = self._pair
                return [
                    f"(no if not ({kept} := {value}) else join((longs[len({kept})], *map({each}, {kept}.items()), no)))"
                ]
            case {"type": str() as plain} if plain not in ("record", "enum", "array", "map"):
                return self._pieces(plain, value, names)
        raise ValueError(f"{schema!r} is not compiled")

    @staticmethod
    def _pair(pair: tuple[str, str]) -> bytes:
        key, value = pair[0].encode(), pair[1].encode()
        return b"".join((_long(len(key)), key, _long(len(value)), value))
