"""A worker of accounts as a process of its own, which a command can kill: brokers, namespace, journal."""

import sys
import threading
from pathlib import Path

from account import application

from dispatch.log.settings import HostSettings
from dispatch.log.worker import Worker

if __name__ == "__main__":
    brokers, namespace, journal = sys.argv[1:]
    settings = HostSettings(brokers, f"{namespace}bank", journal=Path(journal))
    Worker(settings, application(namespace)).run(threading.Event())
