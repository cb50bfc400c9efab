"""The webhooks' process, which kills itself at the step that CRASH_AT names."""

import os
import signal
import threading

from dispatch import config
from dispatch.log import logs
from dispatch.webhooks.service import run

stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())


def reached(step: str) -> None:
    if step == os.environ["CRASH_AT"]:
        os.kill(os.getpid(), signal.SIGKILL)


logs.configure("webhooks", "info")
run(config.load(), stop, reached)
