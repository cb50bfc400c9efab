"""Quotes carry themselves: opened by whoever holds the key, and nothing else is a quote."""

import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.config import Settings, SettingsError, load
from dispatch.core.quotes import Quote
from dispatch.inputs.prices import OrderPrices
from dispatch.inputs.quotes import QuoteSeal, seal_of

KEY = b"a key of thirty-two bytes, no less"
QUOTE = Quote(
    issued_ms=1_790_000_000_000, expires_ms=1_790_000_300_000, zone="old-town", pickup_lat=48.0, pickup_lng=7.85,
    dropoff_lat=48.01, dropoff_lng=7.86, currency="EUR", delivery_fee_minor=299, earning_minor=431,
    multiplier_percent=115, policy_version=3,
)  # fmt: skip


def test_a_quote_is_opened_as_it_was_sealed_and_fits_into_an_order() -> None:
    quote_id = QuoteSeal(KEY).sealed(QUOTE)
    assert QuoteSeal(KEY).opened(quote_id) == QUOTE
    assert len(quote_id) <= 400
    assert set(quote_id) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_quote_that_was_changed_anywhere_is_none(place: int, change: int) -> None:
    seal = QuoteSeal(KEY)
    quote_id = seal.sealed(QUOTE)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    at = place % len(quote_id)
    other = letters[(letters.index(quote_id[at]) + 1 + change % 63) % 64]
    if other == quote_id[at]:
        return
    assert seal.opened(quote_id[:at] + other + quote_id[at + 1 :]) in (None, QUOTE)  # QUOTE: padding bits, no content
    assert seal.opened(quote_id[:-4]) is None


@given(st.text(max_size=400))
def test_whatever_is_named_as_a_quote_is_none_without_a_fault(text: str) -> None:
    assert QuoteSeal(KEY).opened(text) is None


def test_a_quote_of_another_key_is_none_and_a_short_key_is_refused() -> None:
    assert QuoteSeal(b"another key of thirty-two bytes!!").opened(QuoteSeal(KEY).sealed(QUOTE)) is None
    with pytest.raises(ValueError, match="at least 16"):
        QuoteSeal(b"short")


def test_every_process_of_a_home_has_the_same_key_and_a_setting_outranks_it(tmp_path: Path) -> None:
    here = Settings(home=tmp_path / "new")
    quote_id = seal_of(here).sealed(QUOTE)
    assert seal_of(here).opened(quote_id) == QUOTE
    file = tmp_path / "new" / "quote.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["quote.key"]
    set_here = Settings(home=tmp_path / "new", quote_key="a secret of this cluster")
    assert seal_of(set_here).opened(quote_id) is None
    assert seal_of(set_here).opened(seal_of(Settings(quote_key="a secret of this cluster")).sealed(QUOTE)) == QUOTE


def test_a_key_that_is_too_short_is_told_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BATON_QUOTE_KEY", "hunter2")
    with pytest.raises(SettingsError) as told:
        load()
    assert "BATON_QUOTE_KEY" in str(told.value)
    assert "hunter2" not in str(told.value)


def test_only_the_decision_that_makes_an_order_known_sees_prices_and_quotes() -> None:
    class _Has:
        def __init__(self, order: Any) -> None:
            self.order = order

    class _Order:
        quote_id = QuoteSeal(KEY).sealed(QUOTE)

    prices = OrderPrices(seal=QuoteSeal(KEY))
    assert prices.facts(_Has(None), _Has(_Order()), "old-town") == (None, QUOTE)
    assert prices.facts(_Has(_Order()), _Has(_Order()), "old-town") == (None, None)
    assert prices.facts(_Has(None), _Has(None), "old-town") == (None, None)
    assert OrderPrices().facts(_Has(None), _Has(_Order()), "old-town") == (None, None)
