"""The catalogue of topics: who keys them by what, how long they keep, and how many partitions they have.

Every topic keyed by an aggregate, and the inbound one, has the same number of partitions, so that a worker which holds
a partition of one holds it of all. Partition counts are chosen at creation and never changed in place.
"""

from dataclasses import dataclass, field
from typing import Literal

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic of the catalogue. `keep_ms` -1 keeps for ever; compacted topics keep the last record of each key."""

    name: str
    key: str
    purpose: str
    keep_ms: int
    compacted: bool = False
    partitions: Literal["keyed", "replies", "one"] = "keyed"
    public: bool = False
    config: dict[str, str] = field(default_factory=dict)

    def settings(self) -> dict[str, str]:
        """The topic's configuration in Kafka's own names."""
        cleanup = "compact" if self.compacted else "delete"
        base = {"cleanup.policy": cleanup, "max.message.bytes": "4194304", "message.timestamp.type": "CreateTime"}
        if not self.compacted:
            base["retention.ms"] = str(self.keep_ms)
        return base | self.config


_STATE = {"segment.ms": str(HOUR_MS), "min.cleanable.dirty.ratio": "0.2", "delete.retention.ms": str(DAY_MS)}

ORDERS_INBOUND = Topic("orders.inbound", "any", "orders from upstream services", 7 * DAY_MS, public=True)
DELIVERY_COMMANDS = Topic("delivery.commands", "delivery_id", "what is asked of deliveries", 7 * DAY_MS)
DRIVER_COMMANDS = Topic("driver.commands", "driver_id", "what is asked of drivers", 7 * DAY_MS)
DELIVERY_EVENTS = Topic("delivery.events", "delivery_id", "what happened to deliveries", -1, public=True)
DRIVER_EVENTS = Topic("driver.events", "driver_id", "what happened to drivers", -1, public=True)
OFFERS = Topic("offers", "driver_id", "offers, assignments and their ends, for driver gateways", DAY_MS, public=True)
DECISIONS = Topic("decisions", "aggregate", "command, facts and outcome of each decision", 30 * DAY_MS)
SHADOW_DECISIONS = Topic(
    "shadow.decisions", "aggregate", "what a policy in the shadow would have decided", 7 * DAY_MS, partitions="one"
)
REPLIES = Topic("replies", "gateway slot", "outcomes for the request that waits", HOUR_MS, partitions="replies")
DELIVERY_STATE = Topic("delivery.state", "delivery_id", "restores a processor", -1, compacted=True, config=_STATE)
DRIVER_STATE = Topic("driver.state", "driver_id", "restores a processor", -1, compacted=True, config=_STATE)
DRIVER_LOCATIONS = Topic("driver.locations", "driver_id", "pings and heartbeats as they come in", HOUR_MS)
DRIVER_PLACES = Topic("driver.places", "driver_id", "pings that are believed", HOUR_MS)
POLICIES = Topic("policies", "policy name", "the policy in force", -1, compacted=True, partitions="one")
RULES_HISTORY = Topic("rules.history", "policy or flag", "every policy and flag change ever", -1, partitions="one")
FLAGS = Topic("flags", "flag", "feature flags", -1, compacted=True, partitions="one")
MODELS = Topic("models", "model", "what was learned from the log, as in force", -1, compacted=True, partitions="one")
DRIVER_SCORES = Topic("driver.scores", "driver_id", "each driver's score", -1, compacted=True, partitions="one")
ETA_MODEL = Topic(
    "eta.model", "zone, hour or store", "how arrivals spread, learned", -1, compacted=True, partitions="one"
)
ZONES = Topic("zones", "zone id", "the zones in force, an import at a time", -1, compacted=True, partitions="one")
ZONE_HEALTH = Topic("zone.health", "zone id", "how each zone is doing, every few seconds", HOUR_MS, partitions="one")
ZONE_REQUESTS = Topic("zone.requests", "zone id", "drivers are asked to come to a zone", DAY_MS, partitions="one")
INCENTIVES = Topic("incentives", "incentive id", "bonuses by zone and time", -1, compacted=True, partitions="one")
PRICES = Topic("prices", "zone", "each zone's dynamic price", -1, compacted=True, partitions="one")
CONTACTS = Topic("contacts", "delivery_id or driver:driver_id", "personal data, and only here", -1, compacted=True)
TRACKING_LINKS = Topic("tracking.links", "hash of a token", "who may follow which delivery", -1, compacted=True)
NOTICES = Topic("notices", "recipient", "customer, driver, operations and support notices", 7 * DAY_MS)
DEAD_LETTERS = Topic("dead.letters", "source", "what could not be read or handled", 30 * DAY_MS, partitions="one")
DEAD_LETTERS_HANDLED = Topic(
    "dead.letters.handled", "letter id", "what people did with dead letters", -1, partitions="one"
)

API_KEYS = Topic("api.keys", "key id", "services' API keys, hashed", -1, compacted=True, partitions="one")

WEBHOOK_CHANGES = Topic(
    "webhook.changes", "endpoint id", "what was done with sellers' webhook endpoints", -1, partitions="one"
)

CATALOGUE: tuple[Topic, ...] = (
    PRICES, WEBHOOK_CHANGES,
    ORDERS_INBOUND, DELIVERY_COMMANDS, DRIVER_COMMANDS, DELIVERY_EVENTS, DRIVER_EVENTS, OFFERS, DECISIONS, REPLIES,
    DELIVERY_STATE, DRIVER_STATE, DRIVER_LOCATIONS, DRIVER_PLACES, POLICIES, FLAGS, RULES_HISTORY, CONTACTS,
    NOTICES, DEAD_LETTERS, DEAD_LETTERS_HANDLED, SHADOW_DECISIONS,
    ZONES, ZONE_HEALTH, ZONE_REQUESTS, INCENTIVES,
    MODELS, DRIVER_SCORES, ETA_MODEL,
    API_KEYS,
    TRACKING_LINKS,
)  # fmt: skip


def partitions_of(topic: Topic, *, keyed: int, replies: int) -> int:
    """How many partitions the topic is created with."""
    return {"keyed": keyed, "replies": replies, "one": 1}[topic.partitions]
