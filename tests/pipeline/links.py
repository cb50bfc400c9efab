"""TCP links that can be slow, cut or half open: clients are given their address, and a forwarder stands behind it.

A forwarder of our own, in sixty lines: Toxiproxy is a Go program, which the Python index does not have, and the proxies
on PyPI (pproxy, proxy.py) choose routes but cannot delay, hold or cut what goes over them.
"""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from deploy.local.ports import free_port

_CHUNK = 65_536


class Link:
    """One address that stands for another. Changed from any thread; connections look at it as they go."""

    def __init__(self, to_port: int) -> None:
        self.port, self.to_port = free_port(), to_port
        self.delay_s = 0.0
        """What each piece waits before it goes on."""
        self.holds = False
        """Half open: what is sent waits, and nobody is told."""
        self.refuses = False
        """Cut: what is open is reset, what is new is closed at once."""
        self.open: set[asyncio.StreamWriter] = set()

    async def serve(self) -> None:
        """Listens for ever."""
        server = await asyncio.start_server(self._forward, "127.0.0.1", self.port)
        await server.serve_forever()

    async def _forward(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        if self.refuses:
            back.transport.abort()
            return
        try:
            server, there = await asyncio.open_connection("127.0.0.1", self.to_port)
        except OSError:
            back.transport.abort()
            return
        self.open |= {back, there}
        try:
            await asyncio.gather(self._pump(client, there), self._pump(server, back))
        finally:
            self.open -= {back, there}
            for writer in (back, there):
                writer.transport.abort()

    async def _pump(self, here: asyncio.StreamReader, there: asyncio.StreamWriter) -> None:
        try:
            while data := await here.read(_CHUNK):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                while self.holds:
                    await asyncio.sleep(0.05)
                there.write(data)
                await there.drain()
        except OSError:
            there.transport.abort()  # a reset goes on to the other side: who waits there would wait for ever
        else:
            there.close()


class Links:
    """All links of a run, on a loop of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._thread.start()

    def add(self, to_port: int) -> Link:
        """A link that is open now."""
        link = Link(to_port)
        self._run(link.serve())
        return link

    def reset(self, link: Link) -> None:
        """Ends what goes over it, without a word; what is under way is lost."""

        def abort() -> None:
            for writer in list(link.open):
                writer.transport.abort()

        self._loop.call_soon_threadsafe(abort)

    def close(self) -> None:
        """Ends the loop; its connections end with it."""
        self._loop.call_soon_threadsafe(self._end)
        self._thread.join(5)
        self._loop.close()

    def _end(self) -> None:
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        self._loop.call_later(0.2, self._loop.stop)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop)
