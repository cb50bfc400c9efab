"""A worker of accounts as a process of its own that freezes itself right after its partitions were taken away."""

import os
import signal
import sys
import threading
from typing import Any

from account import application

from dispatch.log.settings import HostSettings
from dispatch.log.worker import Worker


class Freezing(Worker):
    def _on_revoke(self, consumer: Any, partitions: list[Any]) -> None:
        super()._on_revoke(consumer, partitions)
        if len(partitions) == 1:
            os.kill(os.getpid(), signal.SIGSTOP)


if __name__ == "__main__":
    brokers, namespace = sys.argv[1:]
    Freezing(HostSettings(brokers, f"{namespace}bank", 1), application(namespace)).run(threading.Event())
