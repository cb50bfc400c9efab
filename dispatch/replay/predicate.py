"""A question about one decision, in CEL (the Common Expression Language): it can look at what is given, and do nothing.

Names are checked before anything is read, and a mistake is told with its place. A language of our own would be one more
to learn; Python's would have to be kept from doing harm.
"""

import difflib
import re
from collections.abc import Mapping
from typing import Any

import cel
import msgspec

from dispatch.contract.records.delivery_commands import MarkReady
from dispatch.core.facts import SearchResult, ZoneFacts
from dispatch.core.policy import Flags
from dispatch.log.errors import Misconfigured
from dispatch.replay.explaining import phase
from dispatch.replay.walking import Step

NAMES: dict[str, str] = {
    "aggregate": "delivery or driver",
    "aggregate_id": "whose decision it is",
    "command": "the command's type: MarkReady, AcceptOffer, ...",
    "actor_type": "driver, system, admin, customer, order_service",
    "actor_id": "who asked",
    "outcome": "accepted, duplicate, refused",
    "reason": "the refusal's code",
    "events": "the types of the events that it made, a list",
    "phase": "the delivery's phase before it: searching, offered, held, ...; a driver's word",
    "version_before": "the number of the event before it",
    "code_version": "of the worker that decided",
    "policy_version": "of the policy",
    "policy_zone": "whose overrides applied; empty: none did",
    "zone": "of the pickup; none: outside every zone",
    "now_ms": "when, UTC milliseconds; its hours are now_ms / 3600000",
    "late_ms": "how long after its time it was decided",
    "flags": "whether each feature was on for it: flags.driver_offers",
    "search": "the index's answer: search.source, search.radius_m, search.failed, size(search.drivers)",
    "searched": "whether there is one",
    "facts": "all facts as recorded: facts.zone.pressure, has(facts.quote), ...",
}
"""What an expression may name."""
_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")
_LONGEST = 2_000


class BadPredicate(Misconfigured):
    """It cannot be understood; the message says where."""


class Predicate:
    """An expression that was read."""

    def __init__(self, text: str) -> None:
        """Raises BadPredicate."""
        if len(text) > _LONGEST:
            raise BadPredicate(f"the predicate has {len(text)} characters; at most {_LONGEST} are read")
        try:
            self._program = cel.compile(text)
        except ValueError as error:
            raise BadPredicate(_syntax(text, str(error))) from error
        bound = set(re.findall(r"\.(?:all|exists|exists_one|map|filter)\(\s*([A-Za-z_][A-Za-z0-9_]*)\s*,", text))
        self.names = frozenset(self._program.variables()) - bound
        for name in sorted(self.names - NAMES.keys()):
            near = difflib.get_close_matches(name, NAMES, 1)
            hint = f"; is {near[0]} meant?" if near else f"; there are {', '.join(NAMES)}"
            raise BadPredicate(f"{name!r} at character {_column(text, name)} is nothing of a decision{hint}")
        self._try(text)

    def holds(self, about: Mapping[str, Any]) -> bool:
        """Whether it is so. Raises BadPredicate for what cannot be judged."""
        try:
            said = self._program.execute(dict(about))
        except Exception as error:  # whatever the language raises at what it is given
            raise BadPredicate(f"it cannot be judged: {error}") from error
        if not isinstance(said, bool):
            raise BadPredicate(f"it says {said!r}, and not whether something is so: a comparison is wanted")
        return said

    def _try(self, text: str) -> None:
        """A misspelt field or function is found before anything is read."""
        try:
            self.holds(_SAMPLE)
        except BadPredicate as error:
            raise BadPredicate(f"{text[:80]!r}: {error}") from error


def about(step: Step) -> dict[str, Any]:
    """What an expression sees of a decision."""
    one, decision = step.one, step.one.decision
    zone = one.facts.zone.zone if one.facts.zone is not None else "none"
    flags = {
        name: getattr(one.facts.flags, name).covers(decision.aggregate_id, zone) for name in Flags.__struct_fields__
    }
    return {
        "aggregate": decision.aggregate,
        "aggregate_id": decision.aggregate_id,
        "command": type(one.command).__name__,
        "actor_type": one.command.actor_type,
        "actor_id": one.command.actor_id,
        "outcome": decision.outcome,
        "reason": decision.reason,
        "events": [type(event).__name__ for event in step.events],
        "phase": phase(step.before),
        "version_before": decision.version_before,
        "code_version": decision.code_version,
        "policy_version": decision.policy_version,
        "policy_zone": decision.policy_zone,
        "zone": zone,
        "now_ms": decision.now_ms,
        "late_ms": one.facts.wall_ms - decision.now_ms,
        "flags": flags,
        "search": plain(one.facts.search or _NO_SEARCH),
        "searched": one.facts.search is not None,
        "facts": {
            "zone": plain(one.facts.zone or _NO_ZONE),
            **{name: plain(found) for name in ("price", "quote") if (found := getattr(one.facts, name)) is not None},
        },
    }


def plain(struct: Any) -> Any:
    """With every field, those that have their defaults too."""
    if isinstance(struct, msgspec.Struct):
        return {name: plain(getattr(struct, name)) for name in struct.__struct_fields__}
    if isinstance(struct, list | tuple):
        return [plain(one) for one in struct]
    return struct


_NO_SEARCH, _NO_ZONE = SearchResult(), ZoneFacts()
_SAMPLE: dict[str, Any] = {
    **dict.fromkeys(("aggregate", "aggregate_id", "actor_type", "actor_id", "outcome", "reason", "phase"), "x"),
    **dict.fromkeys(("code_version", "policy_zone", "zone"), "x"),
    **dict.fromkeys(("version_before", "policy_version", "now_ms", "late_ms"), 1),
    "command": MarkReady.__name__,
    "events": ["DeliveryCreated"],
    "flags": dict.fromkeys(Flags.__struct_fields__, True),
    "search": plain(_NO_SEARCH),
    "searched": True,
    "facts": {
        "zone": plain(_NO_ZONE),
        "price": {"zone": "x", "multiplier_percent": 100, "at_ms": 1},
        "quote": {"multiplier_percent": 100, "zone": "x", "earning_minor": 1, "policy_version": 1, "expires_ms": 1},
    },
}


def _syntax(text: str, said: str) -> str:
    found = _PLACE.search(said)
    if found is None:
        return f"{text[:80]!r} is no expression: {said[:200]}"
    line, column = int(found[1]), int(found[2])
    wrong = text.splitlines()[line - 1] if line <= len(text.splitlines()) else text
    near = wrong[max(0, column - 20) : column + 20] if wrong else ""
    return f"at character {column} of the predicate, near {near!r}: {found[3].split(' expecting ')[0]}"


def _column(text: str, name: str) -> int:
    found = re.search(rf"\b{re.escape(name)}\b", text)
    return found.start() + 1 if found else 1
