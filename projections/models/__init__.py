"""One file a read model. Each says which events it handles and which it ignores; a test holds every event to it."""

from dispatch.contract import topics
from projections.models.audit import AUDIT
from projections.models.contacts import CONTACTS
from projections.models.dead_letters import DEAD_LETTER_ACTS, DEAD_LETTERS
from projections.models.deliveries import DELIVERIES
from projections.models.delivery_costs import DELIVERY_COSTS
from projections.models.delivery_revenue import DELIVERY_REVENUE
from projections.models.driver_contacts import DRIVER_CONTACTS
from projections.models.driver_offers import DRIVER_OFFERS
from projections.models.driver_performance_metrics import DRIVER_PERFORMANCE_METRICS
from projections.models.drivers import DRIVERS
from projections.models.model import AppendOnly, Folded, Latest
from projections.models.noted import Noted
from projections.models.tracking_links import TRACKING_LINKS
from projections.models.unassigned_orders import UNASSIGNED_ORDERS
from projections.models.zone_health_metrics import ZONE_HEALTH_METRICS

FOLDED: tuple[Folded, ...] = (DELIVERIES, DRIVER_OFFERS, DELIVERY_COSTS, DELIVERY_REVENUE, UNASSIGNED_ORDERS, DRIVERS)
LATEST: dict[str, tuple[Latest, ...]] = {
    topics.CONTACTS.name: (CONTACTS, DRIVER_CONTACTS),
    topics.TRACKING_LINKS.name: (TRACKING_LINKS,),
}
"""By topic: a record is of at most one of its tables."""
NOTED: tuple[Noted, ...] = (ZONE_HEALTH_METRICS, DRIVER_PERFORMANCE_METRICS, DEAD_LETTERS, DEAD_LETTER_ACTS)

__all__ = ["AUDIT", "CONTACTS", "FOLDED", "LATEST", "NOTED", "AppendOnly", "Folded", "Latest", "Noted"]
