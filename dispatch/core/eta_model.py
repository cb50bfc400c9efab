"""What finished deliveries teach of the next: how actual times spread round reckoned ones, by zone, hour and store.

Each cell is a histogram of the logarithm of actual over reckoned, of constant size. A cell believes its own
observations and, as if they were `strength` more, what the cell above it believes: store, hour of the zone, zone, the
whole city, and at the top a spread that policy names (Dirichlet smoothing along a chain). Above `memory` observations a
cell's counts are halved, so that the old fades. Preparation that ended unseen, before the driver came, is counted below
that moment in the shares that are believed so far (self-consistency; Efron 1967).
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import accumulate, pairwise
from math import ceil, erf, exp, log, sqrt
from operator import add

from dispatch.contract.records.shared import EtaShape
from dispatch.core.eta import LEVELS
from dispatch.core.policy import EtaPolicy

BINS = 96
LOWEST, HIGHEST = log(0.05), log(20.0)
_WIDTH = (HIGHEST - LOWEST) / BINS
SCOPES = 20_000
"""Zones, hours of zones and stores that are remembered; beyond it the one that learned least recently goes."""
PREP = "prep"
STAGES = ("assigned", "at_store", "picked_up", "at_door")
"""When it was reckoned: each has a spread of its own."""
NO_PICKUP = (1.0,) * len(LEVELS)
Counts = list[float]
CITY = "city"
_NOTHING = [0.0] * BINS
_HALF = (0.5,)
_HALVES, _MOST = 56, 68
"""Bins within which a half, and 95 of 100, mostly lie: below 1.6 and 3.5 times what was reckoned."""
_Asked = tuple[tuple[float, ...], tuple[str, ...], EtaPolicy]


def scopes_of(zone: str, hour: int, store: str) -> tuple[str, ...]:
    """From the whole to the particular."""
    return (CITY, f"zone|{zone}", f"hour|{zone}|{hour}", f"store|{store}")


class EtaModel:
    """Cells by scope and kind. A kind is `pickup@assigned`, `delivery@picked_up` … or `prep`."""

    def __init__(self) -> None:
        self.version = 0
        """Finished deliveries learned from."""
        self.scopes: OrderedDict[str, dict[str, Counts]] = OrderedDict()
        self._known: dict[str, dict[_Asked, tuple[float, ...]]] = {}
        """Kind -> the quantiles that were asked for since it last changed."""

    def learn(self, kind: str, scopes: Sequence[str], value: float, policy: EtaPolicy) -> None:
        """Takes one ratio, actual over reckoned."""
        place = _bin(value)
        for counts in self._cells(kind, scopes):
            counts[place] += 1.0
            _fade(counts, policy.memory)
        self._known.pop(kind, None)

    def learn_at_most(self, kind: str, scopes: Sequence[str], value: float, policy: EtaPolicy) -> None:
        """Takes one ratio of which only a bound is known: it was this or less."""
        below = self._believed(kind, scopes, policy)[: _bin(value) + 1]
        whole = sum(below)
        parts = [share / whole for share in below]
        for counts in self._cells(kind, scopes):
            counts[: len(parts)] = map(add, counts, parts)
            _fade(counts, policy.memory)
        self._known.pop(kind, None)

    def shape(self, stage: str, zone: str, hour: int, store: str, policy: EtaPolicy) -> EtaShape:
        """The quantiles that hold for this stage, zone, hour and store; those of before the pickup only before it."""
        scopes, before = scopes_of(zone, hour, store), stage in STAGES[:2]
        return EtaShape(
            pickup=self.quantiles(f"pickup@{stage}", scopes, policy) if before else NO_PICKUP,
            delivery=self.quantiles(f"delivery@{stage}", scopes, policy),
            prep=self.middle(PREP, scopes, policy) if before else 1.0,
            observations=round(sum(self.scopes.get(scopes[-1], {}).get(f"delivery@{stage}", ()))),
            model_version=self.version,
        )

    def quantiles(self, kind: str, scopes: tuple[str, ...], policy: EtaPolicy) -> tuple[float, ...]:
        """Actual over reckoned at LEVELS."""
        return self._at(LEVELS, _MOST, kind, scopes, policy)

    def middle(self, kind: str, scopes: tuple[str, ...], policy: EtaPolicy) -> float:
        """The one of `quantiles` that half lies below, for less."""
        return self._at(_HALF, _HALVES, kind, scopes, policy)[0]

    def _at(
        self, levels: tuple[float, ...], bins: int, kind: str, scopes: tuple[str, ...], policy: EtaPolicy
    ) -> tuple[float, ...]:
        """The quantiles at these levels, sought in the first so many bins before all are reckoned."""
        known, asked = self._known.setdefault(kind, {}), (levels, scopes, policy)
        found = known.get(asked)
        if found is None:
            found = _quantiles(self._believed(kind, scopes, policy, bins), levels)
            found = found or _quantiles(self._believed(kind, scopes, policy), levels)
            known[asked] = found
        return found

    def dump(self, scope: str) -> dict[str, dict[str, float]]:
        """The cells of a scope, empty bins left out."""
        return {
            kind: {str(place): round(count, 4) for place, count in enumerate(counts) if count >= 0.0001}
            for kind, counts in self.scopes.get(scope, {}).items()
        }

    def load(self, scope: str, cells: Mapping[str, Mapping[str, float]]) -> None:
        """Takes the cells of a scope as `dump` gave them. Raises ValueError for what is none."""
        taken: dict[str, Counts] = {}
        for kind, bins in cells.items():
            counts = [0.0] * BINS
            for place, count in bins.items():
                if not 0 <= int(place) < BINS or not 0 <= count < float("inf"):
                    raise ValueError(f"{kind} of {scope} has {count} at {place}; bins are 0 to {BINS - 1}")
                counts[int(place)] = float(count)
            taken[kind] = counts
        self.scopes[scope] = taken
        self._known.clear()

    def forget(self, scope: str) -> None:
        """Drops a scope."""
        self.scopes.pop(scope, None)
        self._known.clear()

    def too_many(self) -> list[str]:
        """Scopes beyond the limit, those that learned least recently; the city is not among them."""
        beyond = len(self.scopes) - SCOPES
        return [scope for scope in self.scopes if scope != CITY][: max(0, beyond)]

    def _cells(self, kind: str, scopes: Sequence[str]) -> Iterable[Counts]:
        for scope in scopes:
            cells = self.scopes.setdefault(scope, {})
            self.scopes.move_to_end(scope)
            if kind not in cells:
                cells[kind] = [0.0] * BINS
            yield cells[kind]

    def _believed(self, kind: str, scopes: Sequence[str], policy: EtaPolicy, bins: int = BINS) -> Counts:
        """Shares of the bins, of the first so many; those of all sum to one."""
        first = _first_belief(max(policy.spread, 0.01))
        (city, s_1, w_1), (zone, s_2, w_2), (hour, s_3, w_3), (store, s_4, w_4) = (
            self._weighed(kind, scope, float(policy.strength)) for scope in scopes
        )
        return [
            (d + s_4 * ((c + s_3 * ((b + s_2 * ((a + s_1 * share) / w_1)) / w_2)) / w_3)) / w_4
            for share, a, b, c, d in zip(first[:bins], city, zone, hour, store, strict=False)
        ]

    def _weighed(self, kind: str, scope: str, strength: float) -> tuple[Counts, float, float]:
        """A cell, what the one above it weighs, and the sum of both; one that is not there changes nothing."""
        counts = self.scopes.get(scope, {}).get(kind)
        return (_NOTHING, 1.0, 1.0) if counts is None else (counts, strength, sum(counts) + strength)


@cache
def _first_belief(spread: float) -> Counts:
    """A lognormal round one; some of it everywhere, so that nothing is thought impossible."""

    def below(edge: float) -> float:
        return 0.5 * (1 + erf(edge / (spread * sqrt(2))))

    edges = [LOWEST + place * _WIDTH for place in range(BINS + 1)]
    shares = [below(high) - below(low) + 1e-6 for low, high in pairwise(edges)]
    whole = sum(shares)
    return [share / whole for share in shares]


def _bin(value: float) -> int:
    at = (log(value) - LOWEST) / _WIDTH if value > 0 else 0.0
    return max(0, min(BINS - 1, ceil(at) - 1))


def _fade(counts: Counts, memory: float) -> None:
    if sum(counts) > memory:
        counts[:] = [count / 2 for count in counts]


def _quantiles(shares: Counts, levels: Sequence[float]) -> tuple[float, ...]:
    """Straight lines within a bin of the logarithm; none when these are not all the bins and sum to too little."""
    found: list[float] = []
    sums = list(accumulate(shares, initial=0.0))
    if len(shares) < BINS and sums[-1] < levels[-1]:
        return ()
    for level in levels:
        place = bisect_left(sums, level, 1, len(shares)) - 1
        seen = sums[place]
        within = min(1.0, max(0.0, (level - seen) / shares[place])) if shares[place] > 0 else 0.5
        found.append(round(exp(LOWEST + (place + within) * _WIDTH), 4))
    return tuple(found)
