"""How fast the demonstration's city lives: as fast as this machine can follow, sixty times at most.

An offer of 30 s lives half a second in a city sixty times as fast. A machine that answers later than that lets offers
expire, and what expires is searched again: the more it is behind, the more it has to do. So a slow one lives slower.
"""

import statistics
import time
from collections.abc import Callable

FASTEST, SLOWEST, STEP = 60.0, 30.0, 5.0
AT_EASE_S = 0.015
"""What the piece of work takes, at most, on a machine that manages the fastest city."""
_TIMES = 21


def pace(took_s: float) -> float:
    """The speed for a machine that takes so many seconds for the piece of work, in whole steps."""
    wanted = FASTEST * AT_EASE_S / took_s
    return min(FASTEST, max(SLOWEST, STEP * round(wanted / STEP)))


def measured(work: Callable[[], object]) -> float:
    """Seconds of a run of it, the median of several: other work on the machine counts, as it will then."""
    took = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)
