"""What stands behind the doors to rules and commerce, put together."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter

from dispatch.config import Settings
from dispatch.inputs.arrivals import Arrivals, ArrivalsFollower
from dispatch.inputs.candidates import open_index
from dispatch.inputs.follower import Follower
from dispatch.inputs.pins import pins_of
from dispatch.inputs.prices import PriceBoard, PriceFollower
from dispatch.inputs.quotes import seal_of
from dispatch.inputs.zones import ZoneBoard, ZoneFollower
from gateways.commands import Commander
from gateways.commerce import checkout, offering, proof_doors, rules_doors, zone_doors
from gateways.commerce.desk import Desk
from gateways.commerce.near import Near
from gateways.followed import Followed
from gateways.reads import Reads
from gateways.rules import RulesInForce


class Commerce:
    """Zones, prices and arrivals followed; changes at a desk. Works between `start` and `stop`."""

    def __init__(self, settings: Settings, rules: RulesInForce) -> None:
        at = settings.kafka, settings.namespace
        self._desk = Desk()
        self._rules, self._at = rules, at

        def following(follower: Callable[..., Follower[Any]]) -> Callable[[Any], Follower[Any]]:
            return lambda known: follower(*at, known)

        self._zones = Followed("zones", ZoneBoard(), following(ZoneFollower))
        self._prices = Followed("prices", PriceBoard(), following(PriceFollower))
        self._arrivals = Followed("arrivals", Arrivals(), following(ArrivalsFollower))
        self._near = Near(open_index(settings))
        self._seal = seal_of(settings)
        self.pins = pins_of(settings)

    def start(self) -> None:
        """Does not wait for Kafka."""
        for followed in (self._zones, self._prices, self._arrivals):
            followed.start()

    def stop(self) -> None:
        """Ends the following; what runs at the desk is not waited for."""
        for followed in (self._zones, self._prices, self._arrivals):
            followed.stop()
        self._desk.close()
        self._near.close()

    def knows_zone(self, zone_id: str) -> bool:
        """Whether it is one of the zones in force. Raises Problem while they are not read."""
        return zone_id in self._zones.now.table.zones

    def zones_of(self, lats: list[float], lngs: list[float]) -> list[str]:
        """The zone in force of each place, in degrees. Raises Problem while they are not read."""
        return self._zones.now.table.at_each(lats, lngs)

    def routes(self, commander: Commander, reads: Reads) -> APIRouter:
        """All of them."""
        router = APIRouter()
        router.include_router(rules_doors.routes(rules_doors.Rulebook(self._desk, *self._at)))
        zones = zone_doors.ZoneDesk(self._desk, *self._at)
        router.include_router(zone_doors.routes(zones, lambda: self._zones.now, self._rules))
        counter = checkout.Counter(
            self._rules, self._zones, self._prices, self._arrivals, self._near, self._seal
        )  # fmt: skip
        router.include_router(checkout.routes(counter))
        router.include_router(proof_doors.routes(commander, reads))
        router.include_router(offering.routes(commander, reads))
        return router
