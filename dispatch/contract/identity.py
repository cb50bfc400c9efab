"""Ids that follow from what they name (RFC 4122 version 5), so that doing a thing twice gives the same id."""

import hashlib
import uuid

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://baton-dispatch.example/ids")
_BEFORE = NAMESPACE.bytes
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The first digit of an id's fourth part with the two bits that say whose form it is."""


def derived(*parts: str) -> str:
    """UUIDv5 over the parts, which are kept apart by a byte that no id may hold."""
    digits = hashlib.sha1(_BEFORE + "\x1f".join(parts).encode(), usedforsecurity=False).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"


def delivery_id(seller_id: str, seller_order_id: str) -> str:
    """The one delivery of a seller's order."""
    return derived("delivery", seller_id, seller_order_id)


def event_id(aggregate_id: str, version: int) -> str:
    """The event that takes an aggregate to this version."""
    return derived("event", aggregate_id, str(version))


def offer_id(delivery_id: str, version: int) -> str:
    """The offer that a delivery opens with the event of this version."""
    return derived("offer", delivery_id, str(version))


def command_id(cause: str, purpose: str) -> str:
    """The command that an event, request or timer causes for one purpose."""
    return derived("command", cause, purpose)
