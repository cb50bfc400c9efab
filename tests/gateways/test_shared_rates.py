"""Requests counted in Valkey for all gateways: together, as one by one, and by oneself when it is away."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import AsyncMock
from uuid import uuid4

import pytest
import redis.asyncio as redis

from deploy.local import Addresses
from deploy.local.ports import free_port
from dispatch.config import Settings
from gateways.shell import rates as rates_module
from gateways.shell.rates import LocalRates, Rates, SharedRates, Verdict

PER_S, BURST = 0.01, 5
"""None comes back while a test runs."""


def counted(address: str, ask: Callable[[SharedRates], Awaitable[Any]]) -> tuple[Any, int]:
    """What was told, and how many questions it took."""
    questions = 0

    async def asked() -> Any:
        async with redis.Redis.from_url(address, socket_timeout=10) as client:
            shared = SharedRates(client)
            script = shared._script

            async def watched(**given: Any) -> Any:
                nonlocal questions
                questions += 1
                return await script(**given)

            shared._script = watched  # type: ignore[assignment]
            return await ask(shared)

    return asyncio.run(asked()), questions


@pytest.mark.servers
def test_those_of_one_moment_are_counted_as_one_by_one(servers: Addresses) -> None:
    ana, ben = f"{uuid4()}:ana", f"{uuid4()}:ben"

    async def ask(shared: SharedRates) -> list[Verdict | None]:
        return await asyncio.gather(*(shared.take(name, PER_S, BURST) for name in (*[ana] * 7, ben, ana)))

    (*of_ana, of_ben, last), questions = counted(servers.valkey, ask)
    local = LocalRates(lambda: 100.0)
    expected = [local.take(ana, PER_S, BURST) for _ in range(8)]
    assert [(one.taken, one.left) for one in (*of_ana, last)] == [(one.taken, one.left) for one in expected]
    for one, by_hand in zip((*of_ana, last), expected, strict=True):
        assert one.wait_s == pytest.approx(by_hand.wait_s, abs=5)
        assert one.full_s == pytest.approx(by_hand.full_s, abs=5)
    assert of_ben.taken
    assert of_ben.left == BURST - 1
    assert questions == 1


@pytest.mark.servers
def test_what_comes_while_a_question_is_under_way_waits_for_the_next(servers: Addresses) -> None:
    name = f"{uuid4()}:ana"

    async def ask(shared: SharedRates) -> list[bool]:
        first = asyncio.create_task(shared.take(name, PER_S, 1_000))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # the first question has been asked
        more = [asyncio.create_task(shared.take(name, PER_S, 1_000)) for _ in range(500)]
        return [verdict is not None and verdict.taken for verdict in await asyncio.gather(first, *more)]

    taken, questions = counted(servers.valkey, ask)
    assert all(taken)
    assert questions == 4  # one, and five hundred at two hundred each


@pytest.mark.servers
def test_an_asker_who_is_gone_holds_up_nobody(servers: Addresses) -> None:
    name = f"{uuid4()}:ana"

    async def ask(shared: SharedRates) -> Verdict | None:
        gone = asyncio.create_task(shared.take(name, PER_S, BURST))
        other = asyncio.create_task(shared.take(name, PER_S, BURST))
        await asyncio.sleep(0)
        gone.cancel()
        return await other

    verdict, _ = counted(servers.valkey, ask)
    assert verdict is not None
    assert verdict.left == BURST - 2


def test_without_an_answer_each_is_counted_here_and_valkey_is_left_alone_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rates_module, "_AWAY_S", 600.0)  # however long the test takes
    nobody = f"redis://127.0.0.1:{free_port()}/0"

    async def ask(shared: SharedRates) -> list[Verdict | None]:
        at_once = await asyncio.gather(*(shared.take("ana", PER_S, BURST) for _ in range(300)))
        return [*at_once, await shared.take("ana", PER_S, BURST)]

    told, questions = counted(nobody, ask)
    assert told == [None] * 301
    assert questions == 1

    async def limited() -> list[bool]:
        async with redis.Redis.from_url(nobody) as client:
            rates = Rates(client, Settings(rate_write_per_s=PER_S, rate_service_factor=1))
            return [(await rates.take("ana", "write", "driver")).taken for _ in range(22)]

    assert asyncio.run(limited()) == [True] * 20 + [False] * 2


def test_a_fault_of_the_question_is_told_to_those_who_asked_and_to_nobody_after_them() -> None:
    async def ask() -> tuple[list[Any], Verdict | None]:
        async with redis.Redis() as client:
            shared = SharedRates(client)
            shared._script = AsyncMock(side_effect=[KeyError("ours"), [[1, 0, 4, 0]]])
            at_once = await asyncio.gather(
                *(shared.take(name, PER_S, BURST) for name in ("ana", "ben")), return_exceptions=True
            )
            return at_once, await shared.take("ana", PER_S, BURST)

    at_once, after = asyncio.run(ask())
    assert [type(one) for one in at_once] == [KeyError, KeyError]
    assert after == Verdict(taken=True, wait_s=0.0, left=4, full_s=0.0)
