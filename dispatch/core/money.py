"""Amounts of money: whole minor units of one currency. The rounding rule stands here and nowhere else.

The rule: exact amounts are added up in their order, each running total is rounded half up to a whole minor unit, and a
part is the difference of two neighbouring totals. So parts are whole, their sum is the total to the unit, the total was
rounded once, and a whole amount stays what it is. Exact amounts are whole numbers too, of a fraction of a minor unit
(`of` 1000: thousandths): no float is ever added, and nothing is slower than it must be.
"""

from collections.abc import Iterable
from typing import Protocol


class MixedCurrencies(Exception):
    """Amounts of two currencies were to be added."""


class Stated(Protocol):
    """A chapter of the policy that states amounts. Its currency empty: that of whatever order it is applied to."""

    @property
    def currency(self) -> str: ...


def rounded(amount: int, of: int) -> int:
    """Half up to a whole minor unit; `amount` is so many of an `of`-th."""
    return (2 * amount + of) // (2 * of)


def whole_parts(amounts: Iterable[int], of: int) -> tuple[int, ...]:
    """Each amount in whole minor units, so that they add up to the rounded sum; amounts are in `of`-ths."""
    parts = []
    exact = before = 0
    for amount in amounts:
        exact += amount
        total = rounded(exact, of)
        parts.append(total - before)
        before = total
    return tuple(parts)


def share(amount_minor: int, percent: int) -> int:
    """So many percent of an amount, rounded."""
    return rounded(amount_minor * percent, 100)


def one_currency(chapters: Iterable[Stated], currency: str = "") -> str:
    """The one currency of chapters and order; empty: none is stated. Raises MixedCurrencies naming those seen."""
    seen = {chapter.currency for chapter in chapters} | {currency}
    named = sorted(seen - {""})
    if len(named) > 1:
        raise MixedCurrencies(f"amounts are in {' and '.join(named)}; one currency is wanted")
    return named[0] if named else ""
