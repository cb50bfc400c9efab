"""The links of `make chaos` do what they are told: else no fault of theirs was one."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from links import Link, Links


@pytest.fixture
def links() -> Iterator[Links]:
    made = Links()
    yield made
    made.close()


@pytest.fixture
def link(links: Links) -> Iterator[Link]:
    """To somebody who says everything again."""
    listening = socket.create_server(("127.0.0.1", 0))

    def echo(client: socket.socket) -> None:
        with client:
            while data := client.recv(4_096):
                client.sendall(data)

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(client,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield links.add(listening.getsockname()[1])
    listening.close()


def connected(link: Link) -> socket.socket:
    until = time.monotonic() + 5
    while True:
        try:
            return socket.create_connection(("127.0.0.1", link.port), 5)
        except OSError:
            assert time.monotonic() < until
            time.sleep(0.02)


def said_again(connection: socket.socket) -> float:
    """Seconds until the answer."""
    began = time.monotonic()
    connection.sendall(b"hello")
    assert connection.recv(5) == b"hello"
    return time.monotonic() - began


def ended(connection: socket.socket) -> bool:
    """Whether the other side is gone, with a word or without."""
    try:
        return connection.recv(5) == b""
    except ConnectionResetError:
        return True


def test_a_slow_link_is_slow_both_ways_and_fast_again_after(link: Link) -> None:
    with closing(connected(link)) as connection:
        said_again(connection)
        link.delay_s = 0.2
        assert said_again(connection) >= 0.4
        link.delay_s = 0.0
        assert min(said_again(connection) for _ in range(5)) < 0.4


def test_a_half_open_link_tells_nobody_and_keeps_what_was_sent(link: Link) -> None:
    with closing(connected(link)) as connection:
        said_again(connection)
        link.holds = True
        connection.sendall(b"later")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(5)
        link.holds = False
        connection.settimeout(5)
        assert connection.recv(5) == b"later"


def test_a_cut_link_ends_what_is_open_and_takes_nobody_until_it_is_healed(links: Links, link: Link) -> None:
    with closing(connected(link)) as connection:
        said_again(connection)
        link.refuses = True
        links.reset(link)
        assert ended(connection)
    with closing(connected(link)) as connection:
        assert ended(connection)
    link.refuses = False
    with closing(connected(link)) as connection:
        said_again(connection)
