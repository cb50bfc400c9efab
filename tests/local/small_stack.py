"""Stacks small enough for a test: Valkey is ours, Kafka and Postgres are given and never asked, the children sleep."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from deploy.local import Addresses
from deploy.local.parts import ProcessSpec
from deploy.local.stack import status
from deploy.local.supervisor import Plan

GIVEN = Addresses("127.0.0.1:1", "postgresql://nobody@127.0.0.1:1/none", "")
CHILD = "import time, sys; print('begun', flush=True); time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {CHILD}"
WEB = """
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
HTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()
"""


def a_plan(*children: str, setup: list[list[str]] | None = None) -> Plan:
    """One child a program, without a health page."""
    specs = [ProcessSpec(f"child-{number}", python(child)) for number, child in enumerate(children)]
    return Plan(GIVEN, {}, setup or [], specs)


def python(program: str, *arguments: str) -> list[str]:
    return [sys.executable, "-c", program, *arguments]


def quiet(_text: str) -> None:
    """Takes what `up` tells."""


def part(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(part for part in status(folder)["parts"] if part["name"] == name)
    return found


def until(true: Callable[[], Any], limit_s: float = 15) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """Whether it runs; what nobody has collected yet does not."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
