"""API keys as the gateway knows them: followed in the background, complete before the first one is judged."""

import threading
import time

from confluent_kafka import KafkaException

from dispatch.inputs.api_keys import PREFIX, ApiKeyFollower, KnownKeys
from dispatch.log import logs
from gateways.access.doors import Role
from gateways.access.principal import Principal

__all__ = ["KEY_ROLES", "PREFIX", "ApiKeys"]
KEY_ROLES: tuple[Role, ...] = ("order_service", "support", "ops", "analyst", "admin")
"""Drivers and customers sign in as themselves."""
_AGAIN_S = 1.0
logger = logs.get("gateways.access")


class ApiKeys:
    """Keeps `known` true to the log, between `start` and `stop`."""

    def __init__(self, brokers: str, namespace: str, known: KnownKeys | None = None) -> None:
        self.known = known or KnownKeys()
        self._brokers, self._namespace = brokers, namespace
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="api keys", daemon=True)

    @property
    def complete(self) -> bool:
        """Whether all keys were read once; before that none can be refused."""
        return self.known.complete

    def principal(self, shown: str) -> Principal | None:
        """Whose key it is; None: nobody's, or nobody's any more."""
        key = self.known.find(shown, time.time_ns() // 1_000_000)
        role = next((role for role in KEY_ROLES if key and role == key.role), None)
        if key is None or role is None:
            return None
        sellers = frozenset(key.sellers)
        return Principal(
            role, key.subject, sellers - {"*"}, all_sellers="*" in sellers, expires_at_ms=key.expires_at_ms or None
        )

    def start(self) -> None:
        """Does not wait for Kafka."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the following."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _follow(self) -> None:
        while not self._stopping.is_set():
            follower = ApiKeyFollower(self._brokers, self._namespace, self.known)
            try:
                follower.start()
            except KafkaException as error:
                logger.warning("api_keys_unreachable", reason=str(error))
                self._stopping.wait(_AGAIN_S)
            else:
                self._stopping.wait()
            follower.stop()
