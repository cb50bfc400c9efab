"""What operations ask of drivers is carried out when what it rests on was read: topics keep no order between them."""

import time
from typing import Any

import pytest
import shapely

from dispatch.config import Settings
from dispatch.contract import topics
from dispatch.contract.records.system import BroadcastRequested, Notice, ZoneDriversRequested
from dispatch.core.zones import Zone, ZoneTable
from dispatch.inputs.rules import Rules
from dispatch.inputs.zones import ZoneBoard
from dispatch.streams.zone_feed import FRESH_MS, SETTLED_MS, ZoneFeed
from dispatch.streams.zone_health import SeenDriver

HARBOUR = Zone(zone_id="harbour", name="harbour", priority=3, min_drivers_online=1, target_wait_s=300,
               shape=shapely.box(7, 48, 7.01, 48.01))  # fmt: skip


class Feed(ZoneFeed):
    """Keeps what it would send."""

    def __init__(self) -> None:
        self.board, self.told = ZoneBoard(), list[str]()
        super().__init__(Settings(kafka="127.0.0.1:1"), Rules(), self.board)

    def _send(self, topic: topics.Topic, key: str, record: Any) -> None:
        assert isinstance(record, Notice)
        assert topic == topics.NOTICES
        self.told.append(f"{key} {record.kind}")

    def driver(self, name: str, **said: str) -> None:
        self._live.drivers[name] = SeenDriver(name, 48.005, 7.005, availability="AVAILABLE", zones=said)

    def passes(self, at_ms: int) -> list[str]:
        self._carry_out(at_ms)
        told, self.told = self.told, []
        return told

    def asked(self, *requests: ZoneDriversRequested | BroadcastRequested) -> None:
        for request in requests:
            (self._asked if isinstance(request, ZoneDriversRequested) else self._broadcasts).append(request)  # type: ignore[arg-type]


def requests(at_ms: int) -> tuple[ZoneDriversRequested, BroadcastRequested]:
    broadcast = BroadcastRequested(
        broadcast_id="b", zone="harbour", text="Storm", at_ms=at_ms, actor_id="zoe", reason="wind"
    )
    return ZoneDriversRequested(request_id="r", zone="harbour", at_ms=at_ms, actor_id="zoe"), broadcast


@pytest.fixture
def feed() -> Feed:
    return Feed()


def test_who_said_a_moment_ago_that_they_will_not_come_is_not_asked(feed: Feed) -> None:
    feed.board.table = ZoneTable([HARBOUR], 1)
    now_ms = time.time_ns() // 1_000_000
    feed.driver("ana")
    feed.driver("ben")
    feed.asked(requests(now_ms)[0])
    assert feed.passes(now_ms + SETTLED_MS - 1) == []
    feed.driver("ben", harbour="UNAVAILABLE")
    assert feed.passes(now_ms + SETTLED_MS) == ["ana zone_request"]
    assert feed.passes(now_ms + 2 * SETTLED_MS) == []


def test_what_concerns_a_zone_that_was_not_read_yet_waits_for_it(feed: Feed) -> None:
    now_ms = time.time_ns() // 1_000_000
    feed.driver("ana")
    feed.asked(*requests(now_ms))
    assert feed.passes(now_ms + SETTLED_MS) == []
    feed.board.table = ZoneTable([HARBOUR], 1)
    assert feed.passes(now_ms + 2 * SETTLED_MS) == ["ana zone_request", "ana broadcast"]


def test_what_concerns_no_zone_that_comes_is_dropped(feed: Feed) -> None:
    now_ms = time.time_ns() // 1_000_000
    feed.driver("ana")
    feed.asked(*requests(now_ms - FRESH_MS - 1))
    assert feed.passes(now_ms) == []
    feed.board.table = ZoneTable([HARBOUR], 1)
    assert feed.passes(now_ms) == []
