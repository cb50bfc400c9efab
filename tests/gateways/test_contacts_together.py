"""Contacts of many deliveries at once: one question, each answered when it is known, none waits for ever."""

import asyncio
from collections.abc import Sequence

import pytest

from gateways import contacts
from gateways.contacts import Contact, Contacts
from gateways.problems import unreachable


class Table:
    """What the read model knows, by the number of the question."""

    def __init__(self, *known: set[str]) -> None:
        self.known, self.asked = known, list[list[str]]()

    async def __call__(self, ids: Sequence[str], _limit_s: float) -> dict[str, Contact]:
        self.asked.append(sorted(ids))
        await asyncio.sleep(0)
        now = self.known[min(len(self.asked), len(self.known)) - 1]
        return {name: {"name": name} for name in ids if name in now}


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts, "_AGAIN_S", 0.001)
    monkeypatch.setattr(contacts, "LIMIT_S", 20)


def of(table: object, *names: str) -> list[Contact | None]:
    async def all_of() -> list[Contact | None]:
        desk = Contacts(table)  # type: ignore[arg-type]
        return list(await asyncio.gather(*(desk.of(name) for name in names)))

    return asyncio.run(all_of())


def test_who_waits_together_is_asked_for_together_until_known() -> None:
    table = Table({"a"}, {"a", "b"}, {"a", "b", "c"})
    assert of(table, "a", "b", "c", "a") == [{"name": name} for name in "abca"]
    assert table.asked == [["a", "b", "c"], ["b", "c"], ["c"]]


def test_what_is_never_known_is_none_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contacts, "LIMIT_S", 0.2)
    assert of(Table({"a"}), "a", "x") == [{"name": "a"}, None]


def test_a_read_model_that_is_away_is_none_at_once_and_a_fault_is_theirs_who_wait() -> None:
    async def away(_ids: Sequence[str], _limit_s: float) -> dict[str, Contact]:
        raise unreachable("Postgres")

    async def broken(_ids: Sequence[str], _limit_s: float) -> dict[str, Contact]:
        raise ValueError("no such column")

    assert of(away, "a", "b") == [None, None]
    with pytest.raises(ValueError, match="no such column"):
        of(broken, "a", "b")


def test_who_stops_waiting_takes_nothing_from_the_others() -> None:
    async def two() -> Contact | None:
        desk = Contacts(Table(set(), {"a"}))
        given_up = asyncio.create_task(desk.of("a"))
        kept = asyncio.create_task(desk.of("a"))
        await asyncio.sleep(0)
        given_up.cancel()
        return await kept

    assert asyncio.run(two()) == {"name": "a"}
