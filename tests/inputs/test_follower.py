"""What all followers of small topics promise, on a real Kafka: read whole first, kept true, ended cleanly."""

import time
from collections.abc import Callable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from confluent_kafka import Producer
from structlog.testing import capture_logs

from deploy.local import Addresses
from dispatch.contract import codec, topics
from dispatch.contract.records.system import DriverScored, IncentivePublished, ModelPublished, ZonePrice
from dispatch.core.policy import Policy
from dispatch.inputs.arrivals import MODEL, POSITIONS, Arrivals, ArrivalsFollower, Cells
from dispatch.inputs.follower import Follower
from dispatch.inputs.prices import PriceBoard, PriceFollower
from dispatch.inputs.rules import Rules, RulesFollower, policy_record
from dispatch.inputs.standing import Standing, StandingFollower
from dispatch.inputs.zones import ZoneBoard, ZoneFollower
from dispatch.log.topics import TopicSpec, create


@dataclass(frozen=True)
class Kind:
    """One follower: its topics, the first of which carries `record(number)`, and how to see which number is known."""

    name: str
    follower: Callable[[str, str, Any], Follower[Any]]
    board: Callable[[], Any]
    followed: tuple[topics.Topic, ...]
    record: Callable[[int], Any]
    seen: Callable[[Any], int | None]


def policy(number: int) -> Any:
    return policy_record(msgspec.structs.replace(Policy(), version=number), at_ms=1, actor_id="ops")


def price(number: int) -> Any:
    return ZonePrice(
        zone="z", multiplier_percent=100 + number, at_ms=1, pressure=0, smoothed_pressure=0, policy_version=1
    )


def score(number: int) -> Any:
    return DriverScored(driver_id="d", score=number / 10, mean=0.5, acceptance_rate=0.5, parts=(), at_ms=1)


def bonus(number: int) -> Any:
    return IncentivePublished(
        incentive_id="i", zone="z", bonus_minor=number, currency="EUR", starts_at_ms=0, ends_at_ms=2, at_ms=1,
        actor_id="ops", note="",
    )  # fmt: skip


def cells(number: int) -> Any:
    document = msgspec.json.encode(Cells(POSITIONS)).decode()
    return ModelPublished(model=MODEL, version=number, at_ms=1, actor_id="eta", document=document)


KINDS = (
    Kind("rules", RulesFollower, Rules, (topics.POLICIES, topics.FLAGS), policy, lambda rules: rules.policy.version),
    Kind(
        "prices", PriceFollower, PriceBoard, (topics.PRICES,), price,
        lambda board: board.of("z").multiplier_percent - 100,
    ),
    Kind(
        "standing", StandingFollower, Standing, (topics.DRIVER_SCORES, topics.MODELS), score,
        lambda standing: round(standing.scores["d"].score * 10),
    ),
    Kind(
        "zones", ZoneFollower, ZoneBoard, (topics.INCENTIVES, topics.ZONES, topics.ZONE_HEALTH), bonus,
        lambda board: board.bonus_minor("z", 1, "EUR"),
    ),
    Kind("arrivals", ArrivalsFollower, Arrivals, (topics.ETA_MODEL,), cells, lambda known: known.model.version),
)  # fmt: skip


def refused(logged: Sequence[MutableMapping[str, Any]], kind: Kind) -> list[int]:
    """The offsets of what was told to be refused."""
    return [line["offset"] for line in logged if line["event"] == f"{kind.name}_refused"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_read_whole_then_followed_and_a_bad_record_changes_nothing(
    kind: Kind, servers: Addresses, namespace: str
) -> None:
    create(servers.kafka, [TopicSpec(namespace + topic.name, 1, topic.settings()) for topic in kind.followed])
    producer = Producer({"bootstrap.servers": servers.kafka, "transactional.id": f"{namespace}test"})
    producer.init_transactions(30)

    def put(*values: bytes, abort: bool = False) -> None:
        producer.begin_transaction()
        for value in values:
            producer.produce(namespace + kind.followed[0].name, value, b"key")
        producer.flush(10)
        producer.abort_transaction(30) if abort else producer.commit_transaction(30)

    put(codec.encode(kind.record(3)), b"no record")
    put(codec.encode(kind.record(9)), abort=True)  # the log ends with what is nobody's
    follower = kind.follower(servers.kafka, namespace, kind.board())
    with capture_logs() as logged:
        known = follower.start()
        assert kind.seen(known) == 3
        put(b"neither", codec.encode(kind.record(4)), b"nor")
        until = time.monotonic() + 10
        while len(refused(logged, kind)) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        assert kind.seen(known) == 4
        follower.stop()
    assert refused(logged, kind) == [1, 5, 7]
    assert not follower._thread.is_alive()
    with pytest.raises(RuntimeError):
        follower._consumer.assignment()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_one_that_was_never_started_can_be_stopped(kind: Kind) -> None:
    follower = kind.follower("127.0.0.1:9", "t.", kind.board())
    follower.stop()
    with pytest.raises(RuntimeError):
        follower._consumer.assignment()


@pytest.mark.parametrize("kind", KINDS[1:3], ids=lambda kind: kind.name)
def test_without_the_topics_of_a_later_release_nothing_is_known(kind: Kind, servers: Addresses, namespace: str) -> None:
    board = kind.board()
    follower = kind.follower(servers.kafka, namespace, board)
    assert follower.start() is board
    follower.stop()


def test_a_policy_topic_that_is_made_later_is_followed(servers: Addresses, namespace: str) -> None:
    follower = RulesFollower(servers.kafka, namespace, Rules())
    rules = follower.start()
    name = namespace + topics.POLICIES.name
    create(servers.kafka, [TopicSpec(name, 1, topics.POLICIES.settings())])
    producer = Producer({"bootstrap.servers": servers.kafka})
    producer.produce(name, codec.encode(policy(5)), b"key")
    producer.flush(10)
    until = time.monotonic() + 20
    while rules.policy.version != 5 and time.monotonic() < until:
        time.sleep(0.05)
    follower.stop()
    assert rules.policy.version == 5
