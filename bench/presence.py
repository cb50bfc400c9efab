"""Pings and wake-ups on the whole of Baton: how many pings one streams process takes, how soon a place is in the index,
and how soon a driver who becomes free is offered a delivery that waits.
"""

import random
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import psutil
import redis
from confluent_kafka import Consumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from bench.town import Town, now_ms
from dispatch import setup
from dispatch.config import Settings
from dispatch.contract import codec, topics
from dispatch.contract.records.delivery_commands import SearchAgain
from dispatch.contract.records.delivery_events import NoDriverFound
from dispatch.contract.records.driver_commands import EndShift, StartShift
from dispatch.contract.records.driver_events import DriverAvailabilityChanged
from dispatch.contract.records.offers import OfferCreated
from dispatch.contract.records.system import DriverLocation
from dispatch.core.policy import Policy, SearchPolicy

Figures = dict[str, float]
DRIVERS = 2_000
STEADY, STEADY_S = 3_000, 20
BURST = 60_000
WAITING, FREED, FREED_EACH_S = 400, 300, 0.05
_LIMIT_S = 60.0


def pings(status: dict[str, Any]) -> Figures:
    """Pings at a steady rate, and a burst as fast as they can be given."""
    walk = _Walk(status)
    walk.offered(2 * STEADY, STEADY)  # to get warm
    taken, cpu, began = walk.taken(), walk.cpu_s(), time.monotonic()
    watch = _Watch(status, *walk.place_of(walk.marker))
    sent = walk.offered(STEADY * STEADY_S, STEADY)
    sent_s = time.monotonic() - began
    seen = watch.end()
    late_s = walk.all_taken(taken + sent + len(seen))
    steady_cpu = walk.cpu_s() - cpu
    taken, cpu, began = walk.taken(), walk.cpu_s(), time.monotonic()
    burst = walk.offered(BURST, 0)
    given_s = time.monotonic() - began
    walk.all_taken(taken + burst)
    burst_s = time.monotonic() - began
    cuts = statistics.quantiles(seen, n=100)
    return {
        "drivers": float(DRIVERS),
        "pings a second offered, steadily": sent / sent_s,
        "taken so long after the last was sent, s": late_s,
        "a ping is in the index after, p50 ms": cuts[49] * 1000,
        "a ping is in the index after, p99 ms": cuts[98] * 1000,
        "share of a core, steadily": steady_cpu / sent_s,
        "pings in a burst": float(burst),
        "given to Kafka within, s": given_s,
        "pings a second taken from a burst": burst / burst_s,
        "CPU us a ping, in a burst": (walk.cpu_s() - cpu) / burst * 1e6,
    }


class _Walk:
    """Drivers who walk about, and what the streams process says of them."""

    def __init__(self, status: dict[str, Any]) -> None:
        (part,) = (part for part in status["parts"] if part["name"] == "streams")
        self._metrics = part["address"].removesuffix("/ready") + "/metrics"
        self._process = psutil.Process(part["pid"])
        self._town = Town(status["addresses"]["kafka"], seed=5)
        self._random = random.Random(5)
        self._names = self._town.sign_on(DRIVERS + 1)
        with redis.Redis.from_url(status["addresses"]["valkey"]) as client:
            _until(lambda: client.hlen("drivers:status") > DRIVERS, "every driver is in the index")
            places: Any = client.geopos("drivers:geo:all", *self._names)
        self._places = dict(zip(self._names, places, strict=True))
        self.marker = self._names.pop()

    def place_of(self, name: str) -> tuple[str, float, float]:
        """Who, and where they signed on."""
        lng, lat = self._places[name]
        return name, lat, lng

    def cpu_s(self) -> float:
        """CPU seconds that the streams process has used."""
        spent = self._process.cpu_times()
        return float(spent.user + spent.system)

    def taken(self) -> float:
        """Pings believed so far."""
        for family in text_string_to_metric_families(httpx.get(self._metrics).text):
            for sample in family.samples:
                if sample.name == "baton_pings_total" and sample.labels["outcome"] == "taken":
                    return float(sample.value)
        raise RuntimeError(f"{self._metrics} tells of no pings")

    def offered(self, count: int, rate: int) -> int:
        """So many pings, of one driver after the other, at this rate; 0: as fast as they go."""
        began = time.perf_counter()
        for number in range(count):
            name = self._names[number % DRIVERS]
            lng, lat = self._places[name]
            lat, lng = lat + self._random.uniform(-5e-4, 5e-4), lng + self._random.uniform(-5e-4, 5e-4)
            if rate and (ahead_s := number / rate - (time.perf_counter() - began)) > 0.002:
                time.sleep(ahead_s)
            ping = DriverLocation(driver_id=name, lat=lat, lng=lng, accuracy_m=8, at_ms=now_ms())
            self._town.send(topics.DRIVER_LOCATIONS, name, ping)
        self._town.flush()
        return count

    def all_taken(self, wanted: float) -> float:
        """Waits until so many were believed; gives the seconds."""
        return _until(lambda: self.taken() >= wanted, f"{wanted:.0f} pings taken")


class _Watch:
    """One driver more, whose every ping is looked for in the index."""

    def __init__(self, status: dict[str, Any], name: str, lat: float, lng: float) -> None:
        self._seen: list[float] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(status["addresses"], name, lat, lng))
        self._thread.start()

    def end(self) -> list[float]:
        """Seconds from giving a ping to Kafka to seeing it in the index."""
        self._stop.set()
        self._thread.join()
        return self._seen

    def _watch(self, addresses: dict[str, str], name: str, lat: float, lng: float) -> None:
        town, number = Town(addresses["kafka"], seed=6), 0
        with redis.Redis.from_url(addresses["valkey"]) as client:
            while not self._stop.wait(0.02):
                number += 1
                there = lat + 1e-4 * (number % 10)
                began = time.perf_counter()
                ping = DriverLocation(driver_id=name, lat=there, lng=lng, at_ms=now_ms())
                town.send(topics.DRIVER_LOCATIONS, name, ping)
                town.flush()
                _until(lambda: _is_at(client, name, there), "in the index", 0.002)  # noqa: B023 - called at once
                self._seen.append(time.perf_counter() - began)


def wakeups(status: dict[str, Any]) -> Figures:
    """Deliveries wait, drivers become free one by one: how soon each is offered one, and how many each wakes."""
    addresses = status["addresses"]
    settings = Settings(kafka=addresses["kafka"], postgres=addresses["postgres"], valkey=addresses["valkey"])  # type: ignore[call-arg]
    policy = Policy(version=99, search=SearchPolicy(retry_first_s=3_600, retry_max_s=3_600))
    setup.publish_policy(settings, policy)  # nobody searches again of themselves
    town = Town(addresses["kafka"], seed=7)
    names = town.sign_on(FREED)
    for name in names:
        town.duty(EndShift, name)
    town.flush()
    with redis.Redis.from_url(addresses["valkey"]) as client:
        _until(lambda: client.zcard("drivers:geo:all") == FREED and not client.zcard("drivers:geo"), "nobody works")
    heard = _Heard(addresses["kafka"])
    waiting = [town.order_ready() for _ in range(WAITING)]
    town.flush()
    _until(lambda: heard.in_vain.issuperset(waiting), "all search in vain")
    time.sleep(2)
    sent_ms: dict[str, int] = {}
    for name in names:
        sent_ms[name] = now_ms()
        town.duty(StartShift, name)
        town.flush()
        time.sleep(FREED_EACH_S)
    time.sleep(5)
    heard.close()
    offered = [name for name in sent_ms if name in heard.offered_ms]
    from_free = [heard.offered_ms[name] - heard.free_ms[name] for name in offered]
    from_sent = [heard.read_ms[name] - sent_ms[name] for name in offered]
    woken = [heard.woken[name] for name in sent_ms]
    return {
        "deliveries waiting": float(WAITING),
        "drivers who become free": float(FREED),
        "offered a delivery": float(len(offered)),
        **{f"free to offered, {word} ms": ms for word, ms in _cuts(from_free).items()},
        **{f"shift start sent to offer read, {word} ms": ms for word, ms in _cuts(from_sent).items()},
        "deliveries woken by a driver, mean": statistics.mean(woken),
        "deliveries woken by a driver, most": float(max(woken)),
    }


class _Heard:
    """What the log says from now on, read by a thread."""

    def __init__(self, kafka: str) -> None:
        self.in_vain: set[str] = set()
        self.free_ms: dict[str, int] = {}
        self.offered_ms: dict[str, int] = {}
        self.read_ms: dict[str, int] = {}
        self.woken: Counter[str] = Counter()
        self._stop = threading.Event()
        self._consumer = Consumer({"bootstrap.servers": kafka, "group.id": "bench-is-never-committed",
                                   "isolation.level": "read_committed", "fetch.wait.max.ms": 10})  # fmt: skip
        places = []
        known = self._consumer.list_topics(timeout=10).topics
        for topic in (topics.DELIVERY_EVENTS, topics.DELIVERY_COMMANDS, topics.DRIVER_EVENTS, topics.OFFERS):
            for number in known[topic.name].partitions:
                place = TopicPartition(topic.name, number)
                place.offset = self._consumer.get_watermark_offsets(place, timeout=10)[1]
                places.append(place)
        self._consumer.assign(places)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def close(self) -> None:
        """No more."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()

    def _read(self) -> None:
        while not self._stop.is_set():
            for message in self._consumer.consume(500, 0.01):
                if message.error() is None:
                    self._take(codec.decode(message.value()), message.timestamp()[1])

    def _take(self, record: Any, at_ms: int) -> None:
        match record:
            case NoDriverFound():
                self.in_vain.add(record.delivery_id)
            case SearchAgain():
                self.woken[record.driver_id] += 1
            case DriverAvailabilityChanged(to_availability="AVAILABLE"):
                self.free_ms.setdefault(record.driver_id, at_ms)
            case OfferCreated():
                self.offered_ms.setdefault(record.driver_id, at_ms)
                self.read_ms.setdefault(record.driver_id, now_ms())


def _cuts(values: list[int]) -> Figures:
    cuts = statistics.quantiles(values, n=100)
    return {"p50": cuts[49], "p95": cuts[94], "p99": cuts[98], "most": float(max(values))}


def _is_at(client: Any, name: str, lat: float) -> bool:
    (found,) = client.geopos("drivers:geo:all", name)
    return found is not None and abs(found[1] - lat) < 3e-5


def _until(true: Callable[[], Any], what: str, every_s: float = 0.02) -> float:
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > _LIMIT_S:
            raise RuntimeError(f"not within {_LIMIT_S:g} s: {what}")
        time.sleep(every_s)
    return time.monotonic() - began
