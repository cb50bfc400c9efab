"""What a search should know of drivers beyond the index: their scores, and the chance that each accepts.

Followed from the compacted topics `driver.scores` and `models`. It is added to the answer of a search before anything
is decided on it, so that the decision's record holds it. A record that cannot be read, or a model of another release,
changes nothing; what was known stays.
"""

import time
from collections.abc import Callable, Sequence

import structlog
from confluent_kafka import KafkaError, Message
from msgspec.structs import replace

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import DriverScored, ModelPublished
from dispatch.contract.topics import Topic
from dispatch.core.acceptance import MODEL_NAME, AcceptanceModel, chance, row_of
from dispatch.core.facts import FoundDriver, SearchNeed, SearchResult
from dispatch.core.policy import Policy
from dispatch.core.ranking import travel_seconds
from dispatch.inputs.follower import Follower
from dispatch.inputs.rules import Rules

Search = Callable[[Sequence[SearchNeed]], Sequence[SearchResult]]
logger = structlog.get_logger("dispatch.inputs.standing")


class Standing:
    """What is known now. Read by deciders, changed by `apply` from one thread."""

    def __init__(self) -> None:
        self.scores: dict[str, DriverScored] = {}
        self.model: AcceptanceModel | None = None

    def apply(self, topic: Topic, key: bytes | None, value: bytes | None) -> None:
        """Takes one record of either topic. Raises ContractError and changes nothing."""
        if value is None:
            self._forget(topic, (key or b"").decode(errors="replace"))
            return
        match codec.decode_checked(value):
            case DriverScored() as scored:
                self.scores[scored.driver_id] = scored
            case ModelPublished(model=kind) as published if kind == MODEL_NAME:
                self.model = model_in(published)
            case ModelPublished():
                return
            case other:
                raise ContractError(f"a {type(other).__name__} is neither a driver's score nor a model")

    def _forget(self, topic: Topic, name: str) -> None:
        if topic is topics.DRIVER_SCORES:
            self.scores.pop(name, None)
        elif name == MODEL_NAME:
            self.model = None

    def added(self, result: SearchResult, policy: Policy, now_ms: int, *, acceptance: bool) -> SearchResult:
        """The answer with what is known of each driver; `acceptance`: the model is asked, too."""
        model = self.model if acceptance else None
        if not result.drivers or (model is None and not self.scores):
            return result
        drivers = tuple(self._known(found, model, policy, now_ms) for found in result.drivers)
        return replace(result, drivers=drivers, model_version=model.version if model else 0)

    def _known(self, found: FoundDriver, model: AcceptanceModel | None, policy: Policy, now_ms: int) -> FoundDriver:
        scored = self.scores.get(found.driver_id)
        if scored is not None:
            found = replace(
                found,
                driver_score=scored.score,
                driver_score_mean=scored.mean,
                acceptance_rate=scored.acceptance_rate,
            )
        if model is None:
            return found
        waited_s = (now_ms - found.last_assigned_ms) / 1000 if found.last_assigned_ms else None
        row = row_of(found, travel_seconds(found, policy), waited_s, found.acceptance_rate)
        return replace(found, acceptance=chance(model, row))


def model_in(published: ModelPublished) -> AcceptanceModel:
    """The model in a record. Raises ContractError for one that this release does not know."""
    model: AcceptanceModel = codec.document(published.document, AcceptanceModel)
    return replace(model, version=published.version)


def with_standing(search: Search, standing: Standing, rules: Rules) -> Search:
    """The search, its answers with what is known of the drivers. The flag is judged delivery by delivery later."""

    def answered(needs: Sequence[SearchNeed]) -> list[SearchResult]:
        now_ms, policy = time.time_ns() // 1_000_000, rules.policy
        acceptance = rules.flags.acceptance_ranking.enabled
        return [standing.added(result, policy, now_ms, acceptance=acceptance) for result in search(needs)]

    return answered


class StandingFollower(Follower[Standing]):
    """Keeps a Standing true to the topics."""

    def __init__(self, brokers: str, namespace: str, standing: Standing) -> None:
        followed = (topics.MODELS, topics.DRIVER_SCORES)
        super().__init__("standing", standing, followed, brokers=brokers, namespace=namespace)

    def _apply(self, message: Message) -> None:
        self._known.apply(self._topics[message.topic() or ""], message.key(), message.value())

    def _unreachable(self, error: KafkaError) -> None:
        logger.warning("standing_unreachable", reason=error.str())

    def _refused(self, message: Message, reason: str) -> None:
        logger.error("standing_refused", topic=message.topic(), offset=message.offset(), reason=reason)
