"""One file a read model. Each says which events it handles and which it ignores; a test holds every event to it."""

from projections.models.audit import AUDIT
from projections.models.contacts import CONTACTS
from projections.models.deliveries import DELIVERIES
from projections.models.delivery_costs import DELIVERY_COSTS
from projections.models.delivery_revenue import DELIVERY_REVENUE
from projections.models.driver_offers import DRIVER_OFFERS
from projections.models.drivers import DRIVERS
from projections.models.model import AppendOnly, Folded, Latest

FOLDED: tuple[Folded, ...] = (DELIVERIES, DRIVER_OFFERS, DELIVERY_COSTS, DELIVERY_REVENUE, DRIVERS)

__all__ = ["AUDIT", "CONTACTS", "FOLDED", "AppendOnly", "Folded", "Latest"]
