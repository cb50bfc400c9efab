"""The feature flags: on or off, for a share of the deliveries, in some zones. A new flag is a line in `Flags`."""

import hashlib
from typing import Annotated

import msgspec

Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]


class Flag(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A feature's switch: on for a share of the deliveries, in some zones (empty: in all)."""

    enabled: bool = True
    rollout_percent: Percent = 100
    zones: tuple[str, ...] = ()

    def covers(self, aggregate_id: str, zone: str) -> bool:
        """Whether the feature is on for this delivery or driver: the same answer for the same id, always."""
        if not self.enabled or (self.zones and zone not in self.zones):
            return False
        bucket = int.from_bytes(hashlib.sha256(aggregate_id.encode()).digest()[:4], "big") % 100
        return bucket < self.rollout_percent


class Flags(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The flags of the dispatch rules."""

    driver_offers: Flag = Flag()
    availability_states: Flag = Flag()
    reassignment: Flag = Flag()
    escalation: Flag = Flag()
    eta_tracking: Flag = Flag()
    dynamic_pricing: Flag = Flag()
    zone_balancing: Flag = Flag()
    acceptance_ranking: Flag = Flag(enabled=False)
