"""The rules that a new installation starts with: the defaults, and what the environment says otherwise.

Only `baton setup` looks at these variables, and only for what was never published: later the topics are the truth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from dispatch.config import SettingsError
from dispatch.core.flags import Percent
from dispatch.core.policy import Flag, Flags, Policy
from dispatch.core.policy_document import PolicyRefused, parse

_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class PolicyVariable:
    """A variable that sets a field of the policy; a number in the variable's own unit, times `times`."""

    name: str
    field: str
    times: float = 1
    kind: type = float


VARIABLES: tuple[PolicyVariable, ...] = (
    PolicyVariable("OFFER_EXPIRATION_SECONDS", "offer.timeout_s"),
    PolicyVariable("OFFER_ON_EXPIRY", "offer.on_expiry", kind=str),
    PolicyVariable("OFFER_REFUSALS_BEFORE_AUTO", "offer.refusals_before_auto", kind=int),
    PolicyVariable("BREAK_MIN_DURATION_MINUTES", "availability.break_min_s", 60),
    PolicyVariable("BREAK_MAX_DURATION_MINUTES", "availability.break_max_s", 60),
    PolicyVariable("BREAK_NOTICE_MINUTES", "availability.break_notice_s", 60),
    PolicyVariable("DRIVER_OFFLINE_AFTER_MINUTES", "availability.offline_after_s", 60),
    PolicyVariable("REASSIGNMENT_GRACE_SECONDS", "reassignment.grace_s"),
    PolicyVariable("REASSIGNMENT_MAX_ATTEMPTS", "reassignment.max_attempts", kind=int),
    PolicyVariable("ESCALATION_LEVEL_1_THRESHOLD_MINUTES", "escalation.level_1_s", 60),
    PolicyVariable("ESCALATION_LEVEL_2_THRESHOLD_MINUTES", "escalation.level_2_s", 60),
    PolicyVariable("ESCALATION_LEVEL_3_THRESHOLD_MINUTES", "escalation.level_3_s", 60),
    PolicyVariable("SEARCH_RADIUS_METERS", "search.radius_m", kind=int),
    PolicyVariable("ESCALATED_SEARCH_RADIUS_METERS", "search.escalated_radius_m", kind=int),
    PolicyVariable("SEARCH_RETRY_FIRST_SECONDS", "search.retry_first_s"),
    PolicyVariable("SEARCH_RETRY_MAX_SECONDS", "search.retry_max_s"),
)


def start_policy(environment: Mapping[str, str]) -> Policy:
    """The defaults with what the environment says. Raises SettingsError naming variable, value and what is wanted."""
    document: dict[str, dict[str, Any]] = {}
    by_field = {}
    for variable in VARIABLES:
        text = environment.get(variable.name, "").strip()
        if text:
            chapter, field = variable.field.split(".")
            document.setdefault(chapter, {})[field] = _number(variable, text)
            by_field[chapter, field] = (variable.name, text)
    try:
        return parse(document)
    except PolicyRefused as error:
        problem = error.problems[0]
        path = (problem.path[0], problem.path[1])
        name, text = by_field.get(path) or next(iter(by_field.values()))  # of two that do not fit, one may be a default
        raise SettingsError(f"{name} is {text!r}: {problem}") from error


def start_flags(environment: Mapping[str, str]) -> dict[str, Flag]:
    """The flags of which the environment says something. Raises SettingsError."""
    found = {}
    for name in Flags.__struct_fields__:
        on, share = f"ENABLE_{name.upper()}", f"{name.upper()}_ROLLOUT"
        flag: Flag = getattr(Flags(), name)
        enabled, rollout = environment.get(on, "").strip(), environment.get(share, "").strip()
        if enabled:
            flag = msgspec.structs.replace(flag, enabled=_switch(on, enabled))
        if rollout:
            flag = msgspec.structs.replace(flag, rollout_percent=_percent(share, rollout))
        if enabled or rollout:
            found[name] = flag
    return found


def _number(variable: PolicyVariable, text: str) -> Any:
    if variable.kind is str:
        return text
    try:
        number = variable.kind(text)
    except ValueError as error:
        wanted = "a whole number" if variable.kind is int else "a number"
        raise SettingsError(f"{variable.name} is {text!r}: {wanted} is wanted") from error
    return number * variable.times if variable.kind is float else number


def _switch(name: str, text: str) -> bool:
    if text.lower() in (*_TRUE, *_FALSE):
        return text.lower() in _TRUE
    raise SettingsError(f"{name} is {text!r}: true or false is wanted")


def _percent(name: str, text: str) -> int:
    try:
        percent: int = msgspec.convert(int(text), Percent)
    except (ValueError, msgspec.ValidationError) as error:
        raise SettingsError(f"{name} is {text!r}: a whole number from 0 to 100 is wanted") from error
    return percent
