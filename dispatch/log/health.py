"""`/health`, `/ready` and `/metrics` for every process, on a thread of its own."""

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

Parts = Callable[[], Mapping[str, str]]
"""Name of a part -> "up", or what is wrong with it."""


class Served(Protocol):
    """A health page, served until it is stopped."""

    def stop(self) -> None:
        """Ends it."""


Serve = Callable[[int, Parts], Served]
"""Serves the parts at a port; 0: any."""


class HealthServer:
    """Serves until stopped. Health: the process answers. Ready: every part is up, else 503; both name the parts."""

    def __init__(self, port: int, parts: Parts, host: str = "127.0.0.1") -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/metrics":
                    self._answer(200, generate_latest(), CONTENT_TYPE_LATEST)
                    return
                if self.path not in ("/health", "/ready"):
                    self._answer(404, b'{"status": "no such page"}', "application/json")
                    return
                states = dict(parts())
                down = any(state != "up" for state in states.values())
                code = 503 if down and self.path == "/ready" else 200
                body = {"status": "degraded" if down else "up", "parts": states}
                self._answer(code, json.dumps(body).encode(), "application/json")

            def _answer(self, code: int, body: bytes, kind: str) -> None:
                self.send_response(code)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Requests for health are not worth a line."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Closes the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
