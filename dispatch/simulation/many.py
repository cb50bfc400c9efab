"""Many seeds, on as many processes as wanted: what they add up to."""

import multiprocessing
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field

from dispatch.simulation.plan import Options
from dispatch.simulation.running import run

_AT_ONCE = 4
"""Seeds that a process is asked for in one."""


@dataclass(frozen=True, slots=True)
class Result:
    """One seed's, small enough to be sent between processes."""

    seed: int
    wrong: tuple[str, ...]
    rules: tuple[int, ...]
    decisions: int
    faults: dict[str, int]
    cpu_s: float
    """Processor time that it took."""


@dataclass(slots=True)
class Total:
    """Of all seeds so far."""

    seeds: int = 0
    decisions: int = 0
    seconds: float = 0
    cpu_s: float = 0
    faults: dict[str, int] = field(default_factory=dict)
    broken: list[Result] = field(default_factory=list)

    @property
    def seeds_a_minute(self) -> float:
        """By the real clock, of all processes together."""
        return self.seeds * 60 / self.seconds if self.seconds else 0.0

    @property
    def seeds_a_cpu_minute(self) -> float:
        """By the processor's clock, of one process: what a core does that has nothing else to do."""
        return self.seeds * 60 / self.cpu_s if self.cpu_s else 0.0

    def add(self, result: Result) -> None:
        """One more."""
        self.seeds += 1
        self.decisions += result.decisions
        self.cpu_s += result.cpu_s
        for kind, count in result.faults.items():
            self.faults[kind] = self.faults.get(kind, 0) + count
        if result.wrong:
            self.broken.append(result)


def run_one(seed: int, options: Options) -> Result:
    """One seed."""
    began_s = time.process_time()
    outcome = run(seed, options)
    rules = tuple(sorted({violation.rule for violation in outcome.report.violations}))
    return Result(
        outcome.plan.seed,
        tuple(outcome.wrong()[:20]),
        rules,
        outcome.decisions,
        outcome.faults,
        time.process_time() - began_s,
    )


def run_many(
    seeds: range,
    jobs: int,
    options: Options,
    *,
    until_caught: bool = False,
    seen: Callable[[Total], None] | None = None,
) -> Total:
    """All of them, or up to the first that breaks; `seen` hears of each.

    Raises:
        BrokenProcessPool: one of the processes was killed.
    """
    total, began = Total(), time.monotonic()
    for result in _results(seeds, jobs, options):
        total.add(result)
        total.seconds = time.monotonic() - began
        if seen is not None:
            seen(total)
        if until_caught and total.broken:
            break
    return total


def _results(seeds: range, jobs: int, options: Options) -> Iterator[Result]:
    """In the order of the seeds. An executor's processes are asked to end, where a `multiprocessing.Pool` kills its
    own with SIGTERM, in whatever they are, and waits for ever for a seed whose process was killed."""
    if jobs == 1:
        yield from (run_one(seed, options) for seed in seeds)
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    under_way: deque[Future[list[Result]]] = deque()
    with ProcessPoolExecutor(jobs, mp_context=context) as executor:
        try:
            for first in range(0, len(seeds), _AT_ONCE):
                under_way.append(executor.submit(_run_some, seeds[first : first + _AT_ONCE], options))
                if len(under_way) > 2 * jobs:
                    yield from under_way.popleft().result()
            while under_way:
                yield from under_way.popleft().result()
        finally:
            executor.shutdown(wait=False, cancel_futures=True)


def _run_some(seeds: range, options: Options) -> list[Result]:
    return [run_one(seed, options) for seed in seeds]
