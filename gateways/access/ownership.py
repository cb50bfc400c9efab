"""Whose resource it is: an owner gets at their own, and learns nothing of others'."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

from starlette.datastructures import QueryParams

from gateways.access.doors import Door, Owner
from gateways.access.principal import Principal
from gateways.access.sign_in import SignIn
from gateways.problems import Problem

_OWNING = frozenset({"order_service", "driver", "customer"})
"""Roles that get at their own only."""
NEEDS = {Owner.DRIVER: "driver_id", Owner.DELIVERY: "delivery_id", Owner.TRACKING: "token"}
"""What such a door's path must name."""
_ID = re.compile(r"[A-Za-z0-9_.:@|-]{1,128}")


@dataclass(frozen=True, slots=True)
class Parties:
    """Who has to do with a delivery."""

    seller_id: str
    driver_id: str
    """Who holds it now; empty: nobody."""


class Deliveries(Protocol):
    """Where it is looked up."""

    async def parties(self, delivery_id: str) -> Parties | None:
        """None: no such delivery. Raises Problem when the read model is away."""
        ...


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request names: in its path, its query, its body."""

    path: Mapping[str, str]
    query: QueryParams
    body: bytes | None = None


def wants_body(door: Door, who: Principal) -> bool:
    """Whether the body must be read before the door opens."""
    if door.method in ("GET", "SOCKET"):
        return False
    return door.reason or (door.owner is Owner.SELLER and who.role in _OWNING and not who.all_sellers)


async def check(door: Door, who: Principal, asked: Asked, deliveries: Deliveries, sign_in: SignIn) -> Principal:
    """Who goes through. Raises Problem: 403 for what the asker is told anyway, 404 for what others own."""
    if door.owner is Owner.TRACKING:
        return await _tracked(asked, sign_in)
    if door.roles and who.role not in door.roles:
        others = ", ".join(sorted(door.roles))
        raise Problem(403, "role_not_allowed", f"The role {who.role} may not do this; {others} may.")
    if who.role in _OWNING:
        await _owned(door, who, asked, deliveries)
    if door.reason:
        _reasoned(asked)
    return who


async def _owned(door: Door, who: Principal, asked: Asked, deliveries: Deliveries) -> None:
    match door.owner:
        case Owner.DRIVER:
            if who.role != "driver" or asked.path["driver_id"] != who.subject:
                raise Problem(403, "not_yours", "A driver gets at their own things only.")
        case Owner.SELLER:
            _sellers(who, asked)
        case Owner.DELIVERY:
            await _party(who, asked.path["delivery_id"], deliveries)
        case Owner.ANYONE | Owner.TRACKING | Owner.WEBHOOK:
            return
        case _:
            assert_never(door.owner)


def _sellers(who: Principal, asked: Asked) -> None:
    """Every seller that is named must be the asker's; one must be."""
    if who.role != "order_service":
        raise Problem(403, "not_yours", "Only an order service acts for sellers.")
    if who.all_sellers:
        return
    named = [*_named("seller_id", asked), *_in_body("seller_id", asked.body)]
    if not named and asked.body is not None and _said(asked.body) is None:
        raise Problem(400, "not_json", "The body is not JSON.")
    if not named:
        wrong = [{"field": "seller_id", "seen": None, "reason": "is wanted: for whom this is asked"}]
        raise Problem(422, "invalid", "seller_id: is wanted: for whom this is asked", errors=wrong)
    if not all(isinstance(seller, str) and who.speaks_for(seller) for seller in named):
        raise Problem(403, "not_yours", "This order service does not speak for that seller.")


async def _party(who: Principal, delivery_id: str, deliveries: Deliveries) -> None:
    """The same answer for what is not there and for what is another's."""
    found = await deliveries.parties(delivery_id) if _ID.fullmatch(delivery_id) else None
    if found is not None:
        match who.role:
            case "order_service" if who.speaks_for(found.seller_id):
                return
            case "driver" if found.driver_id == who.subject:
                return
            case "customer" if who.delivery_id == delivery_id:
                return
    raise Problem(404, "unknown_order", "No delivery of this id is known.")


async def _tracked(asked: Asked, sign_in: SignIn) -> Principal:
    """The token in the path is the right to ask, on an open gateway too."""
    delivery_id = await sign_in.tracking(asked.path["token"]) if sign_in.tracking else None
    if delivery_id is None:
        raise Problem(404, "unknown_token", "No delivery is followed with this token; it may have ended.")
    return Principal("customer", "customer", delivery_id=delivery_id, signed_in=False)


def _reasoned(asked: Asked) -> None:
    """Why, in the body or the query: `reason` or `note`."""
    said = [one for name in ("reason", "note") for one in (*_named(name, asked), *_in_body(name, asked.body))]
    if not any(isinstance(one, str) and one.strip() for one in said):
        if asked.body and _said(asked.body) is None:
            raise Problem(400, "not_json", "The body is not JSON.")
        wrong = [{"field": "reason", "seen": None, "reason": "is wanted: a word or a note on why"}]
        raise Problem(422, "invalid", "reason: is wanted: a word or a note on why", errors=wrong)


def _named(name: str, asked: Asked) -> list[str]:
    return ([asked.path[name]] if name in asked.path else []) + asked.query.getlist(name)


def _in_body(name: str, body: bytes | None) -> Iterator[Any]:
    """Of the object, or of each object in a list."""
    said = _said(body) if body else None
    for one in said if isinstance(said, list) else [said]:
        if isinstance(one, dict) and name in one:
            yield one[name]


def _said(body: bytes) -> Any:
    """The body, read as the handlers read it; None when it is no JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
