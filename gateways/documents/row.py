"""A row of the table of answers: what one operation answers."""

from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from gateways.documents import shapes

TAGS = {
    "orders": "Order services: placed, ready, cancelled.",
    "drivers": "Drivers: duty, places, offers, deliveries in hand.",
    "deliveries": "How deliveries stand, and why.",
    "tracking": "Customers: where their order is.",
    "webhooks": "Sellers' endpoints, and what was sent to them.",
    "commerce": "Before checkout: whether and for how much.",
    "operations": "People who see to deliveries, drivers and letters that went astray.",
    "rules": "Policy, flags, zones and incentives.",
    "registry": "The Avro schemas, as Confluent's clients ask for them; for reading only.",
    "process": "Whether it is up; documents for machines.",
}
DELIVERY_ID = "6a0f1d0e-3c0f-5d53-9c5d-0d1b1b7e7a11"
OFFER_ID = "2b1e0a44-52c4-5a0e-8a51-0a2f6d4d9c02"
DECIDED = {
    "command_id": OFFER_ID,
    "outcome": "accepted",
    "status": "assigned",
    "version": 7,
    "delivery_id": DELIVERY_ID,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """One operation's row."""

    id: str
    """The operation's id: camelCase, unique, never changed."""
    tag: str
    shape: type[BaseModel] | list[type[BaseModel]] | None = None
    """Of success; a list of one: an array of it; None: see `media`."""
    status: int = 200
    example: Any = None
    media: str = "application/json"
    decided: bool = False
    """A command: it may be answered 202 (not decided in time) and 409 (refused)."""
    also: dict[int, str] = field(default_factory=dict)
    """Further answers by status: what they mean."""


def decided(name: str, tag: str, http: int = 200, /, **changes: Any) -> Answer:
    return Answer(name, tag, shapes.Outcome, http, DECIDED | changes, decided=True)


def of_driver(name: str, status: str = "AVAILABLE") -> Answer:
    example = {"command_id": OFFER_ID, "outcome": "accepted", "status": status, "version": 4, "driver_id": "ana"}
    return Answer(name, "drivers", shapes.Outcome, 200, example, decided=True)
