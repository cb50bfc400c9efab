"""The money of a delivery in words: how it was priced, what its driver earns, what it cost and brought."""

from dispatch.contract.records import delivery_events as events
from dispatch.contract.records.shared import OfferTerms

Economical = events.DeliveryEconomicsEstimated | events.DeliveryEconomicsSettled
_QUOTES = {
    "held": "as quoted",
    "expired": "priced anew, for its quote had expired",
    "unknown": "priced anew, for its quote is none that was given here",
    "changed": "priced anew, for the order is not what its quote was for",
}
_MINOR_DIGITS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "KWD": 3, "BHD": 3, "TND": 3, "JOD": 3, "OMR": 3}
"""ISO 4217: minor units of those that do not have two digits."""


def amount(minor: int, currency: str) -> str:
    """1234 EUR -> `12.34 EUR`; whole arithmetic, with the currency's own number of digits."""
    digits = _MINOR_DIGITS.get(currency, 2)
    sign, whole = ("-" if minor < 0 else ""), abs(minor)
    if not digits:
        return f"{sign}{whole} {currency}"
    return f"{sign}{whole // 10**digits}.{whole % 10**digits:0{digits}} {currency}"


def price(event: events.DeliveryCreated) -> list[str]:
    """How the order was priced; nothing where nothing is worth telling."""
    why = _QUOTES.get(event.quote, "")
    if not why and event.multiplier_percent == 100:
        return []
    by = {"zone": "by the price of its zone", "off": "with dynamic prices off"}.get(event.priced_by, "")
    return [f"  Price x{event.multiplier_percent / 100:.2f}" + "".join(f", {part}" for part in (why, by) if part)]


def earning(terms: OfferTerms) -> str:
    """The earning with its parts, as the offer showed them."""
    total = f"earns {amount(terms.earning_minor, terms.currency)}"
    named = (
        ("base", terms.base_minor), ("distance", terms.distance_minor), ("time", terms.time_minor),
        (f"x{terms.multiplier_percent / 100:.2f}", terms.multiplier_minor), ("incentive", terms.incentive_minor),
    )  # fmt: skip
    parts = ", ".join(f"{name} {amount(minor, terms.currency).split()[0]}" for name, minor in named if minor)
    refused = f"; {terms.incentive_refused}" if terms.incentive_refused else ""
    return (f"{total} = {parts}" if parts else total) + refused


def economics(event: Economical) -> list[str]:
    """Cost, revenue and what is left, each with its parts."""
    money = event.economics
    costs = (
        ("driver", money.driver_pay_minor), ("former drivers", money.compensation_minor),
        (f"{event.routing_calls} routing calls", money.routing_minor), (f"{event.messages} messages",
        money.messages_minor), (f"storage of {event.events} events", money.storage_minor),
        ("platform", money.platform_minor),
    )  # fmt: skip
    revenues = (("commission", money.commission_minor), ("delivery fee", money.delivery_fee_minor))
    if isinstance(event, events.DeliveryEconomicsSettled):
        head = f"Settled as {event.outcome}"
        if event.driver_id and event.outcome != "delivered":
            head += f" ({event.driver_id} is paid {event.paid_percent}% of the earning)"
    else:
        head = "Expected"
    return [
        f"{head}: net {amount(money.net_minor, money.currency)}",
        f"  cost {_sum(money.cost_minor, costs, money.currency)}",
        f"  revenue {_sum(money.revenue_minor, revenues, money.currency)}",
    ]


def _sum(total_minor: int, parts: tuple[tuple[str, int], ...], currency: str) -> str:
    told = ", ".join(f"{name} {amount(minor, currency).split()[0]}" for name, minor in parts if minor)
    return f"{amount(total_minor, currency)}" + (f" = {told}" if told else "")
