"""Who asks."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from gateways.access.doors import Role


@dataclass(frozen=True, slots=True)
class Principal:
    """A person or a program that signed in."""

    role: Role
    subject: str
    """The driver's id, the service's or the person's name: the actor of what they do."""
    sellers: frozenset[str] = frozenset()
    """For whom an order service speaks; empty: for nobody, unless `all_sellers`."""
    all_sellers: bool = False
    device: str = ""
    expires_at_ms: int | None = None
    """When the token ends, UTC ms; None: never."""


def of(connection: HTTPConnection) -> Principal:
    """Who asks, as found at the door. On a gateway without a key everybody is the admin that X-Actor-Id names."""
    found: Principal | None = getattr(connection.state, "principal", None)
    return found or Principal("admin", connection.headers.get("x-actor-id", "admin"))
