"""Ids that follow from what they name (RFC 4122 version 5), so that doing a thing twice gives the same id."""

import hashlib
import uuid

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://baton-dispatch.example/ids")


def derived(*parts: str) -> str:
    """UUIDv5 over the parts, which are kept apart by a byte that no id may hold."""
    data = hashlib.sha1(NAMESPACE.bytes + "\x1f".join(parts).encode(), usedforsecurity=False).digest()
    hexed = f"{int.from_bytes(data[:16], 'big') & ~(0xF000 << 64) & ~(0xC000 << 48) | (5 << 76) | (0x8000 << 48):032x}"
    return f"{hexed[:8]}-{hexed[8:12]}-{hexed[12:16]}-{hexed[16:20]}-{hexed[20:]}"


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
