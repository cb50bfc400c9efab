"""The gateway process."""

import ipaddress
import threading

import uvicorn

from dispatch.config import Settings
from dispatch.log import logs
from dispatch.log.errors import Misconfigured
from gateways.app import create_app

logger = logs.get("gateways")


def run(settings: Settings, stop: threading.Event) -> None:
    """Serves until stopped. Raises Misconfigured for an address beyond the loopback without sign-in."""
    host = settings.gateway_host
    try:
        safe = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        safe = False
    if not (settings.sign_in_key_file or settings.sign_in_jwks):
        if not safe:
            raise Misconfigured(f"the gateway would listen at {host}; without sign-in only the loopback is allowed")
        logger.warning("gateway_open", host=host)
    config = uvicorn.Config(
        create_app(settings),
        host=host,
        port=settings.gateway_port,
        log_level="warning",
        access_log=False,
        ws="websockets-sansio",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)

    def watch() -> None:
        stop.wait()
        server.should_exit = True

    threading.Thread(target=watch, name="stop", daemon=True).start()
    server.run()
    stop.set()
