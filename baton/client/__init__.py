"""A client of Baton's gateway: orders, drivers, operations, tracking, streams, the drivers' socket, webhooks.

May import httpx, websockets and standardwebhooks, and nothing else of Baton: it can be shipped alone.

    with Baton("http://127.0.0.1:8080", token=token) as baton:
        placed = baton.orders.ready(order)
        for event in baton.follow(placed["delivery_id"]):
            print(event.name, event.data)
"""

from baton.client.calls import Answer, Call, Retries
from baton.client.errors import (
    BatonError,
    Conflict,
    Faulty,
    NotAllowed,
    NotSignedIn,
    NotTaken,
    ProblemAnswer,
    TooOften,
    Unavailable,
    Unknown,
    Unreachable,
)
from baton.client.http import AsyncBaton, Baton
from baton.client.socket import Closed, DriverSocket
from baton.client.streams import Event
from baton.client.webhooks import Webhook, verified

__all__ = [
    "Answer",
    "AsyncBaton",
    "Baton",
    "BatonError",
    "Call",
    "Closed",
    "Conflict",
    "DriverSocket",
    "Event",
    "Faulty",
    "NotAllowed",
    "NotSignedIn",
    "NotTaken",
    "ProblemAnswer",
    "Retries",
    "TooOften",
    "Unavailable",
    "Unknown",
    "Unreachable",
    "Webhook",
    "verified",
]
