"""Records to bytes and back in Confluent's wire format: a zero byte, the schema id (4 bytes, big endian), an Avro body.

A body written with an older or newer version of its subject is resolved to ours by Avro's rules. Source of the format:
docs.confluent.io, "Wire format" of the Schema Registry's serializers.
"""

import hashlib
import io
import struct
from collections.abc import Collection
from functools import cache
from typing import Any, NamedTuple, cast

import fastavro
import msgspec

from dispatch.contract import reading, registry, writing
from dispatch.contract.errors import Undecodable, UnknownSchema
from dispatch.contract.limits import check
from dispatch.contract.reading import Read
from dispatch.contract.records import (
    delivery_commands,
    delivery_events,
    driver_commands,
    driver_events,
    inbound,
    offers,
    system,
)
from dispatch.contract.schema_files import without_logical_types
from dispatch.contract.writing import Write

Record = msgspec.Struct
_ROOMS = (delivery_commands, delivery_events, driver_commands, driver_events, offers, inbound, system)
_HEADER = struct.Struct(">bI")
_RAW = (bytes,)


class _Writer(NamedTuple):
    header: bytes
    schema: Any
    compiled: Write


class _Reader(NamedTuple):
    record_type: type[Record]
    written: Any
    ours: Any
    """None: it was written as we write it now."""
    compiled: Read | None


def _record_types() -> dict[str, type[Record]]:
    """Subject -> class, for every record of every room."""
    found: dict[str, type[Record]] = {}
    for room in _ROOMS:
        namespace = room.__name__.rsplit(".", 1)[-1]
        for name, value in vars(room).items():
            if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == room.__name__:
                found[f"baton.{namespace}.{name}"] = value
    return found


RECORD_TYPES = _record_types()
_SUBJECTS = {record_type: subject for subject, record_type in RECORD_TYPES.items()}


@cache
def _parsed(schema_id: int) -> Any:
    row = registry.registered()[schema_id - 1]
    return fastavro.parse_schema(without_logical_types(row.schema), named_schemas={})


@cache
def _writer(record_type: type[Record]) -> _Writer:
    row = registry.latest()[_SUBJECTS[record_type]]
    header, schema = _HEADER.pack(0, row.id), _parsed(row.id)
    return _Writer(header, schema, writing.compiled(schema, header))


def _write_by_library(writer: _Writer, record: Record) -> bytes:
    body = io.BytesIO()
    body.write(writer.header)
    fastavro.schemaless_writer(body, writer.schema, msgspec.to_builtins(record, builtin_types=_RAW))
    return body.getvalue()


@cache
def _reader(schema_id: int) -> _Reader:
    rows = registry.registered()
    if not 1 <= schema_id <= len(rows) or rows[schema_id - 1].subject not in RECORD_TYPES:
        raise UnknownSchema(f"schema id {schema_id} is not in the registry, which holds 1 to {len(rows)}", "bytes 1-4")
    row = rows[schema_id - 1]
    newest, kind, written = registry.latest()[row.subject], RECORD_TYPES[row.subject], _parsed(row.id)
    if newest.id != row.id:
        return _Reader(kind, written, _parsed(newest.id), None)
    return _Reader(kind, written, None, reading.compiled(written, kind, _HEADER.size))


def schema_id(record_type: type[Record]) -> int:
    """The id under which records of this type are written now."""
    return registry.latest()[_SUBJECTS[record_type]].id


def marks(record_types: Collection[type[Record]]) -> frozenset[bytes]:
    """The first five bytes of records of these types, in any version: a zero, and the schema id."""
    return frozenset(
        _HEADER.pack(0, row.id) for row in registry.registered() if RECORD_TYPES.get(row.subject) in record_types
    )


def schema_id_in(data: bytes) -> int:
    """The id that these bytes, once decoded, were written under."""
    return int(_HEADER.unpack_from(data)[1])


def read_as(data: bytes, reader_id: int) -> dict[str, Any]:
    """The values in these bytes as a release that knew this version of their subject read them. Raises Undecodable."""
    body = io.BytesIO(data)
    body.seek(_HEADER.size)
    try:
        values = fastavro.schemaless_reader(body, _parsed(schema_id_in(data)), _parsed(reader_id))
    except Exception as error:  # fastavro raises whatever the bytes lead it to
        raise Undecodable(f"not readable as schema {reader_id}: {error}", f"byte {body.tell()}") from error
    return cast(dict[str, Any], values)


def written_as(values: dict[str, Any], writer_id: int) -> bytes:
    """These values in wire format under a version of their subject. Raises Undecodable: they do not fit it."""
    body = io.BytesIO()
    body.write(_HEADER.pack(0, writer_id))
    try:
        fastavro.schemaless_writer(body, _parsed(writer_id), values)
    except Exception as error:  # fastavro raises whatever the values lead it to
        raise Undecodable(f"no values of schema {writer_id}: {type(error).__name__}: {error}", "byte 5") from error
    return body.getvalue()


def subject(record_type: type[Record]) -> str:
    """The record's full name: its subject in the registry."""
    return _SUBJECTS[record_type]


def encode(record: Record) -> bytes:
    """The record in wire format. Raises ValueError or TypeError for a value that Avro cannot carry."""
    writer = _writer(type(record))
    try:
        return writer.compiled(record)
    except Exception:  # noqa: BLE001 - what is wrong with it, the library says
        return _write_by_library(writer, record)


def decode(data: bytes | None) -> Record:
    """The record in these bytes, its types checked but not its limits. Raises Undecodable or UnknownSchema."""
    if data is None or len(data) < _HEADER.size or data[0] != 0:
        seen = "nothing" if not data else f"{len(data)} bytes beginning {data[:5].hex()}"
        raise Undecodable(f"{seen} is not wire format: a zero byte and a schema id of 4 bytes were wanted", "byte 0")
    reader = _reader(_HEADER.unpack_from(data)[1])
    if reader.compiled is None:
        return _read_by_library(reader, data)
    try:
        return cast(Record, reader.compiled(data))
    except Exception:  # noqa: BLE001 - what is wrong with it, the library says
        return _read_by_library(reader, data)


def _read_by_library(reader: _Reader, data: bytes) -> Record:
    body = io.BytesIO(data)
    body.seek(_HEADER.size)
    name = reader.record_type.__name__
    try:
        values = fastavro.schemaless_reader(body, reader.written, reader.ours)
    except Exception as error:  # fastavro raises whatever the bytes lead it to
        raise Undecodable(f"not a {name}: {type(error).__name__}: {error}", f"byte {body.tell()}") from error
    if body.tell() != len(data):
        raise Undecodable(f"{len(data) - body.tell()} bytes follow the {name}", f"byte {body.tell()}")
    try:
        return msgspec.convert(values, reader.record_type, builtin_types=_RAW)
    except msgspec.ValidationError as error:
        raise Undecodable(f"not a {name}: {error}", str(error).rpartition("`$.")[2].rstrip("`")) from error


def subject_in(data: bytes | None) -> str:
    """The subject that these bytes name, without reading them; empty: none that is known."""
    if data is None or len(data) < _HEADER.size or data[0] != 0:
        return ""
    number = _HEADER.unpack_from(data)[1]
    rows = registry.registered()
    return rows[number - 1].subject if 1 <= number <= len(rows) else ""


def decode_checked(data: bytes | None) -> Record:
    """The record in these bytes, types and limits checked: for what comes from outside. Raises ContractError."""
    record = decode(data)
    check(record)
    return record


def document(text: str, kind: Any = Any) -> Any:
    """The JSON that a field of a record holds, as this type. Raises Undecodable, however odd the text is."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Undecodable(f"no document that can be read: {error}", "document") from error


def digest(record: Record, *, without: frozenset[str] = frozenset()) -> str:
    """SHA-256 (hex) over the record's values, leaving out the fields named: equal content, equal digest."""
    values = {name: value for name, value in msgspec.structs.asdict(record).items() if name not in without}
    return hashlib.sha256(msgspec.json.encode(values, order="sorted")).hexdigest()
