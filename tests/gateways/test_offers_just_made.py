"""An answer to an offer may be quicker than the gateway that it comes to reads of the offer."""

import asyncio
from collections.abc import Iterable
from typing import Any

from gateways.drivers import about


class Hears:
    """What a gateway hears of an offer each time it is asked; the last for ever."""

    def __init__(self, said: Iterable[str | None]) -> None:
        self._said, self._last = iter(said), None
        self.asked = 0

    def delivery_of(self, _offer: str) -> str | None:
        self.asked += 1
        self._last = next(self._said, self._last)
        return self._last


class Reads(Hears):
    async def delivery_of(self, offer: str) -> str | None:  # type: ignore[override]
        return super().delivery_of(offer)


def asked(heard: Hears, read: Reads, limit_s: float = 5.0) -> Any:
    return asyncio.run(about("o", heard, read, limit_s))  # type: ignore[arg-type]


def test_an_offer_that_was_heard_is_not_looked_up() -> None:
    read = Reads([])
    assert asked(Hears(["d"]), read) == "d"
    assert read.asked == 0


def test_an_offer_of_before_is_looked_up_once() -> None:
    heard = Hears([None])
    assert asked(heard, Reads(["d"])) == "d"
    assert heard.asked == 1


def test_an_offer_that_is_heard_a_moment_later_is_waited_for() -> None:
    read = Reads([None])
    assert asked(Hears([None, None, None, "d"]), read) == "d"
    assert read.asked == 1


def test_one_that_only_the_table_hears_of_is_found_at_the_end() -> None:
    assert asked(Hears([None]), Reads([None, "d"]), 0.05) == "d"


def test_an_offer_that_nobody_knows_is_given_up() -> None:
    read = Reads([None])
    assert asked(Hears([None]), read, 0.05) is None
    assert read.asked == 2
