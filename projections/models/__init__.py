"""One file a read model. Each says which events it handles and which it ignores; a test holds every event to it."""

from dispatch.contract import topics
from projections.models.assignments import ASSIGNMENTS
from projections.models.audit import AUDIT
from projections.models.contacts import CONTACTS
from projections.models.dead_letters import DEAD_LETTER_ACTS, DEAD_LETTERS
from projections.models.deliveries import DELIVERIES
from projections.models.delivery_costs import DELIVERY_COSTS
from projections.models.delivery_revenue import DELIVERY_REVENUE
from projections.models.driver_availability_history import DRIVER_AVAILABILITY_HISTORY
from projections.models.driver_contacts import DRIVER_CONTACTS
from projections.models.driver_offers import DRIVER_OFFERS
from projections.models.driver_performance_metrics import DRIVER_PERFORMANCE_METRICS
from projections.models.driver_zone_preferences import DRIVER_ZONE_PREFERENCES
from projections.models.drivers import DRIVERS
from projections.models.economics_rollup import ECONOMICS_ROLLUP
from projections.models.eta_accuracy import ETA_ACCURACY
from projections.models.model import Appended, AppendOnly, Events, Folded, Latest, Several, Summed
from projections.models.noted import Noted
from projections.models.rules_history import FEATURE_FLAG_HISTORY, POLICY_HISTORY, PRICING_RULES
from projections.models.tracking_links import TRACKING_LINKS
from projections.models.unassigned_orders import UNASSIGNED_ORDERS
from projections.models.zone_health_metrics import ZONE_HEALTH_METRICS
from projections.models.zone_maps import DELIVERY_INCENTIVES, DELIVERY_ZONES, ZONE_IMPORTS, ZONE_PRICES

BASES: dict[str, Folded] = {"delivery": DELIVERIES, "driver": DRIVERS}
"""By family: the table that knows each aggregate's version. An event that is not newer was folded before."""
FOLDED: tuple[Events, ...] = (
    DELIVERIES, DRIVER_OFFERS, ASSIGNMENTS, ETA_ACCURACY, DELIVERY_COSTS, DELIVERY_REVENUE, ECONOMICS_ROLLUP,
    UNASSIGNED_ORDERS, DRIVERS, DRIVER_AVAILABILITY_HISTORY, DRIVER_ZONE_PREFERENCES,
)  # fmt: skip
LATEST: dict[str, tuple[Latest, ...]] = {
    topics.CONTACTS.name: (CONTACTS, DRIVER_CONTACTS),
    topics.TRACKING_LINKS.name: (TRACKING_LINKS,),
}
"""By topic: a record is of at most one of its tables."""
NOTED: tuple[Noted, ...] = (
    ZONE_HEALTH_METRICS, DRIVER_PERFORMANCE_METRICS, DEAD_LETTERS, DEAD_LETTER_ACTS, DELIVERY_ZONES, ZONE_IMPORTS,
    DELIVERY_INCENTIVES, ZONE_PRICES, FEATURE_FLAG_HISTORY, POLICY_HISTORY, PRICING_RULES,
)  # fmt: skip

__all__ = [
    "AUDIT", "BASES", "FOLDED", "LATEST", "NOTED", "AppendOnly", "Appended", "Events", "Folded", "Latest", "Noted",
    "Several", "Summed",
]  # fmt: skip
