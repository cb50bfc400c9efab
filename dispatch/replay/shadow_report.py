"""How far a policy in the shadow agrees with the one in force: counted from what the shadow wrote."""

from collections.abc import Iterable

import msgspec

from dispatch.contract import codec
from dispatch.contract.records.system import ShadowDecision
from dispatch.log.application import Record

EXAMPLES = 3


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """One decision that differs."""

    aggregate_id: str
    command: str
    command_id: str
    at_ms: int
    was: str
    would_be: str


class Agreement(msgspec.Struct, kw_only=True):
    """Of one policy in the shadow."""

    shadow: str
    first_ms: int = 0
    last_ms: int = 0
    agrees: int = 0
    differs: int = 0
    undecidable: int = 0
    policies: dict[int, int] = {}
    """Beside which versions in force, and how many decisions."""
    kinds: dict[str, int] = {}
    why_undecidable: dict[str, int] = {}
    by_zone: dict[str, list[int]] = {}
    """Zone: agrees, differs, undecidable."""
    examples: dict[str, list[Example]] = {}

    @property
    def percent(self) -> float:
        """Share of the decidable that agree."""
        known = self.agrees + self.differs
        return 100 * self.agrees / known if known else 100.0


def agreement(records: Iterable[Record], since_ms: int = 0, until_ms: int = 0) -> list[Agreement]:
    """By policy in the shadow, the one seen last at the front. A decision written twice is counted once."""
    found: dict[str, Agreement] = {}
    places: dict[tuple[str, int], int] = {}
    for record in sorted(_said(records), key=lambda one: (one.partition, one.offset)):
        if record.at_ms < since_ms or (until_ms and record.at_ms >= until_ms):
            continue
        place = (record.shadow, record.partition)
        if places.get(place, -1) >= record.offset:
            continue
        places[place] = record.offset
        _add(found.setdefault(record.shadow, Agreement(shadow=record.shadow)), record)
    return sorted(found.values(), key=lambda one: -one.last_ms)


def _said(records: Iterable[Record]) -> Iterable[ShadowDecision]:
    for record in records:
        said = codec.decode(record.value)
        if isinstance(said, ShadowDecision):
            yield said


def _add(one: Agreement, said: ShadowDecision) -> None:
    one.first_ms = min(one.first_ms or said.at_ms, said.at_ms)
    one.last_ms = max(one.last_ms, said.at_ms)
    one.policies[said.policy_version] = one.policies.get(said.policy_version, 0) + 1
    zone = one.by_zone.setdefault(said.zone, [0, 0, 0])
    match said.verdict:
        case "agrees":
            one.agrees += 1
            zone[0] += 1
        case "differs":
            one.differs += 1
            zone[1] += 1
            for kind in said.kinds:
                one.kinds[kind] = one.kinds.get(kind, 0) + 1
                examples = one.examples.setdefault(kind, [])
                if len(examples) < EXAMPLES:
                    examples.append(
                        Example(
                            aggregate_id=said.aggregate_id, command=said.command, command_id=said.command_id,
                            at_ms=said.at_ms, was=said.was, would_be=said.would_be,
                        )
                    )  # fmt: skip
        case _:
            one.undecidable += 1
            zone[2] += 1
            for reason in said.kinds:
                one.why_undecidable[reason] = one.why_undecidable.get(reason, 0) + 1
