"""What a driver says of zones: preferred, available (as everywhere), or not there."""

from dispatch.contract.records import driver_commands as commands
from dispatch.contract.records import driver_events as events
from dispatch.core.driver.draft import Draft
from dispatch.core.facts import Refusal

_OFF = Refusal("feature_off", "Zones are off for this driver.")


def set_preference(draft: Draft, command: commands.SetZonePreference) -> Refusal | None:
    """Holds until the driver says otherwise. To be AVAILABLE is to say nothing, and always allowed."""
    facts, said = draft.facts, dict(draft.state.zones)
    if said.get(command.zone, "AVAILABLE") == command.preference:
        return None
    if command.preference != "AVAILABLE":
        if not facts.flags.zone_balancing.covers(draft.state.id, command.zone):
            return _OFF
        if facts.zone is None or not facts.zone.known or facts.zone.zone != command.zone:
            return Refusal("unknown_zone", f"There is no zone {command.zone}.")
        most = facts.policy.zones.preferences_max
        if command.zone not in said and len(said) >= most:
            return Refusal("too_many_zones", f"Of {most} zones something was said; take one back first.")
    draft.add(events.DriverZonePreferenceSet, zone=command.zone, preference=command.preference)
    return None
