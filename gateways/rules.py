"""The policy and the flags in force, followed in the background: until Kafka answers, the domain's defaults hold."""

import threading

from confluent_kafka import KafkaException

from dispatch.inputs.rules import Rules, RulesFollower
from dispatch.log import logs

_AGAIN_S = 1.0
logger = logs.get("gateways.rules")


class RulesInForce:
    """Keeps `rules` true to the log, between `start` and `stop`."""

    def __init__(self, brokers: str, namespace: str) -> None:
        self.rules = Rules()
        self.known = False
        """Whether the topics were read: until then the defaults hold."""
        self._brokers, self._namespace = brokers, namespace
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="rules in force", daemon=True)

    def start(self) -> None:
        """Does not wait for Kafka."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the following."""
        self._stopping.set()
        self._thread.join(5)

    def _follow(self) -> None:
        follower = RulesFollower(self._brokers, self._namespace, self.rules)
        while not self._stopping.is_set():
            try:
                follower.start()
            except KafkaException as error:
                logger.warning("rules_unreachable", error=str(error))
                self._stopping.wait(_AGAIN_S)
                continue
            self.known = True
            self._stopping.wait()
            follower.stop()
