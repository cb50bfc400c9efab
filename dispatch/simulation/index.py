"""The geo index as workers find it: folded from driver events a little late, lossy when told so; and the wake-ups.

The fold, the search and who is woken are the real ones, of dispatch/streams and dispatch/inputs.
"""

from collections.abc import Sequence
from random import Random
from typing import Any

from dispatch.contract import identity, topics
from dispatch.contract.records import delivery_commands
from dispatch.core.facts import SearchNeed, SearchResult
from dispatch.inputs.candidates.memory import MemoryIndex
from dispatch.inputs.candidates.port import IndexedDriver
from dispatch.simulation.loop import MS_US, SECOND_US
from dispatch.simulation.process import Process
from dispatch.simulation.town import Town
from dispatch.streams.fleet import Fleet
from dispatch.streams.waiting import Waiting
from dispatch.streams.wakeups import WakeUps


class Index:
    """What searches are answered from."""

    def __init__(self, town: Town, seed: int) -> None:
        self._town, self._chance = town, Random(f"{seed} index")
        self._fleet, self._memory = Fleet(), MemoryIndex()
        self._waiting = Waiting()
        self._wake_ups = WakeUps(self._waiting, self._fleet.drivers.get)
        self._lost = 0
        self._down_until_us = 0
        self._looks = False
        town.hear(topics.DRIVER_EVENTS, self._driver)
        town.hear(topics.DELIVERY_EVENTS, self._delivery)

    def search_of(self, process: Process) -> Any:
        """How one process asks."""

        def lookup(needs: Sequence[SearchNeed]) -> Sequence[SearchResult]:
            wrong = process.point("lookup")
            process.sleep(self._chance.randrange(500, 4_000))
            if wrong is not None and wrong[0] == "lookup_fails":
                raise ConnectionError("nobody answers")
            if process.loop.now_us < self._down_until_us:
                return [SearchResult(failed=True, redis_ok=False) for _ in needs]
            return self._memory.search(needs)

        return lookup

    def lose(self, updates: int) -> None:
        """So many changes never arrive."""
        self._lost += updates

    def wipe(self) -> None:
        """All is gone, until the feed notices."""
        self._memory.clear()
        self._town.loop.after(self._chance.randrange(SECOND_US, 4 * SECOND_US), self.refill)

    def go_down(self, ms: int) -> None:
        """No path answers for so long."""
        self._down_until_us = self._town.loop.now_us + ms * MS_US

    def refill(self) -> None:
        """As it should be."""
        self._lost = 0
        self._memory.put(list(self._fleet.drivers.values()))

    def _driver(self, event: Any) -> None:
        before = self._fleet.drivers.get(event.driver_id)
        changed = self._fleet.take(event)
        if changed is None:
            return
        if self._lost:
            self._lost -= 1
        else:
            self._town.loop.after(self._chance.randrange(1, 40) * MS_US, self._put, changed)
        if changed.free and not (before and before.free):
            now_ms, policy = self._town.now_ms, self._town.policy.wake_up
            self._wake_ups.freed(event.driver_id, event.event_id, event.at_ms, now_ms, policy)
            self._look_soon()

    def _put(self, driver: IndexedDriver) -> None:
        self._memory.put([driver])

    def _delivery(self, event: Any) -> None:
        if self._waiting.take(event):
            self._wake_ups.searched_in_vain(event.delivery_id, event.at_ms)
            self._look_soon()

    def _look_soon(self) -> None:
        if not self._looks:
            self._looks = True
            self._town.loop.after(self._chance.randrange(20, 100) * MS_US, self._look)

    def _look(self) -> None:
        self._looks = False
        for wake in self._wake_ups.due(self._town.now_ms, self._town.policy.wake_up):
            command = delivery_commands.SearchAgain(
                command_id=identity.command_id(wake.event_id, f"wake {wake.delivery_id}"),
                delivery_id=wake.delivery_id,
                at_ms=wake.at_ms,
                actor_type="system",
                actor_id="wake-up",
                correlation_id=wake.delivery_id,
                driver_id=wake.driver_id,
            )
            self._town.send("streams", self._chance, topics.DELIVERY_COMMANDS, wake.delivery_id, command)
