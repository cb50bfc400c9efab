"""Ways on the road within a time limit: what was said lately is remembered, and an engine that fails is left alone."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait

import h3

from dispatch.config import Settings
from dispatch.inputs.candidates.chain import Breaker
from dispatch.inputs.travel.osrm import Osrm
from dispatch.inputs.travel.port import Asked, Found, Place, Road, Router, RoutingUnavailable
from dispatch.log import logs
from dispatch.metrics.lookups import ROUTING, WAYS

CELL = 10
"""H3's resolution: cells of about 130 m across."""
REMEMBERED = 200_000
AT_ONCE = 8
LONGEST_TABLE = 90
"""OSRM answers tables of up to 100 places unless told otherwise."""
_HOUR_S = 3_600
_Key = tuple[str, str]
logger = logs.get("dispatch.inputs.travel")


class Roads:
    """Never raises: a way that no engine gives within the limit is None, and the formula's turn has come."""

    def __init__(
        self,
        router: Router | None,
        timeout_ms: int = 40,
        breaker: Breaker | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._router, self._limit_s, self._clock = router, timeout_ms / 1000, clock
        self._breaker = breaker or Breaker()
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="roads") if router is not None else None
        self._known: OrderedDict[_Key, Road] = OrderedDict()
        self._hour = 0
        self._lock = threading.Lock()

    @property
    def engine(self) -> bool:
        """Whether there is a routing engine at all."""
        return self._router is not None

    def find(self, asked: Sequence[Asked]) -> list[Found]:
        """The ways of each, in order, all within one time limit."""
        answers = [self._remembered(one) for one in asked]
        left = [place for place, answer in enumerate(answers) if not _whole(asked[place], answer)]
        if left and self._router is not None and self._pool is not None:
            if self._breaker.lets_through():
                router = self._router
                calls = {self._pool.submit(router.table, _cut(asked[place])): place for place in left}
                self._take(calls, asked, answers)
            else:
                ROUTING.labels("left_alone").inc(len(left))
        for answer in answers:
            for road in (*answer.roads, answer.on):
                WAYS.labels(road.source if road is not None else "formula").inc()
        return answers

    def one(self, place: Place, to: Place) -> Road | None:
        """A single way, within the limit."""
        return self.find([Asked((place,), to)])[0].roads[0]

    def forget(self) -> None:
        """Forgets what was said."""
        with self._lock:
            self._known.clear()

    def close(self) -> None:
        """Lets threads and connections go."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        if self._router is not None:
            self._router.close()

    def _take(self, calls: dict[Future[Found], int], asked: Sequence[Asked], answers: list[Found]) -> None:
        done, late = wait(calls, timeout=self._limit_s)
        wrong = f"{len(late)} of {len(calls)} calls without an answer within {self._limit_s * 1000:.0f} ms"
        failed = bool(late)
        ROUTING.labels("late").inc(len(late))
        for call in late:
            call.cancel()
        for call in done:
            place = calls[call]
            try:
                found = call.result()
            except RoutingUnavailable as error:
                failed, wrong = True, str(error)
                ROUTING.labels("failed").inc()
                continue
            ROUTING.labels("answered").inc()
            missing = (None,) * (len(asked[place].places) - len(found.roads))
            answers[place] = Found((*found.roads, *missing), found.on)
            self._remember(asked[place], answers[place])
        if failed:
            self._breaker.failed()
            logger.warning("routing_failing", reason=wrong)
        else:
            self._breaker.succeeded()

    def _remembered(self, asked: Asked) -> Found:
        with self._lock:
            hour = int(self._clock() // _HOUR_S)
            if hour != self._hour:
                self._known.clear()
                self._hour = hour
            if not self._known:
                return Found((None,) * len(asked.places))
            to = _cell(asked.to)
            roads = tuple(self._known.get((_cell(place), to)) for place in asked.places)
            return Found(roads, self._known.get((to, _cell(asked.on))) if asked.on is not None else None)

    def _remember(self, asked: Asked, found: Found) -> None:
        to = _cell(asked.to)
        pairs = [((_cell(place), to), road) for place, road in zip(asked.places, found.roads, strict=True)]
        if asked.on is not None:
            pairs.append(((to, _cell(asked.on)), found.on))
        with self._lock:
            for key, road in pairs:
                if road is not None:
                    self._known[key] = road._replace(source="osrm_cache")
            while len(self._known) > REMEMBERED:
                self._known.popitem(last=False)


def open_roads(settings: Settings) -> Roads:
    """The engine that the settings name; none: the formula answers."""
    if not settings.osrm:
        return Roads(None)
    return Roads(Osrm(settings.osrm, settings.osrm_timeout_ms, AT_ONCE), settings.osrm_timeout_ms)


def _cell(place: Place) -> str:
    return str(h3.latlng_to_cell(*place, CELL))


def _whole(asked: Asked, found: Found) -> bool:
    return all(found.roads) and (asked.on is None or found.on is not None)


def _cut(asked: Asked) -> Asked:
    """The first so many places, which are the nearest."""
    return asked if len(asked.places) <= LONGEST_TABLE else asked._replace(places=asked.places[:LONGEST_TABLE])
