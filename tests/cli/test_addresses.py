"""Addresses as the processes take them."""

import socket

import psycopg
import pytest

from deploy.local import Addresses
from dispatch.config import noticing
from dispatch.replay_cli import settings_now

ADDED = "keepalives_idle=10&keepalives_interval=5&keepalives_count=3&tcp_user_timeout=30000"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("", ""),
        ("postgresql://u@h:1/d", f"postgresql://u@h:1/d?{ADDED}"),
        ("postgresql://u@h:1/d?sslmode=require", f"postgresql://u@h:1/d?sslmode=require&{ADDED}"),
        ("host=h dbname=d", f"host=h dbname=d {ADDED.replace('&', ' ')}"),
        (f"postgresql://h/d?{ADDED.replace('=10', '=99')}", f"postgresql://h/d?{ADDED.replace('=10', '=99')}"),
    ],
)
def test_what_an_address_says_itself_stays(given: str, taken: str) -> None:
    assert noticing(given) == noticing(taken) == taken


def test_every_process_takes_them_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, address in (("KAFKA", "k:1"), ("POSTGRES", "postgresql://u@h:1/d"), ("VALKEY", "redis://v:1")):
        monkeypatch.setenv(f"BATON_{name}", address)
    assert settings_now().postgres == f"postgresql://u@h:1/d?{ADDED}"


@pytest.mark.servers
def test_a_postgres_that_is_gone_without_a_word_is_noticed_within_half_a_minute(servers: Addresses) -> None:
    """That the kernel does it then is Linux' promise; that it is told to is ours."""
    with psycopg.connect(noticing(servers.postgres)) as connection:
        ours = socket.socket(fileno=connection.fileno())
        try:
            assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            names = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
            assert [ours.getsockopt(socket.IPPROTO_TCP, name) for name in names] == [10, 5, 3, 30_000]
        finally:
            ours.detach()
