"""The policies that decisions name by version and zone, from `rules.history` and `policies`."""

from collections.abc import Iterable

from dispatch.contract import codec
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import PolicyPublished
from dispatch.core.policy import Policy
from dispatch.inputs.rulebook import policy_in
from dispatch.log.application import Record

_BUILT_IN = (0, 1)
"""Versions that stand for the defaults where none was published: workers before the first policy; 1 in older ones."""


class Policies:
    """Every policy that was ever in force, by its version."""

    def __init__(self, published: Iterable[PolicyPublished] = ()) -> None:
        self._published: dict[int, list[PolicyPublished]] = {}
        self._whole: dict[tuple[int, int], Policy | None] = {}
        self._by_zone: dict[tuple[int, str, int], Policy | None] = {}
        for one in published:
            known = self._published.setdefault(one.version, [])
            if all(one.document != other.document for other in known):
                known.append(one)

    def __len__(self) -> int:
        return len(self._published)

    def published(self, version: int) -> PolicyPublished | None:
        """The record of a version; the last where there are several."""
        known = self._published.get(version)
        return known[-1] if known else None

    def latest(self) -> Policy | None:
        """The policy of the highest version; None: none was published."""
        if not self._published:
            return None
        version = max(self._published)
        return self._read(version, len(self._published[version]) - 1)

    def ambiguous(self) -> list[int]:
        """Versions that were published with more than one content: the last before a decision's time is taken."""
        return sorted(version for version, known in self._published.items() if len(known) > 1)

    def of(self, version: int, zone: str, at_ms: int) -> Policy | None:
        """The policy of this version as it held in a zone (empty: without overrides); None: it is not on record."""
        known, number = self._published.get(version, ()), 0
        if len(known) > 1:
            number = max((place for place, one in enumerate(known) if one.at_ms <= at_ms), default=0)
        key = (version, zone, number)
        if key not in self._by_zone:
            whole = self._read(version, number)
            self._by_zone[key] = whole.for_zone(zone) if whole is not None and zone else whole
        return self._by_zone[key]

    def _read(self, version: int, number: int) -> Policy | None:
        if (version, number) not in self._whole:
            known = self._published.get(version)
            if known:
                self._whole[version, number] = policy_in(known[number])
            else:
                self._whole[version, number] = Policy(version=version) if version in _BUILT_IN else None
        return self._whole[version, number]


def published_in(records: Iterable[Record]) -> list[PolicyPublished]:
    """The policies among these records, oldest first; what this release does not read is left out."""
    found = []
    for record in records:
        if record.value is None:
            continue
        try:
            rule = codec.decode(record.value)
        except ContractError:
            continue
        if isinstance(rule, PolicyPublished):
            found.append(rule)
    return sorted(readable(found), key=lambda rule: (rule.version, rule.at_ms))


def readable(published: Iterable[PolicyPublished]) -> list[PolicyPublished]:
    """Those that this release reads. A decision that names another is told to be without its policy."""
    found = []
    for rule in published:
        try:
            policy_in(rule)
        except ContractError:
            continue
        found.append(rule)
    return found
