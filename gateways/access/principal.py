"""Who asks."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from dispatch.contract.records.shared import ActorType
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
    delivery_id: str = ""
    """Which delivery a customer's tracking token is about; empty for everybody else."""
    signed_in: bool = True
    """False: on a gateway without a key, or at a door that asks for no sign-in."""

    def speaks_for(self, seller_id: str) -> bool:
        """Whether an order service acts for this seller."""
        return self.all_sellers or seller_id in self.sellers

    @property
    def actor_type(self) -> ActorType:
        """As it stands in commands and events."""
        match self.role:
            case "order_service" | "driver" | "customer":
                return self.role
        return "admin"


NOBODY = Principal("customer", "nobody", signed_in=False)
"""Who came through a door that asks for no sign-in: owns nothing."""


def of(connection: HTTPConnection) -> Principal:
    """Who asks, as found at the door. On a gateway without a key everybody is the admin that X-Actor-Id names."""
    found: Principal | None = getattr(connection.state, "principal", None)
    if found is None:
        raise LookupError("the request did not come through the gate")
    return found
