"""Those that only follow, in one process: on a small machine most of what each costs is an interpreter of its own.

Each keeps its thread, its consumers and its place in the log, as in a process of its own; the health page names the
parts of all. One that ends ends all: whoever started the process sees it, and starts it again.
"""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from dispatch.config import Settings
from dispatch.log import logs
from dispatch.log.health import HealthServer, Parts, Served
from dispatch.notices import service as notifier
from dispatch.streams import driver_scores, eta_tracker
from dispatch.webhooks import service as webhooks

Run = Callable[..., None]
ALL: Mapping[str, Run] = {
    "eta": eta_tracker.run,
    "scores": driver_scores.run,
    "notifier": notifier.run,
    "webhooks": webhooks.run,
}
_LOCAL_ROLE, _LOCAL_ROLES = "baton_notifier", {"webhooks": "baton_webhooks"}
"""As whom our own Postgres lets the process in, and those who have a role of their own there (docs/keeping.md)."""
_END_S = 20.0
"""So long one may take to end; then the process ends without it, as when it is killed: none minds."""
logger = logs.get("dispatch.followers")


class Together:
    """One health page for several: the parts of each, under its name. Until all have told theirs it is not ready."""

    def __init__(self, names: Mapping[str, Any]) -> None:
        self._parts: dict[str, Parts | None] = dict.fromkeys(names)

    def served(self, name: str) -> Callable[[int, Parts], Served]:
        """What this one takes for a health page of its own."""

        def serve(_port: int, parts: Parts) -> Served:
            self._parts[name] = parts
            return _Page()

        return serve

    def parts(self) -> dict[str, str]:
        """For /ready."""
        told: dict[str, str] = {}
        for name, parts in self._parts.items():
            for part, state in (parts() if parts is not None else {name: "starting"}).items():
                told[part if part == name else f"{name} {part}"] = state
        return told


class _Page:
    """Of one among several: it stays while the process does."""

    def stop(self) -> None:
        """Nothing is to be closed."""


def run(settings: Settings, stop: threading.Event, followers: Mapping[str, Run] = ALL) -> None:
    """Until stopped. Raises what one of them raised first, when the others have ended."""
    together, failures = Together(followers), list[BaseException]()
    health = HealthServer(settings.health_port, together.parts)

    def follow(name: str, work: Run) -> None:
        structlog.contextvars.bind_contextvars(process=name)
        try:
            work(_settings_of(name, settings), stop, health=together.served(name))
        except BaseException as error:  # noqa: BLE001 - told, and raised by the main thread
            logger.error("failed", process=name, reason=f"{type(error).__name__}: {error}")
            failures.append(error)
        finally:
            stop.set()

    threads = [
        threading.Thread(target=follow, args=one, name=one[0], daemon=True) for one in followers.items()
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    stop.wait()
    for thread in threads:
        thread.join(_END_S)
    health.stop()
    if failures:
        raise failures[0]
    if any(thread.is_alive() for thread in threads):
        logger.error("failed", process="followers", reason=f"one did not end within {_END_S:g} s")
        os._exit(75)


def _settings_of(name: str, settings: Settings) -> Settings:
    """With its own role, where the address is our own Postgres'; one that was given stays as it was given."""
    own = f"//{_LOCAL_ROLES.get(name, _LOCAL_ROLE)}@"
    return settings.model_copy(update={"postgres": settings.postgres.replace(f"//{_LOCAL_ROLE}@", own, 1)})
