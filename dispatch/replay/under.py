"""One decision under another policy: the same state, command and facts. One step, and exact for it.

What another policy would have asked the index is reckoned from the same state. A narrower search is cut out of the
answer on record; of a wider one nothing is known, unless the answer was full: then nobody farther would be looked at.
"""

from typing import Any

import msgspec
from msgspec.structs import replace

from dispatch.core.facts import Refusal, SearchNeed, SearchResult
from dispatch.core.policy import Policy
from dispatch.processors import recorded
from dispatch.replay.changes import Came
from dispatch.replay.deciding import CORES
from dispatch.replay.record import Recorded

OUTSIDE = ("presence", "wake_up", "driver_score")
"""Chapters of the policy that shape what comes in, and no decision."""


class Undecidable(Exception):
    """The record has not what this policy would have looked at; the message says what."""


class Other:
    """Another policy, as it holds for each decision."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._made: dict[tuple[str, int], Policy] = {}

    def at(self, one: Recorded) -> Policy:
        """As in the decision's zone, under the number of the policy that was in force: the number is no difference."""
        zone = one.facts.zone.zone if one.facts.zone is not None else ""
        key = (zone if zone in self._policy.by_zone else "", one.decision.policy_version)
        if key not in self._made:
            whole = self._policy.for_zone(key[0]) if key[0] else self._policy
            self._made[key] = replace(whole, version=key[1])
        return self._made[key]


def decided(state: Any, one: Recorded, was: Policy, policy: Policy) -> Came:
    """What comes of it under `policy`, in place of `was`. Raises Undecidable."""
    core, facts = CORES[one.decision.aggregate], recorded.whole(one.facts, one.decision.now_ms, policy)
    flags, now_ms, zone = facts.flags, facts.now_ms, facts.zone
    asked = core.needs(state, one.command, was, flags, now_ms, zone)
    asks = core.needs(state, one.command, policy, flags, now_ms, zone)
    if asks != asked:
        facts = replace(facts, search=_answer(asked, asks, facts.search))
    return came(core.decide(state, one.command, facts))


def came(result: Any) -> Came:
    """The core's answer."""
    if isinstance(result, Refusal):
        return Came("refused", result.code, ())
    return Came("accepted" if result else "duplicate", "", result)


def _answer(asked: SearchNeed | None, asks: SearchNeed | None, known: SearchResult | None) -> SearchResult | None:
    """What the index would have answered."""
    if asks is None:
        return None
    if asked is None or known is None:
        raise Undecidable("it would search, and nothing was searched then")
    if known.failed:
        return known
    if replace(asks, radius_m=0, limit=0) != replace(asked, radius_m=0, limit=0):
        raise Undecidable("it would ask for other drivers")
    searched_m = known.radius_m or asked.radius_m
    full = len(known.drivers) >= asked.limit
    if asks.limit > asked.limit and full:
        raise Undecidable("it would look at more candidates")
    if asks.radius_m > searched_m and not full:
        raise Undecidable("it would search farther")
    return _narrowed(known, asks)


def _narrowed(known: SearchResult, asks: SearchNeed) -> SearchResult:
    near = tuple(found for found in known.drivers if found.distance_m <= asks.radius_m)[: asks.limit]
    beyond = [found.distance_m for found in known.drivers if found.distance_m > asks.radius_m]
    if not near and beyond and known.busy_in_radius:
        raise Undecidable("it would find nobody, and why is not known")
    changed: dict[str, Any] = {"drivers": near, "radius_m": asks.radius_m if known.radius_m else 0}
    if beyond:
        changed["nearest_m"] = min(beyond)
    made: SearchResult = msgspec.structs.replace(known, **changed)
    return made
