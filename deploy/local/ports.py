"""Ports of the loopback: one that is free, and who has one that is not."""

import errno
import random
import socket
import sys

import psutil

_OURS = range(20_000, 32_000)
"""Below those that the system gives to connections: one could take a port between a server's end and its restart."""
_TRIES = 200
_given: dict[int, socket.socket] = {}


def free_port() -> int:
    """A port of the loopback that nobody listens on; no one who asks so is given it again while this process lives.

    On Linux it stays bound, without listening: a server that sets SO_REUSEADDR, as all of ours do, can listen there;
    another process' free_port() cannot bind it, and takes the next. Other systems would keep the server out, too.
    """
    for choice in (*random.sample(_OURS, _TRIES), 0):
        probe = socket.socket()
        try:
            probe.bind(("127.0.0.1", choice))
            port = int(probe.getsockname()[1])
        except OSError:
            probe.close()
            if not choice:
                raise
            continue
        if sys.platform == "linux" and port not in _given:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            probe.close()
        if port not in _given:
            _given[port] = probe
            return port
    raise OSError(errno.EADDRINUSE, "no port of the loopback is free")


def listens(port: int) -> bool:
    """Whether a connection is taken; a frozen program's still is, by the kernel."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def why_not(port: int) -> str:
    """Why a server could not listen there, in words that follow on the port's name; empty: it could."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: closing connections do not count
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"is in use by {_who_listens(port)}; end that program, or take another port"
            return f"cannot be had ({error.strerror}); take another port"
    return ""


def _who_listens(port: int) -> str:
    """The program's name and pid, as far as the system tells us of other users' programs."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error as error:
        return f"another program ({type(error).__name__} when asked which)"
    return "another program"
