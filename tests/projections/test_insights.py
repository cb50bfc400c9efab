"""What the money says: sums by currency, margins, sentences that hold the figures they rest on."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from projections.insights import insights, percent
from projections.money import Group, permille, total
from projections.story_money import amount


def a_group(key: str = "a", currency: str = "EUR", **changes: Any) -> Group:
    """Ten deliveries, nine of them delivered; driver pay is most of the cost."""
    fields: dict[str, Any] = {
        "deliveries": 10, "delivered": 9, "driver_pay_minor": 4000, "compensation_minor": 100, "routing_minor": 5,
        "messages_minor": 45, "storage_minor": 0, "platform_minor": 350, "cost_minor": 4500, "commission_minor": 3600,
        "delivery_fee_minor": 1400, "revenue_minor": 5000, "net_minor": 500, "lost_cost_minor": 130,
        "lost_revenue_minor": 0, "estimated": 9, "estimated_net_minor": 640, "compared_net_minor": 600,
    }  # fmt: skip
    return Group(key=key, currency=currency, **fields | changes)


def test_the_sentences_hold_their_figures() -> None:
    losing = a_group("north", net_minor=-250, cost_minor=5250, driver_pay_minor=4750)
    told = insights([a_group("old-town"), losing], "zone")
    assert told == [
        "20 deliveries brought 100.00 EUR and cost 97.50 EUR: net 2.50 EUR, margin 2.5%.",
        "The largest cost is driver pay: 87.50 EUR, 89.7% of all cost, about 4.37 EUR a delivery.",
        "The lowest margin is that of zone north: -5.0% (-2.50 EUR net of 50.00 EUR from 10 deliveries); "
        "the highest that of zone old-town: 10.0% (5.00 EUR net from 10).",
        "1 of 2 lose money, -2.50 EUR together: north.",
        "2 of 20 (10.0%) were not delivered; they cost 2.60 EUR and brought 0.00 EUR.",
        "The 18 that a driver took were expected to leave 12.80 EUR and left 12.00 EUR: 0.80 EUR less.",
    ]


def test_of_a_few_deliveries_nothing_is_said_by_group_and_of_none_nothing_at_all() -> None:
    few = [a_group("a", deliveries=4), a_group("b", deliveries=4, net_minor=-1)]
    assert not any("lowest" in sentence or "lose" in sentence for sentence in insights(few, "zone"))
    assert insights([], "zone") == []


def test_each_currency_is_summed_by_itself() -> None:
    sums = total([a_group("a"), a_group("b", "CHF"), a_group("c")])
    assert [(one.currency, one.deliveries, one.net_minor) for one in sums] == [("EUR", 20, 1000), ("CHF", 10, 500)]
    assert sum("deliveries brought" in sentence for sentence in insights([a_group(), a_group("b", "CHF")], "zone")) == 2


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**12))
def test_a_share_of_a_thousand_is_rounded_to_the_nearest(part: int, whole: int) -> None:
    found = permille(part, whole)
    assert found is not None
    assert abs(found * whole - 1000 * part) * 2 <= whole


def test_amounts_and_shares_are_written_out() -> None:
    assert (amount(1234, "EUR"), amount(-5, "EUR"), amount(500, "JPY"), amount(1234, "KWD")) == (
        "12.34 EUR", "-0.05 EUR", "500 JPY", "1.234 KWD",
    )  # fmt: skip
    assert (percent(123), percent(-7), percent(None), permille(1, 0)) == ("12.3%", "-0.7%", "no revenue", None)
