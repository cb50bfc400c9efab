"""`baton token` and `baton keys` at the command line, and where a gateway may listen."""

import asyncio
import os
import stat
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from dispatch.cli import app
from dispatch.config import Settings
from dispatch.contract.errors import ContractError
from dispatch.inputs import api_keys
from dispatch.log.errors import Misconfigured
from gateways.access import local_key
from gateways.access.keyring import keys_of_file
from gateways.access.tokens import TokenRefused, Tokens, Wanted
from gateways.service import judge_address

TOKEN = ("token", "--role", "driver", "--sub", "ana")
KEYS = ("keys", "create", "--role", "order_service", "--name", "shop")
NO_SERVERS = {"BATON_KAFKA": "127.0.0.1:1", "BATON_POSTGRES": "postgresql://x", "BATON_VALKEY": "redis://x"}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith("BATON_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BATON_HOME", str(tmp_path))
    local_key.make(tmp_path)
    return tmp_path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_a_token_is_one_that_the_local_gateway_takes(home: Path) -> None:
    done = run(*TOKEN, "--ttl", "15m", "--device", "phone-1")
    assert done.exit_code == 0, done.output
    tokens = Tokens(keys_of_file(home / local_key.PUBLIC), Wanted("baton-local", "baton", 86_400))
    who = asyncio.run(tokens.verify(done.output.strip()))
    assert (who.role, who.subject, who.device) == ("driver", "ana", "phone-1")
    shop = run("token", "--role", "order_service", "--sub", "shop", "--seller", "s1", "--seller", "s2")
    assert asyncio.run(tokens.verify(shop.output.strip())).sellers == {"s1", "s2"}
    elsewhere = Tokens(keys_of_file(home / local_key.PUBLIC), Wanted("another", "baton", 86_400))
    with pytest.raises(TokenRefused):
        asyncio.run(elsewhere.verify(done.output.strip()))


def test_the_pair_is_made_once_and_its_private_half_is_the_owners(home: Path) -> None:
    before = (home / local_key.PRIVATE).read_bytes()
    assert stat.S_IMODE((home / local_key.PRIVATE).stat().st_mode) == 0o600
    local_key.make(home)
    assert (home / local_key.PRIVATE).read_bytes() == before
    assert b"PRIVATE" not in (home / local_key.PUBLIC).read_bytes()
    assert sorted(path.name for path in home.iterdir()) == [local_key.PRIVATE, local_key.PUBLIC], "no draft is left"
    (home / local_key.PRIVATE).write_text("broken")
    with pytest.raises(Misconfigured, match="is no private key"):
        local_key.of(home, "a", "b")


def test_a_token_for_the_robots_is_renewed_before_it_ends(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, moment = local_key.of(home, "a", "b"), [100.0]
    assert key is not None
    monkeypatch.setattr("gateways.access.local_key.time.monotonic", lambda: moment[0])
    first = key.current("driver", "ana", 60)
    moment[0] += 29
    assert key.current("driver", "ana", 60) == first
    assert key.current("driver", "bob", 60) != first
    moment[0] += 2
    assert key.current("driver", "ana", 60) != first


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("token", "--role", "root", "--sub", "x"), "'root' is no role"),
        (("token", "--role", "ops", "--sub", "a b"), "'a b' is no id"),
        ((*TOKEN, "--ttl", "long"), "'long' is no span"),
        ((*TOKEN, "--ttl", "0s"), "is no span"),
        ((*TOKEN, "--ttl", "30d"), "30d is longer than 86400 s"),
        ((*TOKEN, "--device", "a/b"), "'a/b' is no id"),
        ((*KEYS, "--seller", "s 1"), "'s 1' is no id"),
        (KEYS, "an order_service speaks for sellers"),
        (("keys", "create", "--role", "ops", "--name", "n", "--seller", "s1"), "others do not"),
        (("keys", "create", "--role", "driver", "--name", "n"), "'driver' is no role of a key"),
        (("keys", "create", "--role", "ops", "--name", "a b"), "'a b' is no id"),
    ],
)
def test_a_mistake_of_who_is_told(home: Path, arguments: tuple[str, ...], told: str) -> None:
    assert home.is_dir()
    done = run(*arguments)
    assert done.exit_code == 2
    assert told in " ".join(done.output.replace("│", " ").split())


def test_without_a_local_key_or_kafka_it_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATON_HOME", str(home / "elsewhere"))
    assert "`baton up` makes one" in " ".join(run(*TOKEN).output.replace("│", " ").split())
    monkeypatch.setattr("dispatch.cli._KAFKA_ANSWERS_S", 0.3)
    for name, value in NO_SERVERS.items():
        monkeypatch.setenv(name, value)
    assert "does not answer" in str(run("keys", "list").exception)


def test_a_key_is_judged_before_it_is_published() -> None:
    shown, record = api_keys.made("ops", "desk", [], days=1, actor_id="eva")
    assert record.expires_at_ms - record.at_ms == 86_400_000
    secret = shown.split("_", 2)[2]  # of letters, digits, - and _
    assert len(secret) > 20
    assert secret not in repr(record)
    known = api_keys.KnownKeys()
    known.by_id[record.key_id] = record
    assert known.find(shown, record.at_ms) is record
    assert known.find(shown, record.expires_at_ms) is None
    for wrong in ("a b", "", "x" * 129):
        with pytest.raises(ContractError):
            api_keys.made("ops", wrong, [], days=0, actor_id="eva")


def test_beyond_the_loopback_only_with_sign_in(tmp_path: Path) -> None:
    def at(host: str, **more: Any) -> None:
        judge_address(Settings(kafka="", postgres="", valkey="", gateway_host=host, **more))

    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        with capture_logs() as lines:
            at(host)
        assert [(line["event"], line["host"]) for line in lines] == [("gateway_open", host)]
    for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.nip.io", ""):
        with pytest.raises(Misconfigured, match="only the loopback"):
            at(host)
        with pytest.raises(Misconfigured, match="only the loopback"):
            at(host, sign_in_key_file="")
    with capture_logs() as lines:
        at("0.0.0.0", sign_in_key_file=tmp_path / "keys.pem")
        at("0.0.0.0", sign_in_jwks="https://issuer.test/keys")
    assert lines == []
