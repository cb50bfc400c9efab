"""API keys of services, on a compacted topic: made once, shown once, known by their hash only."""

import hmac
import re
import secrets
import time
from collections.abc import Sequence
from hashlib import sha256

import msgspec
import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.limits import check
from dispatch.contract.records.system import ApiKeyPublished
from dispatch.inputs.follower import Follower
from dispatch.log.connecting import kafka_client
from dispatch.log.errors import Misconfigured

PREFIX = "baton_"
"""What every key begins with, so that scanners for secrets and we can tell it."""
_SHOWN = re.compile(r"baton_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
_ANSWER_S = 10.0
logger = structlog.get_logger("dispatch.inputs.api_keys")


class KnownKeys:
    """Every key ever made, by id; `complete` once the topic was read to its end."""

    def __init__(self) -> None:
        self.by_id: dict[str, ApiKeyPublished] = {}
        self.complete = False

    def find(self, shown: str, now_ms: int) -> ApiKeyPublished | None:
        """The key that was shown, if it holds now."""
        read = _SHOWN.fullmatch(shown)
        key = self.by_id.get(read[1]) if read else None
        if read is None or key is None:
            return None
        right = hmac.compare_digest(hash_of(read[2]), key.hash)
        return key if right and not key.revoked_at_ms and not 0 < key.expires_at_ms <= now_ms else None


class ApiKeyFollower(Follower[KnownKeys]):
    """Keeps keys true to the topic."""

    def __init__(self, brokers: str, namespace: str, known: KnownKeys) -> None:
        super().__init__("api-keys", known, (topics.API_KEYS,), brokers=brokers, namespace=namespace)

    def _begin(self) -> tuple[list[TopicPartition], set[str]]:
        """A topic that is not there is followed from when it is made."""
        return [TopicPartition(name, 0, 0) for name in self._topics], self._there()

    def _caught_up(self) -> None:
        self._known.complete = True

    def _apply(self, message: Message) -> None:
        match codec.decode_checked(message.value()):
            case ApiKeyPublished() as key:
                self._known.by_id[key.key_id] = key
            case other:
                raise ContractError(f"a {type(other).__name__} is no API key")

    def _unreachable(self, error: KafkaError) -> None:
        logger.warning("api_keys_unreachable", reason=str(error))

    def _refused(self, message: Message, reason: str) -> None:
        logger.error("api_keys_refused", offset=message.offset(), reason=reason)


def hash_of(secret: str) -> str:
    """SHA-256 is enough for 256 random bits: there is nothing to guess."""
    return sha256(secret.encode()).hexdigest()


def made(role: str, subject: str, sellers: Sequence[str], *, days: int, actor_id: str) -> tuple[str, ApiKeyPublished]:
    """A new key: what is shown once, and the record. `days` 0: it does not end by itself. Raises ContractError."""
    key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    now_ms = _now_ms()
    record = ApiKeyPublished(
        key_id=key_id, hash=hash_of(secret), role=role, subject=subject, sellers=tuple(sellers), version=1,
        at_ms=now_ms, expires_at_ms=now_ms + days * topics.DAY_MS if days else 0, revoked_at_ms=0, actor_id=actor_id,
    )  # fmt: skip
    check(record)
    return f"{PREFIX}{key_id}_{secret}", record


def revoked(key: ApiKeyPublished, *, actor_id: str, reason: str) -> ApiKeyPublished:
    """The record that ends a key; it stays to be read. Raises ContractError."""
    record = msgspec.structs.replace(
        key, version=key.version + 1, revoked_at_ms=_now_ms(), actor_id=actor_id, reason=reason
    )
    check(record)
    return record


def publish(brokers: str, namespace: str, record: ApiKeyPublished) -> None:
    """Puts it in force. Raises Misconfigured when Kafka does not take it."""
    failed: list[str] = []
    producer = Producer({**kafka_client(brokers, "api-keys"), "enable.idempotence": True, "log_level": 0})
    producer.produce(
        namespace + topics.API_KEYS.name, codec.encode(record), key=record.key_id.encode(),
        on_delivery=lambda error, _message: failed.append(error.str()) if error else None,
    )  # fmt: skip
    if producer.flush(_ANSWER_S):
        failed.append(f"it did not answer within {_ANSWER_S:g} s")
    if failed:
        raise Misconfigured(f"Kafka did not take the key: {failed[0]}")


def known(brokers: str, namespace: str) -> KnownKeys:
    """All keys as of now. Raises Misconfigured when Kafka is not reachable."""
    follower = ApiKeyFollower(brokers, namespace, KnownKeys())
    try:
        return follower.start()
    except KafkaException as error:
        raise Misconfigured(f"Kafka at {brokers} does not answer: {error}") from error
    finally:
        follower.stop()


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
