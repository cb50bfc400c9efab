"""The projector process: lanes that consume events and fold them into Postgres, and wait when Postgres is away."""

import threading
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from dispatch.log import logs
from dispatch.log.health import HealthServer
from projections.gauges import Gauges
from projections.lane import Lane

_WATCH_S = 5.0
logger = logs.get("projections.service")


def run(brokers: str, postgres: str, namespace: str, health_port: int, stop: threading.Event, lanes: int = 1) -> None:
    """The process. `lanes`: threads, each with a connection and partitions of its own, as another process would be.

    One lane that fails ends the process: whoever supervises it starts it again.
    """
    made = [Lane(brokers, postgres, namespace) for _ in range(lanes)]
    health = HealthServer(health_port, lambda: {_name(number): lane.state for number, lane in enumerate(made)})
    logger.info("started", process="projector")
    standing = threading.Thread(target=Gauges(postgres).run, args=(stop,), name="gauges")
    standing.start()
    try:
        with ThreadPoolExecutor(lanes, "lane") as threads:
            running = [threads.submit(lane.run, stop) for lane in made]
            ended, _ = wait(running, _WATCH_S, FIRST_EXCEPTION)
            while not ended:
                for lane in made:
                    lane.watch()
                ended, _ = wait(running, _WATCH_S, FIRST_EXCEPTION)
            stop.set()
        for one in ended:
            one.result()
    finally:
        stop.set()
        standing.join()
        health.stop()


def _name(number: int) -> str:
    return f"projector-{number}" if number else "projector"
