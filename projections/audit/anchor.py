"""An anchor: a signed statement that a stretch of one partition's rows was there, in this order, with this root."""

import hashlib
import json
from typing import Any

import msgspec

from projections.audit.keys import Known, Signer

FORMAT = "baton-audit-anchor/1"
_FIRST = bytes(32)
"""What the first anchor of a partition names as the one before it."""


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """Over the rows from `first_offset` to `last_offset` of a partition. Times are UTC milliseconds."""

    topic: str
    partition: int
    number: int
    """1..n without a gap within the partition."""
    first_offset: int
    last_offset: int
    rows: int
    rows_so_far: int
    first_at_ms: int
    """The earliest of the rows' times, which need not be the first row's."""
    last_at_ms: int
    before: bytes
    """The chain's hash before the first row."""
    hash: bytes
    """The chain's hash after the last one."""
    root: bytes
    """Of the Merkle tree over the rows."""
    previous: bytes
    """SHA-256 of the statement of the anchor before."""
    at_ms: int
    key_id: str
    signature: bytes = b""

    @property
    def place(self) -> tuple[str, int]:
        """Topic and partition."""
        return self.topic, self.partition

    def statement(self) -> bytes:
        """What is signed: JSON with sorted names and no blanks, hashes in hex."""
        return json.dumps(self.told(), sort_keys=True, separators=(",", ":")).encode()

    def told(self) -> dict[str, Any]:
        """The statement's values."""
        values = {name: value for name, value in msgspec.structs.asdict(self).items() if name != "signature"}
        hexed = {name: value.hex() if isinstance(value, bytes) else value for name, value in values.items()}
        return {"format": FORMAT, **hexed}

    def line(self) -> str:
        """The anchor as a line of JSON, with its signature."""
        return json.dumps({**self.told(), "signature": self.signature.hex()}, sort_keys=True, separators=(",", ":"))

    def signed(self, signer: Signer) -> "Anchor":
        """The same with a signature."""
        return msgspec.structs.replace(self, signature=signer.sign(self.statement()))

    def wrong(self, known: Known) -> str:
        """What is wrong with its signature; empty: it is good."""
        return known.wrong(self.key_id, self.signature, self.statement())


def following(anchor: Anchor | None) -> bytes:
    """What the next anchor names as the one before it."""
    return hashlib.sha256(anchor.statement()).digest() if anchor else _FIRST


def read(told: Any) -> Anchor:
    """An anchor from its line or its values. Raises ValueError: it is none."""
    try:
        values = json.loads(told) if isinstance(told, str) else told
    except RecursionError as error:
        raise ValueError("nested too deeply to be an anchor") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(f"not of the form {FORMAT}")
    for name in ("before", "hash", "root", "previous", "signature"):
        values = {**values, name: bytes.fromhex(str(values.get(name, "")))}
    fields = {name: values.get(name) for name in Anchor.__struct_fields__}
    try:
        return msgspec.convert(fields, Anchor, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
