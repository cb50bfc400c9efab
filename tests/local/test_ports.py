"""Free ports: none is given twice, neither in a process nor to another one, and a server can listen on it."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.errors import StartFailed
from deploy.local.kafka import Kafka
from deploy.local.ports import free_port
from deploy.local.servers import Valkey

MANY = 600
"""Of 12,000 ports: chosen without a memory, some fifteen would come twice."""
CHOOSER = f"""
from deploy.local.ports import free_port
print(*[free_port() for _ in range({MANY})], flush=True)
input()
"""


def test_no_port_is_given_twice() -> None:
    ports = [free_port() for _ in range(MANY)]
    assert len(set(ports)) == MANY


def test_where_a_bound_port_would_keep_its_server_out_it_is_let_go_and_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    ports = [free_port() for _ in range(MANY)]
    assert len(set(ports)) == MANY
    with socket.socket() as server:
        server.bind(("127.0.0.1", ports[0]))


def test_two_processes_that_choose_before_they_listen_choose_different_ports() -> None:
    choosers = [
        subprocess.Popen([sys.executable, "-c", CHOOSER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        chosen = [chooser.stdout.readline().split() for chooser in choosers if chooser.stdout]
    finally:
        for chooser in choosers:
            chooser.communicate("\n", timeout=20)
    assert [len(ports) for ports in chosen] == [MANY, MANY]
    assert not set(chosen[0]) & set(chosen[1])


def test_a_server_listens_on_a_port_that_is_kept_for_it_and_again_after_its_death(tmp_path: Path) -> None:
    valkey = Valkey(tmp_path, free_port())
    for _ in range(2):
        valkey.start()
        assert valkey.answers()
        valkey.kill()


def test_a_broker_whose_folder_cannot_be_formatted_says_why(tmp_path: Path) -> None:
    port = free_port()
    with pytest.raises(StartFailed, match="two listeners on the same port"):
        Kafka(tmp_path, port, controller=port).start()
