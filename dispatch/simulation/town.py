"""The world round the engine: whoever lives in it sends records and hears what was committed, in their own time."""

from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from dispatch.contract import codec, identity
from dispatch.contract.topics import Topic
from dispatch.core.policy import Policy
from dispatch.log.application import Record
from dispatch.simulation.broker import Broker
from dispatch.simulation.loop import MS_US, SECOND_US
from dispatch.simulation.plan import Plan
from dispatch.simulation.story import Story

Hears = Callable[[Any], None]


class Town:
    """Sends and hears. `is_calm`: faults and misbehaviour are over, everybody does what they should."""

    def __init__(self, plan: Plan, broker: Broker, story: Story) -> None:
        self.plan, self.broker, self.story, self.loop = plan, broker, story, broker.loop
        self.policy: Policy = plan.policy
        self.is_calm = False
        self.on_calm: list[Callable[[], None]] = []
        self._hearers: dict[str, list[Hears]] = {}
        self._made = 0

    @property
    def now_ms(self) -> int:
        """UTC ms."""
        return self.broker.now_ms

    def does(self, habit: str, chance: Random, share: float) -> bool:
        """Whether somebody misbehaves now."""
        return habit in self.plan.habits and not self.is_calm and chance.random() < share

    def pause_us(self, chance: Random, low_s: float, high_s: float) -> int:
        """So long in the town's own life, which may be faster than the machines'."""
        return round(chance.uniform(low_s, high_s) / self.plan.speed * SECOND_US)

    def hear(self, topic: Topic, hears: Hears) -> None:
        """Every committed record of a topic, as soon as it can be read."""
        if topic.name not in self._hearers:
            self._hearers[topic.name] = []
            self.broker.follow(topic.name, self._heard)
        self._hearers[topic.name].append(hears)

    def calm_down(self) -> None:
        """From now on nothing goes wrong."""
        self.is_calm = True
        self.story.tell("town", "all is calm from here on")
        for call in self.on_calm:
            call()

    def command_id(self, who: str) -> str:
        """A fresh one."""
        self._made += 1
        return identity.derived("simulated", who, str(self._made))

    def send(self, who: str, chance: Random, topic: Topic, key: str, record: msgspec.Struct) -> None:
        """On its way: it is stamped now and arrives in a moment, late, or twice."""
        value, stamp_ms = codec.encode(record), self.now_ms + (chance.randint(-300, 300) if self.plan.skews_ms else 0)
        self.story.tell(who, lambda: f"sends {said(record)}")
        waits = [chance.randrange(500, 30_000)]
        if self.does("late", chance, 0.15):
            waits[0] = chance.randrange(SECOND_US, 6 * SECOND_US)
        if self.does("duplicates", chance, 0.2):
            waits.append(chance.randrange(1_000, 8 * SECOND_US))
        for wait_us in waits:
            self.loop.after(wait_us, self._arrive, topic.name, key.encode(), value, stamp_ms)

    def _arrive(self, topic: str, key: bytes, value: bytes, stamp_ms: int) -> None:
        if self.broker.is_away:
            self.loop.after(200 * MS_US, self._arrive, topic, key, value, stamp_ms)
        else:
            self.broker.send(topic, key, value, stamp_ms)

    def _heard(self, record: Record) -> None:
        decoded = codec.decode(record.value)
        for hears in self._hearers[record.topic]:
            hears(decoded)


_NAMED = ("delivery_id", "driver_id", "offer_id", "step", "reason", "why", "timer", "level", "seller_order_id", "how")


def said(record: Any) -> str:
    """A record in a few words; ids by their beginnings."""
    parts = [f"{name}={str(value)[:8]}" for name in _NAMED if (value := getattr(record, name, None)) not in (None, "")]
    return f"{type(record).__name__}({', '.join(parts)})"
