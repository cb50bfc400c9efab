"""The streams process on real servers: killed during a load it loses nothing; who is missed comes back; wake-ups."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from running import PLACE, now_ms, spawn
from town import DRIVERS, POLICY, Town, until

from deploy.local import Addresses
from dispatch import setup
from dispatch.contract import codec, identity, topics
from dispatch.contract.records import delivery_commands as dc
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records import driver_commands as vc
from dispatch.contract.records import driver_events as dr
from dispatch.contract.records.system import DeadLetter, DriverHeartbeat, DriverLocation
from dispatch.core.policy import AvailabilityPolicy, Policy, SearchPolicy
from dispatch.inputs.candidates.valkey import ValkeyIndex
from dispatch.log.reading import read_all
from dispatch.streams import geo_feed
from dispatch.streams.fleet import Fleet
from dispatch.streams.presence import COUNTED

pytestmark = pytest.mark.servers
KEYS = ("drivers:geo", "drivers:geo:busy", "drivers:geo:all")


@pytest.fixture
def town(servers: Addresses, namespace: str, tmp_path: Path) -> Iterator[Callable[..., Town]]:
    made: list[Town] = []

    def make(policy: Policy = POLICY) -> Town:
        here = Town(servers, namespace, tmp_path)
        setup.publish_policy(here.settings, policy)
        made.append(here)
        return here

    yield make
    for here in made:
        here.close()


class Streams:
    """The streams process, to be killed and started again."""

    def __init__(self, here: Town) -> None:
        self._settings = here.settings
        self.process = spawn(here.settings, "streams")

    def again(self) -> None:
        self.kill()
        self.process = spawn(self._settings, "streams")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Following:
    """The same in a thread: begun again within the second in which a process loads its modules."""

    def __init__(self, here: Town) -> None:
        self._settings = here.settings
        self._begin()

    def again(self) -> None:
        self.end()
        self._begin()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def _begin(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=geo_feed.run, args=(self._settings, self._stop), name="streams")
        self._thread.start()


class Pings:
    """Drivers who walk and say so, many times a second, until stopped; `places` has where each said last to be."""

    def __init__(self, here: Town, names: list[str], every_s: float) -> None:
        self.places: dict[str, tuple[float, float]] = {}
        self.sent = 0
        self._here, self._names, self._every_s = here, names, every_s
        self._random, self._stop = random.Random(4), threading.Event()
        self._thread = threading.Thread(target=self._run, name="pings")
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._here.dispatch.flush()

    def _run(self) -> None:
        while not self._stop.wait(self._every_s):
            for name in self._names:
                step = self._random.uniform
                lat, lng = PLACE[0] + step(-0.001, 0.001), PLACE[1] + step(-0.001, 0.001)
                ping = DriverLocation(driver_id=name, lat=lat, lng=lng, at_ms=now_ms())
                self._here.dispatch.send(topics.DRIVER_LOCATIONS, name, ping)
                self.places[name] = (lat, lng)
                self.sent += 1


def rebuilt(here: Town, client: Any) -> str:
    """The index as it is when made from the events alone: the namespace it stands under."""
    fleet, namespace = Fleet(), here.settings.namespace + "rebuilt."
    for record in read_all(here.settings.kafka, [here.settings.namespace + topics.DRIVER_EVENTS.name]):
        fleet.take(codec.decode(record.value))
    with closing(ValkeyIndex(here.settings.valkey, namespace, 2_000)) as index:
        index.begin()
        index.put(list(fleet.drivers.values()))
        index.mark()
    assert client.get(f"{namespace}drivers:status:complete") == b"1"
    return namespace


def contents(client: Any, namespace: str) -> dict[str, Any]:
    """Who is in which key, and what is known of each."""
    found: dict[str, Any] = {key: set(client.zrange(namespace + key, 0, -1)) for key in KEYS}
    return found | {"status": client.hgetall(f"{namespace}drivers:status")}


@pytest.mark.chaos
def test_killed_during_a_load_of_pings_and_events_it_loses_nothing(town: Callable[..., Town]) -> None:
    here = town()
    here.run("worker")
    streams = Streams(here)
    try:
        here.sign_on()
        talkers, silent = Pings(here, DRIVERS[:4], 0.004), Pings(here, DRIVERS[4:], 0.004)
        with closing(redis.Redis.from_url(here.settings.valkey)) as client:
            names = here.orders(20)
            for pause_s in (1.5, 2.2, 0.9, 2.6):
                time.sleep(pause_s)
                streams.again()
                names += here.orders(15)
            silent.close()  # said no more shortly before the last kill: only the log knows where they are
            streams.again()
            here.delivered(names)
            talkers.close()
            sent = talkers.sent + silent.sent
            places = talkers.places | silent.places
            live = here.settings.namespace

            def in_place() -> bool:
                found: Any = client.geopos(f"{live}drivers:geo:all", *DRIVERS)
                return all(
                    at and abs(at[1] - places[name][0]) < 1e-5 and abs(at[0] - places[name][1]) < 1e-5
                    for name, at in zip(DRIVERS, found, strict=True)
                )

            until(in_place, "everybody where they said last to be")
            until(lambda: here.dispatch.check().ok, "quiet")
            alone = rebuilt(here, client)
            until(lambda: contents(client, live) == contents(client, alone), "the same as rebuilt from the events")
            assert set(contents(client, live)["status"]) == {name.encode() for name in DRIVERS}
        print(f"{sent} pings, {len(names)} deliveries, 5 kills")
        assert sent > 1_000
        assert here.dispatch.read(topics.DEAD_LETTERS) == []
        here.holds()
    finally:
        streams.kill()


def test_who_is_not_heard_is_offline_and_a_heartbeat_brings_them_back_over_a_restart(
    town: Callable[..., Town],
) -> None:
    here = town(Policy(version=8, availability=AvailabilityPolicy(seen_every_s=1, offline_after_s=10)))
    here.run("worker")
    streams = Following(here)
    name = "ana"

    def words() -> list[str]:
        events = here.dispatch.read(topics.DRIVER_EVENTS)
        return [event.to_availability for event in events if isinstance(event, dr.DriverAvailabilityChanged)]

    def signs() -> int:
        commands = here.dispatch.read(topics.DRIVER_COMMANDS)
        return sum(isinstance(command, vc.SeenAlive) for command in commands)

    try:
        here.dispatch.sign_on(name)
        began = time.monotonic()
        with closing(Pings(here, [name], 0.02)) as pings:
            until(lambda: signs() >= 2, "heard")
            streams.again()
            before = signs()
            until(lambda: signs() > before, "heard again")
            time.sleep(max(0.0, began + 12 - time.monotonic()))  # longer than it takes to miss who is not heard
        assert words() == ["AVAILABLE"], "missed although heard all the time"
        until(lambda: words() == ["AVAILABLE", "OFFLINE"], "missed", 30)
        here.dispatch.send(topics.DRIVER_LOCATIONS, name, DriverHeartbeat(driver_id=name, at_ms=now_ms()))
        until(lambda: words() == ["AVAILABLE", "OFFLINE", "AVAILABLE"], "back", 10)
        print(f"{pings.sent} pings, {signs()} signs of life in {time.monotonic() - began:.1f} s")
        assert 4 <= signs() <= time.monotonic() - began
        seen = [event for event in here.dispatch.read(topics.DRIVER_EVENTS) if isinstance(event, dr.DriverSeen)]
        assert seen
    finally:
        streams.end()


def test_bad_pings_are_set_aside_or_passed_over_and_the_rest_goes_on(town: Callable[..., Town]) -> None:
    here = town()
    here.run("worker", "streams")
    here.sign_on()
    name, send = DRIVERS[0], here.dispatch.send
    place: dict[str, Any] = {"lat": PLACE[0] + 0.001, "lng": PLACE[1], "at_ms": now_ms()}
    unreadable: list[tuple[dict[str, Any], str]] = [
        ({**place, "lat": float("nan")}, "lat is not a number"),
        ({**place, "lng": 181.0}, "lng is 181.0; -180 to 180 is allowed"),
        ({**place, "driver_id": "x" * 1_000_000}, "1000000 characters; at most 128"),
    ]
    for fields, _ in unreadable:
        send(topics.DRIVER_LOCATIONS, name, DriverLocation(**{"driver_id": name, **fields}))
    for raw in (b"{}", b"\x00\x00\x00\xff\xff", b"\xff" * 1_000):
        here.dispatch.send_raw(topics.DRIVER_LOCATIONS, name, raw)
    for passed_over in ({"lat": 0.0, "lng": 0.0}, {"accuracy_m": -1.0}, {"at_ms": 1}, {"at_ms": now_ms() + 3_600_000}):
        ping = DriverLocation(**{"driver_id": name, **place, **passed_over})
        send(topics.DRIVER_LOCATIONS, name, ping)
    here.dispatch.wait(topics.DEAD_LETTERS, lambda letters: len(letters) == 6)
    good = DriverLocation(driver_id=name, **{**place, "at_ms": now_ms()})
    send(topics.DRIVER_LOCATIONS, name, good)
    letters: list[DeadLetter] = here.dispatch.read(topics.DEAD_LETTERS)
    for _, reason in unreadable:
        assert any(reason in letter.reason for letter in letters), reason
    with closing(redis.Redis.from_url(here.settings.valkey)) as client:

        def there() -> bool:
            found: Any = client.geopos(f"{here.settings.namespace}drivers:geo:all", name)
            return bool(found[0] and abs(found[0][1] - good.lat) < 1e-5)

        until(there, "moved by the good one")
    assert here.dispatch.wait(topics.DRIVER_PLACES, bool) == [good], "believed by one, believed by all"


def test_a_ping_read_before_the_sign_on_that_it_came_after_moves_the_driver(town: Callable[..., Town]) -> None:
    here, name = town(), "ana"
    here.run("streams")
    ping = DriverLocation(driver_id=name, lat=PLACE[0] + 0.001, lng=PLACE[1], at_ms=now_ms())
    unknown = COUNTED["unknown_driver"]._value.get()
    here.dispatch.send(topics.DRIVER_LOCATIONS, name, ping)
    until(lambda: COUNTED["unknown_driver"]._value.get() > unknown, "read")
    signed_on = dr.DriverSignedOn(
        event_id=identity.derived(name, "on"), driver_id=name, version=1, at_ms=ping.at_ms - 1, actor_type="driver",
        actor_id=name, causation_id=identity.derived(name), correlation_id=name, vehicle="car", capacity=1, rating=4.5,
        lat=PLACE[0], lng=PLACE[1], offline_at_ms=ping.at_ms,
    )  # fmt: skip
    here.dispatch.send(topics.DRIVER_EVENTS, name, signed_on)
    here.dispatch.wait(topics.DRIVER_PLACES, lambda places: places == [ping])
    with closing(redis.Redis.from_url(here.settings.valkey)) as client:

        def there() -> bool:
            found: Any = client.geopos(f"{here.settings.namespace}drivers:geo:all", name)
            return bool(found[0] and abs(found[0][1] - ping.lat) < 1e-5)

        until(there, "moved")


def test_a_driver_who_becomes_free_wakes_three_at_once_and_no_herd(town: Callable[..., Town]) -> None:
    here = town(Policy(version=8, search=SearchPolicy(retry_first_s=3_600, retry_max_s=3_600)))
    here.run("worker", "streams")
    names = here.orders(12)

    def all_in_vain(events: list[Any]) -> bool:
        return len({event.delivery_id for event in events if isinstance(event, de.NoDriverFound)}) == len(names)

    here.dispatch.wait(topics.DELIVERY_EVENTS, all_in_vain)
    time.sleep(1)
    here.dispatch.sign_on("ana")
    here.dispatch.wait(topics.DELIVERY_EVENTS, lambda events: any(isinstance(e, de.DriverOfferSent) for e in events))
    time.sleep(2)
    found: list[tuple[int, Any]] = [
        (record.timestamp_ms, codec.decode(record.value))
        for record in read_all(here.settings.kafka, [
            here.settings.namespace + topic.name
            for topic in (topics.DELIVERY_COMMANDS, topics.DRIVER_EVENTS, topics.DELIVERY_EVENTS)
        ])
    ]  # fmt: skip
    woken = [(at_ms, record) for at_ms, record in found if isinstance(record, dc.SearchAgain)]
    assert len(woken) == len({record.delivery_id for _, record in woken}) == 3
    (free_ms,) = [at_ms for at_ms, record in found if isinstance(record, dr.DriverAvailabilityChanged)]
    (offer_ms,) = [at_ms for at_ms, record in found if isinstance(record, de.DriverOfferSent)]
    print(f"woken after {max(at_ms for at_ms, _ in woken) - free_ms} ms, offered after {offer_ms - free_ms} ms")
    assert max(at_ms for at_ms, _ in woken) - free_ms <= 10_000, "no retry comes within the hour"
    assert offer_ms - free_ms <= 10_000
