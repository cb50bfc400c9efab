"""A seller's server that webhooks go to, for tests and for `make chaos`: it answers as it is told to."""

import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple


class Came(NamedTuple):
    """A request as a seller's server sees it."""

    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.body)["data"]

    @property
    def type(self) -> str:
        return str(json.loads(self.body)["type"])


Answering = Callable[[int, Came], tuple[int, dict[str, str]]]
"""From the number of the request and the request: status and headers."""


class Shop:
    """A seller's server. `certificate`: speaks TLS with this file of key and certificate."""

    def __init__(self, answer: Answering = lambda _number, _came: (200, {}), certificate: Path | None = None) -> None:
        outer = self
        self.answer, self.came = answer, list[Came]()
        lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with lock:
                    came = Came({key.lower(): value for key, value in self.headers.items()}, body)
                    outer.came.append(came)
                    number = len(outer.came)
                status, headers = outer.answer(number, came)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Silent."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 128  # eight at once, to each of many endpoints

            def handle_error(self, *_: Any) -> None:
                """Whoever hangs up is expected."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        scheme, port = "http", self._server.server_address[1]
        if certificate is not None:
            scheme, context = "https", ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{scheme}://localhost:{port}/hook?shop=1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def types(self) -> list[str]:
        return [one.type for one in self.came]

    def ids(self) -> list[str]:
        return [one.headers["webhook-id"] for one in self.came]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
