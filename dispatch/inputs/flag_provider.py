"""The flags under OpenFeature's API, for tools and services that ask before a decision is made.

Decisions themselves ask `Flag.covers` on the flags that are recorded with them; this provider gives the same answer,
for it asks the same function. The evaluation context names the delivery (or driver) by `targeting_key`, `delivery_id`
or `driver_id`, and the delivery's `zone`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, TargetingKeyMissingError, TypeMismatchError
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
from openfeature.provider import AbstractProvider, Metadata

from dispatch.core.policy import Flag, Flags
from dispatch.inputs.rules import Rules

NO_ZONE = "none"
_IDS = ("delivery_id", "driver_id")


class RulesProvider(AbstractProvider):
    """Answers from the rules in force; a RulesFollower keeps them true to the topic."""

    def __init__(self, rules: Rules) -> None:
        super().__init__()
        self._rules = rules

    def get_metadata(self) -> Metadata:
        """Who answers."""
        return Metadata(name="baton-rules")

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: ARG002 - an unknown flag is an error, upon which the client takes it
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Whether the flag is on for the delivery or driver, and why. Raises FlagNotFoundError and
        TargetingKeyMissingError, upon which OpenFeature's client gives the caller's default.
        """
        flag = self._flag(flag_key)
        if not flag.enabled:
            return FlagResolutionDetails(value=False, variant="off", reason=Reason.DISABLED)
        context = evaluation_context or EvaluationContext()
        zone = str(context.attributes.get("zone") or NO_ZONE)
        name = context.targeting_key or next(
            (str(context.attributes[key]) for key in _IDS if context.attributes.get(key)), ""
        )
        if not name and flag.rollout_percent not in (0, 100):
            raise TargetingKeyMissingError(f"{flag_key} is on for a share: a delivery_id or driver_id is wanted")
        value = flag.covers(name, zone)
        reason = Reason.STATIC
        if flag.zones:
            reason = Reason.TARGETING_MATCH if zone in flag.zones else Reason.DEFAULT
        if flag.rollout_percent < 100 and reason is not Reason.DEFAULT:
            reason = Reason.SPLIT
        return FlagResolutionDetails(value=value, variant="on" if value else "off", reason=reason)

    def resolve_string_details(
        self, flag_key: str, default_value: str, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[str]:
        """Refused: flags are on or off."""
        self._mismatch(flag_key, default_value, evaluation_context)

    def resolve_integer_details(
        self, flag_key: str, default_value: int, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[int]:
        """Refused: flags are on or off."""
        self._mismatch(flag_key, default_value, evaluation_context)

    def resolve_float_details(
        self, flag_key: str, default_value: float, evaluation_context: EvaluationContext | None = None
    ) -> FlagResolutionDetails[float]:
        """Refused: flags are on or off."""
        self._mismatch(flag_key, default_value, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        """Refused: flags are on or off."""
        self._mismatch(flag_key, default_value, evaluation_context)

    def _flag(self, name: str) -> Flag:
        if name not in Flags.__struct_fields__:
            raise FlagNotFoundError(f"{name!r} is no flag; known are {', '.join(Flags.__struct_fields__)}")
        flag: Flag = getattr(self._rules.flags, name)
        return flag

    def _mismatch(self, name: str, default: Any, _context: EvaluationContext | None) -> NoReturn:
        self._flag(name)
        raise TypeMismatchError(f"{name} is on or off, and {type(default).__name__} is asked for")
