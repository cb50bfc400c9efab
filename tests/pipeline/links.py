"""TCP links that can be slow, cut or half open: clients are given their address, and a forwarder stands behind it.

A forwarder of our own, in a hundred lines: Toxiproxy is a Go program, which the Python index does not have, and the
proxies on PyPI (pproxy, proxy.py) choose routes but cannot delay, hold or cut what goes over them. It has a process of
its own: a cluster's whole traffic goes through it, and shares no interpreter with those who test.
"""

import asyncio
import json
import subprocess
import sys
import threading
from collections import deque
from functools import partial
from typing import Any, cast

import uvloop

from deploy.local.ports import free_port


class Link:
    """One address that stands for another. What is set, from any thread, is in force when the setting returns."""

    def __init__(self, links: "Links", port: int, to_port: int) -> None:
        self._links, self.port, self.to_port = links, port, to_port
        self._now: dict[str, Any] = {"delay_s": 0.0, "holds": False, "refuses": False}

    @property
    def delay_s(self) -> float:
        """What each piece waits before it goes on."""
        return float(self._now["delay_s"])

    @delay_s.setter
    def delay_s(self, seconds: float) -> None:
        self._set(delay_s=seconds)

    @property
    def holds(self) -> bool:
        """Half open: what is sent waits, and nobody is told."""
        return bool(self._now["holds"])

    @holds.setter
    def holds(self, yes: bool) -> None:
        self._set(holds=yes)

    @property
    def refuses(self) -> bool:
        """Cut: what is new is closed at once; what is open ends with `reset`."""
        return bool(self._now["refuses"])

    @refuses.setter
    def refuses(self, yes: bool) -> None:
        self._set(refuses=yes)

    def _set(self, **change: Any) -> None:
        self._now |= change
        self._links.tell("change", self.port, change)


class Links:
    """All links of a run, in one process, which ends with this one."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._asking = threading.Lock()

    def add(self, to_port: int) -> Link:
        """A link that is open now."""
        link = Link(self, free_port(), to_port)
        self.tell("add", link.port, to_port)
        return link

    def reset(self, link: Link) -> None:
        """Ends what goes over it, without a word; what is under way is lost."""
        self.tell("reset", link.port, None)

    def tell(self, what: str, port: int, how: Any) -> None:
        """Has the process do it, and waits until it did. Raises RuntimeError when it cannot."""
        with self._asking:
            assert self._process.stdin
            assert self._process.stdout
            self._process.stdin.write(json.dumps([what, port, how]) + "\n")
            self._process.stdin.flush()
            said = self._process.stdout.readline()
        if said != "done\n":
            raise RuntimeError(f"the links' process answered {said!r} to {what} {port} {how}")

    def close(self) -> None:
        """Ends the process, and every connection with it."""
        assert self._process.stdout
        self._process.kill()
        self._process.communicate()


class _Place:
    """A link, where it is served."""

    def __init__(self, to_port: int) -> None:
        self.to_port, self.delay_s, self.holds, self.refuses = to_port, 0.0, False, False
        self.open: set[asyncio.Transport] = set()


class _Side(asyncio.Protocol):
    """One end of a connection: what it hears the other end says."""

    def __init__(self, place: _Place, other: "_Side | None" = None) -> None:
        self._place, self.other = place, other
        self.transport: asyncio.Transport | None = None
        self._waits: deque[bytes] = deque()
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self._place.refuses:
            self.transport.abort()
            return
        self._place.open.add(self.transport)
        if self.other is None:
            self._task = asyncio.get_running_loop().create_task(self._reach())

    async def _reach(self) -> None:
        """The first end: finds the other."""
        assert self.transport
        self.other = other = _Side(self._place, self)
        try:
            await asyncio.get_running_loop().create_connection(lambda: other, "127.0.0.1", self._place.to_port)
        except OSError:
            self.transport.abort()
            return
        await self._later()

    def data_received(self, data: bytes) -> None:
        if self._task is None and not (self._place.delay_s or self._place.holds):
            self._say(data)
            return
        self._waits.append(data)
        assert self.transport
        self.transport.pause_reading()
        self._task = self._task or asyncio.get_running_loop().create_task(self._later())

    async def _later(self) -> None:
        while self._waits:
            if self._place.delay_s:
                await asyncio.sleep(self._place.delay_s)
            while self._place.holds:
                await asyncio.sleep(0.05)
            self._say(self._waits.popleft())
        self._task = None
        assert self.transport
        if self.transport.is_closing():
            self._part()
        else:
            self.transport.resume_reading()

    def _say(self, data: bytes) -> None:
        if self.other and self.other.transport and not self.other.transport.is_closing():
            self.other.transport.write(data)

    def pause_writing(self) -> None:
        """This end takes no more for now: the other is not heard either."""
        if self.other and self.other.transport and not self.other.transport.is_closing():
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other and self.other.transport and not self.other.transport.is_closing() and not self.other._task:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """The other side hears what waits, and then the same: a reset at once, for who waits there would do so long."""
        assert self.transport
        self._place.open.discard(self.transport)
        if error:
            self._part(broken=True)
        elif self._task is None:
            self._part()

    def _part(self, *, broken: bool = False) -> None:
        if self.other and self.other.transport:
            self.other.transport.abort() if broken else self.other.transport.close()


async def _serve() -> None:
    """Does what is asked on the standard input, a line each, until that ends."""
    loop, places = asyncio.get_running_loop(), dict[int, _Place]()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        what, port, how = json.loads(line)
        if what == "add":
            place = places[port] = _Place(how)
            await loop.create_server(partial(_Side, place), "127.0.0.1", port)
        elif what == "change":
            vars(places[port]).update(how)
        else:
            for transport in list(places[port].open):
                transport.abort()
        print("done", flush=True)


if __name__ == "__main__":
    uvloop.run(_serve())
