"""Who was asked for a moment ago. The index learns of a reservation only after the commit; until then a burst of orders
would all ask the same nearest driver, and all but one be denied.
"""

from collections import OrderedDict

from msgspec.structs import replace

from dispatch.core.facts import SearchResult

KEPT_MS = 500


class ReservedHints:
    """Drivers asked for within the last moment. A wrong hint costs a second choice, never a wrong holder."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def asked(self, driver_id: str, now_ms: int) -> None:
        """One more place of this driver is probably taken."""
        count = self._counted(driver_id, now_ms) + 1
        self._asked[driver_id] = (now_ms + KEPT_MS, count)
        self._asked.move_to_end(driver_id)
        while self._asked and next(iter(self._asked.values()))[0] < now_ms:
            self._asked.popitem(last=False)

    def applied(self, search: SearchResult, now_ms: int) -> SearchResult:
        """The answer with those places counted as taken; it is what the decision sees and records."""
        if not self._asked or search.source == "named":
            return search
        drivers = tuple(
            replace(found, orders=found.orders + count) if (count := self._counted(found.driver_id, now_ms)) else found
            for found in search.drivers
        )
        return replace(search, drivers=drivers)

    def _counted(self, driver_id: str, now_ms: int) -> int:
        until_ms, count = self._asked.get(driver_id, (0, 0))
        return count if until_ms >= now_ms else 0
