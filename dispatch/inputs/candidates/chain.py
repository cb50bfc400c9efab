"""Valkey first, within its limit; Postgres when it does not answer; and when neither does, the honest word for it."""

import time
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from dispatch.config import Settings
from dispatch.core.facts import SearchNeed, SearchResult
from dispatch.inputs.candidates.port import CandidateIndex, IndexUnavailable
from dispatch.inputs.candidates.postgres import PostgresIndex
from dispatch.inputs.candidates.valkey import ValkeyIndex
from dispatch.log import logs
from dispatch.metrics.lookups import CANDIDATES

logger = logs.get("dispatch.inputs.candidates")

_TOGETHER = 25
"""Needs that stand or fall together, in one question to an index; its time limit is for each question."""


class Breaker:
    """Opens after so many failures in a row, for a while; then one try decides."""

    def __init__(self, failures: int = 3, open_s: float = 2.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._allowed, self._open_s, self._clock = failures, open_s, clock
        self._failed = 0
        self._until = 0.0

    def lets_through(self) -> bool:
        """Whether to try."""
        return self._failed < self._allowed or self._clock() >= self._until

    def succeeded(self) -> None:
        """Closes."""
        self._failed = 0

    def failed(self) -> None:
        """Counts, and opens when it was once too often."""
        self._failed += 1
        if self._failed >= self._allowed:
            self._until = self._clock() + self._open_s


class Chain:
    """Never raises: a search that no index answers is a result that says so."""

    def __init__(self, first: CandidateIndex, second: CandidateIndex | None, breaker: Breaker | None = None) -> None:
        self._steps = [("first", first, breaker or Breaker())]
        if second is not None:
            self._steps.append(("second", second, Breaker()))

    def search(self, needs: Sequence[SearchNeed]) -> list[SearchResult]:
        """All answers, in order. What an index answered stays when it fails at what comes after: else a batch that a
        slow index just does not get through would fail whole, be searched again whole, and be slow again."""
        parts = (needs[at : at + _TOGETHER] for at in range(0, len(needs), _TOGETHER))
        return [answer for part in parts for answer in self._answers(part)]

    def _answers(self, needs: Sequence[SearchNeed]) -> list[SearchResult]:
        for source, index, breaker in self._steps:
            if not breaker.lets_through():
                continue
            try:
                answers = index.search(needs)
            except IndexUnavailable as error:
                breaker.failed()
                logger.warning("index_failing", source=source, reason=str(error))
                continue
            breaker.succeeded()
            CANDIDATES.labels(source).inc()
            return answers if source == "first" else [replace(answer, redis_ok=False) for answer in answers]
        CANDIDATES.labels("none").inc()
        return [SearchResult(failed=True, redis_ok=False) for _ in needs]

    def close(self) -> None:
        """Lets connections go."""
        for _, index, _ in self._steps:
            index.close()


def open_index(settings: Settings) -> Chain:
    """The chain of this machine's servers."""
    first = ValkeyIndex(settings.valkey, settings.namespace, settings.geo_timeout_ms, complete_only=True)
    return Chain(first, PostgresIndex(settings.postgres) if settings.postgres else None)
