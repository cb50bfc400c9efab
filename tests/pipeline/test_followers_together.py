"""Those that only follow, in one process: one health page, and none goes silently."""

import json
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from deploy.local import Addresses
from deploy.local.ports import free_port
from dispatch import followers, setup
from dispatch.config import Settings
from dispatch.followers import Together
from projections.migrate import up as migrate


def settings_of(servers: Addresses, namespace: str, **more: Any) -> Settings:
    return Settings(
        kafka=servers.kafka, postgres=servers.postgres, valkey=servers.valkey, namespace=namespace,
        health_port=free_port(), **more,
    )  # fmt: skip


def page(port: int) -> dict[str, Any]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            return dict(json.loads(answer.read()))
    except urllib.error.HTTPError as error:
        return dict(json.loads(error.read()))


def until_ready(port: int, limit_s: float = 60) -> dict[str, Any]:
    end = time.monotonic() + limit_s
    said: dict[str, Any] = {}
    while said.get("status") != "up":
        assert time.monotonic() < end, said
        time.sleep(0.1)
        try:
            said = page(port)
        except OSError:
            continue
    return said


def test_all_work_in_one_process_and_one_page_names_their_parts(
    servers: Addresses, namespace: str, database: str, tmp_path: Path
) -> None:
    settings = settings_of(replace(servers, postgres=database), namespace, home=tmp_path)
    setup.create_topics(settings)
    migrate(database)
    setup.start_rules(settings)
    stop, ended = threading.Event(), []
    thread = threading.Thread(target=lambda: ended.append(followers.run(settings, stop)))
    thread.start()
    try:
        said = until_ready(settings.health_port)
    finally:
        stop.set()
        thread.join(30)
    assert set(said["parts"]) == {
        "eta", "scores", "notifier intake", "notifier sender", "webhooks intake", "webhooks changes",
        "webhooks sender",
    }  # fmt: skip
    assert ended == [None], "it ends when it is told, and in peace"


def test_one_that_raises_ends_all_and_is_told(servers: Addresses, namespace: str) -> None:
    settings, others_ended = settings_of(servers, namespace), threading.Event()

    def well(_settings: Settings, stop: threading.Event, health: Any) -> None:
        served = health(0, lambda: {"well": "up"})
        stop.wait(30)
        served.stop()
        others_ended.set()

    def fails(_settings: Settings, _stop: threading.Event, health: Any) -> None:
        health(0, lambda: {"fails": "up"})
        raise RuntimeError("the disk is full")

    with capture_logs() as logged, pytest.raises(RuntimeError, match="the disk is full"):
        followers.run(settings, threading.Event(), {"well": well, "fails": fails})
    assert others_ended.is_set()
    assert [(line["process"], line["reason"]) for line in logged] == [("fails", "RuntimeError: the disk is full")]


def test_one_that_returns_ends_all(servers: Addresses, namespace: str) -> None:
    settings, stop = settings_of(servers, namespace), threading.Event()

    def waits(_settings: Settings, stop: threading.Event, health: Any) -> None:  # noqa: ARG001
        stop.wait(30)

    followers.run(settings, stop, {"waits": waits, "returns": lambda *_, health: None})  # noqa: ARG005
    assert stop.is_set()


def test_the_page_is_not_ready_before_each_told_its_parts() -> None:
    together = Together({"eta": None, "notifier": None})
    assert together.parts() == {"eta": "starting", "notifier": "starting"}
    together.served("eta")(0, lambda: {"eta": "up"})
    together.served("notifier")(0, lambda: {"intake": "up", "sender": "postgres: away"})
    assert together.parts() == {"eta": "up", "notifier intake": "up", "notifier sender": "postgres: away"}


def test_each_has_its_own_role_at_our_own_postgres_and_an_address_that_was_given_stays(
    servers: Addresses, namespace: str
) -> None:
    seen: dict[str, str] = {}

    def asked(address: str) -> dict[str, str]:
        def note(name: str) -> Any:
            return lambda settings, _stop, health: seen.__setitem__(name, settings.postgres)  # noqa: ARG005

        settings = settings_of(replace(servers, postgres=address), namespace)
        followers.run(settings, threading.Event(), {name: note(name) for name in ("notifier", "webhooks")})
        return dict(seen)

    ours = "postgresql://{}@127.0.0.1:1/baton"
    assert asked(ours.format("baton_notifier")) == {
        "notifier": ours.format("baton_notifier"), "webhooks": ours.format("baton_webhooks"),
    }  # fmt: skip
    assert set(asked(ours.format("somebody")).values()) == {ours.format("somebody")}
