"""The real servers, once for the whole run; a namespace and a database of its own for whoever wants one."""

import faulthandler
import io
import os
import shutil
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO, cast

import psycopg
import pytest
import structlog
from hypothesis import settings as hypothesis_settings

from deploy.local import Addresses, start_servers, stop_servers

os.environ.setdefault("BATON_KAFKA_JVM", "-XX:TieredStopAtLevel=1")  # these brokers live for minutes
hypothesis_settings.register_profile("baton", parent=hypothesis_settings(), deadline=None)
hypothesis_settings.load_profile("baton")  # how long an example takes says more of the machine than of us
faulthandler.register(signal.SIGUSR1, file=sys.__stderr__ or 2)  # asked by tests.run where this process hangs


@pytest.fixture(scope="session")
def servers() -> Iterator[Addresses]:
    """The addresses in the environment, or servers started for this run."""
    given = Addresses(*(os.environ.get(f"BATON_{name}", "") for name in ("KAFKA", "POSTGRES", "VALKEY")))
    folder = Path(tempfile.mkdtemp(prefix="baton-tests-"))
    folder.chmod(0o755)  # for root: Postgres runs as another user; pytest's own folders are closed to others
    addresses, started = start_servers(folder, given)
    yield addresses
    if "kafka" in started:
        started["kafka"].kill()  # an orderly end takes its time with thousands of partitions that nobody reads again
    stop_servers(started)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def namespace() -> str:
    """A prefix nobody else uses."""
    return f"t{uuid.uuid4().hex[:8]}."


@pytest.fixture(scope="module")
def database(servers: Addresses) -> Iterator[str]:
    """The address of an empty database."""
    name = f"t{uuid.uuid4().hex[:8]}"
    with psycopg.connect(servers.postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    yield servers.postgres.rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(servers.postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


class _StandardOutput(io.TextIOBase):
    """Standard output by its number. A test that has `capfd` swaps and empties the file behind `sys.stdout`; CPython
    (3.11) ends with a segmentation fault when a thread of a system that runs in this process prints to it meanwhile."""

    def write(self, text: str) -> int:
        os.write(1, text.encode(errors="backslashreplace"))
        return len(text)


def _log_as_at_first() -> None:
    structlog.reset_defaults()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file=cast(TextIO, _StandardOutput())))
    structlog.contextvars.clear_contextvars()


@pytest.fixture(autouse=True)
def logging_as_at_first() -> Iterator[None]:
    """What a test sets up for logging does not outlive it: its captured streams are closed."""
    yield
    _log_as_at_first()


_LAST_WORDS = "BATON_TESTS_LAST_WORDS"
"""Where a process of tests that crashes writes its threads' stacks, told near the end of what is printed."""
_crashed: list[str] = []


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """After pytest's own plugin, which has each process write where its neighbours do."""
    _log_as_at_first()
    name = os.environ.get("PYTEST_XDIST_WORKER")
    if name is None:
        os.environ[_LAST_WORDS] = tempfile.mkdtemp(prefix="baton-last-words-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ[_LAST_WORDS], ignore_errors=True))
    else:
        faulthandler.enable((Path(os.environ[_LAST_WORDS]) / name).open("w"))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """How a process of tests crashed: xdist says only that it did."""
    if error:
        name, process = node.gateway.id, getattr(node.gateway._io, "popen", None)
        code = process.wait(10) if process else "unknown"
        _crashed.append(f"{name} ended with exit code {code} (negative: of that signal)")
        if (words := Path(os.environ[_LAST_WORDS]) / name).exists():
            _crashed.append(words.read_text())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How much was visited where a test visits everything there is; how a process crashed."""
    for line in _crashed:
        terminalreporter.write_line(line)
    for report in terminalreporter.stats.get("passed", ()):
        for what, count in report.user_properties:
            terminalreporter.write_line(f"{count:,} {what}: {report.nodeid.rpartition('[')[2].rstrip(']')}")
