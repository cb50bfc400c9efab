"""Who was asked for a moment ago. The index learns of a reservation only after the commit; until then a burst of orders
would all ask the same nearest driver, and all but one be denied.
"""

from collections import OrderedDict
from typing import NamedTuple

from msgspec.structs import replace

from dispatch.core.facts import FoundDriver, SearchResult

KEPT_MS = 3_000
"""An index is this far behind at most, or fails."""
UNTOLD_MS = 500
"""The same where it does not say how far."""


class _Asked(NamedTuple):
    at_ms: int
    by: str


class ReservedHints:
    """Drivers asked for within the last moment. A wrong hint costs a second choice, never a wrong holder."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, list[_Asked]] = OrderedDict()

    def asked(self, driver_id: str, by: str, now_ms: int) -> None:
        """One more place of this driver is probably taken, by this delivery."""
        kept = [one for one in self._asked.get(driver_id, ()) if one.at_ms > now_ms - KEPT_MS and one.by != by]
        self._asked[driver_id] = [*kept, _Asked(now_ms, by)]
        self._asked.move_to_end(driver_id)
        while next(iter(self._asked.values()))[-1].at_ms <= now_ms - KEPT_MS:
            self._asked.popitem(last=False)

    def applied(self, search: SearchResult, by: str, now_ms: int) -> SearchResult:
        """The answer with those places counted as taken of which the index has not heard; it is what the decision sees
        and records. What this delivery asked for itself is not: it asks again, for the transaction was taken back."""
        if not self._asked or search.source == "named":
            return search
        drivers = tuple(
            replace(found, orders=found.orders + count) if (count := self._counted(found, by, now_ms)) else found
            for found in search.drivers
        )
        return replace(search, drivers=drivers)

    def _counted(self, found: FoundDriver, by: str, now_ms: int) -> int:
        known_ms = max(found.as_of_ms, now_ms - KEPT_MS) if found.as_of_ms else now_ms - UNTOLD_MS
        return sum(one.at_ms > known_ms and one.by != by for one in self._asked.get(found.driver_id, ()))
