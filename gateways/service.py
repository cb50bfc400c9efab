"""The gateway process."""

import threading

from dispatch.config import Settings
from dispatch.log import logs
from dispatch.log.collector import rest_the_collector
from dispatch.log.errors import Misconfigured
from gateways.access.loopback import is_loopback
from gateways.app import create_app
from gateways.shell.serving import server

logger = logs.get("gateways")


def run(settings: Settings, stop: threading.Event) -> None:
    """Serves until stopped. Raises Misconfigured for an address beyond the loopback without sign-in."""
    judge_address(settings)
    serving = server(create_app(settings), settings)
    rest_the_collector()

    def watch() -> None:
        stop.wait()
        serving.should_exit = True

    threading.Thread(target=watch, name="stop", daemon=True).start()
    serving.run()
    stop.set()


def judge_address(settings: Settings) -> None:
    """Raises Misconfigured for an address beyond the loopback without sign-in; on the loopback the log says so."""
    if settings.sign_in_key_file or settings.sign_in_jwks:
        return
    host = settings.gateway_host
    if not is_loopback(host):
        raise Misconfigured(f"the gateway would listen at {host}; without sign-in only the loopback is allowed")
    logger.warning("gateway_open", host=host)
