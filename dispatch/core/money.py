"""Amounts of money: whole minor units of one currency. The rounding rule stands here and nowhere else.

The rule: exact amounts (whole numbers and fractions, never floats) are added up in their order, each running total is
rounded half up to a whole minor unit, and a part is the difference of two neighbouring totals. So parts are whole,
their sum is the total to the unit, the total was rounded once, and a whole amount stays what it is.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import Protocol

Exact = int | Fraction


class MixedCurrencies(Exception):
    """Amounts of two currencies were to be added."""


class Stated(Protocol):
    """A chapter of the policy that states amounts. Its currency empty: that of whatever order it is applied to."""

    @property
    def currency(self) -> str: ...


def rounded(amount: Exact) -> int:
    """Half up to a whole minor unit."""
    return (amount + Fraction(1, 2)).__floor__()


def whole_parts(amounts: Iterable[Exact]) -> tuple[int, ...]:
    """Each amount in whole minor units, so that they add up to the rounded sum."""
    parts = []
    exact: Exact = 0
    before = 0
    for amount in amounts:
        exact += amount
        total = rounded(exact)
        parts.append(total - before)
        before = total
    return tuple(parts)


def share(amount_minor: int, percent: int) -> Fraction:
    """So many percent of an amount, exact."""
    return Fraction(amount_minor * percent, 100)


def one_currency(chapters: Iterable[Stated], currency: str = "") -> str:
    """The one currency of chapters and order; empty: none is stated. Raises MixedCurrencies naming those seen."""
    seen = {chapter.currency for chapter in chapters} | {currency}
    named = sorted(seen - {""})
    if len(named) > 1:
        raise MixedCurrencies(f"amounts are in {' and '.join(named)}; one currency is wanted")
    return named[0] if named else ""
