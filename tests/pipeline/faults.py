"""Every kind of fault of `make chaos`, by its name."""

import random
import uuid
from collections.abc import Callable
from contextlib import closing

import redis
from couriers import Traffic
from crew import Crew, Part
from deadly import MARK
from outside import Seller

from dispatch.contract import topics

STEPS = ("polled", "looked_up", "begun", "decided", "produced", "flushed", "offsets_sent", "committed", "merged")
REPEATS = 1_000
Fault = Callable[[], None]


class Faults:
    """What can be done to a crew and its traffic. `spoilt`: how many records were sent that must be set aside."""

    def __init__(self, crew: Crew, traffic: Traffic, seller: Seller, chance: random.Random, away_s: float) -> None:
        self._crew, self._traffic, self._seller, self._chance, self._away_s = crew, traffic, seller, chance, away_s
        self.spoilt = 0

    def kinds(self) -> dict[str, Fault]:
        """Those that this crew can have."""
        crew = self._crew
        found: dict[str, Fault] = {
            "worker SIGKILL": lambda: crew.kill(self._worker()),
            "worker killed at a step": lambda: crew.dies_once(self._worker(), self._chance.choice(STEPS)),
            "worker SIGSTOP 9 s": lambda: crew.freeze(self._worker(), 9),
            "worker writes states 1": lambda: crew.odd(self._worker(), 15, BATON_STATE_FORMAT="1"),
            "broker SIGKILL (leader)": lambda: crew.take_away(crew.leader.name, 6),
            "broker SIGSTOP 8 s": lambda: crew.freeze_server(crew.leader.name, 8),
            "broker's disk full 6 s": lambda: crew.fill_the_disk(crew.leader, 6),
            "all brokers SIGKILL": lambda: self._brokers(len(crew.brokers.all)),
            "links slow 10 s": lambda: crew.disturb_links(crew.every_link(), 10, how="slow"),
            "links cut 5 s": lambda: crew.disturb_links(crew.every_link(), 5, how="cut"),
            "links half open 10 s": lambda: crew.disturb_links(crew.every_link(), 10, how="held"),
            "Valkey FLUSHALL": self._wipe,
            "Valkey SIGKILL, 5 s away": lambda: crew.take_away("valkey", 5),
            "Valkey SIGSTOP 8 s": lambda: crew.freeze_server("valkey", 8),
            f"Postgres stopped {self._away_s:g} s": lambda: crew.take_away("postgres", self._away_s, stop=True),
            "Postgres SIGKILL": lambda: crew.take_away("postgres", 0.5),
            "Postgres' answers lost 20 x": self._lost_answers,
            "streams SIGKILL": lambda: crew.kill(("streams", 0)),
            "projector SIGKILL": lambda: crew.kill(("projector", 0)),
            "gateway SIGKILL": lambda: crew.kill(("gateway", 0)),
            "drivers' sockets half open 10 s": lambda: crew.disturb_links([crew.link_of["gateway"]], 10, how="held"),
            "drivers' sockets cut 5 s": lambda: crew.disturb_links([crew.link_of["gateway"]], 5, how="cut"),
            "webhooks SIGKILL": lambda: crew.kill(("webhooks", 0)),
            "seller says 500 for 20 s": lambda: self._unwell(self._seller.refuse, 20),
            "seller hangs for 10 s": lambda: self._unwell(self._seller.hang, 10),
            "hot partition 10 s": lambda: self._traffic.heat(10),
            f"an order {REPEATS} times": self._repeats,
            "poison": self._poison,
            "poison that kills": self._deadly_poison,
        }
        if len(crew.brokers.all) > 2:
            found["controller SIGKILL"] = lambda: crew.take_away(crew.brokers.controller().name, 6)
            found["two of three brokers away"] = lambda: self._brokers(2)
        return found

    def of_clocks(self) -> dict[str, Fault]:
        """Only when they are asked for: docs/guarantees.md says what they break."""
        return {
            "worker's clock + 1 h": lambda: self._crew.clock(self._worker(), 15, 3_600),
            "worker's clock - 1 h": lambda: self._crew.clock(self._worker(), 15, -3_600),
        }

    def _worker(self) -> Part:
        awake = [slot for slot in self._crew.workers if ("worker", slot) not in self._crew.frozen]
        return "worker", self._chance.choice(awake or [0])

    def _brokers(self, count: int) -> None:
        for broker in self._chance.sample(self._crew.brokers.all, count):
            self._crew.take_away(broker.name, 4)

    def _wipe(self) -> None:
        valkey = self._crew.servers["valkey"]
        if valkey.pid and valkey.well():
            with closing(redis.Redis(port=valkey.port, socket_timeout=1)) as client:
                client.flushall()

    def _unwell(self, how: Fault, seconds: float) -> None:
        how()
        self._crew.soon(seconds, self._seller.be_well)

    def _lost_answers(self) -> None:
        """Connections end at any moment, some of them between a COMMIT and its answer."""
        link = self._crew.link_of["postgres"]

        def again(left: int) -> None:
            self._crew.links.reset(link)
            if left:
                self._crew.soon(0.3, lambda: again(left - 1))

        again(19)

    def _repeats(self) -> None:
        number = 50_000_000 + self._chance.randrange(1_000_000)
        self._traffic.sent.append(self._traffic.repeated(number, REPEATS))

    def _poison(self) -> None:
        for topic in (topics.DELIVERY_COMMANDS, topics.DRIVER_COMMANDS, topics.ORDERS_INBOUND):
            self._crew.dispatch.send_raw(topic, "poison", b"no record " + uuid.uuid4().bytes)
            self.spoilt += 1

    def _deadly_poison(self) -> None:
        self._crew.dispatch.send_raw(topics.DELIVERY_COMMANDS, str(uuid.uuid4()), MARK)
        self.spoilt += 1
