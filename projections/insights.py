"""What the money says, in sentences that name the figures they rest on. A sentence without figures is not made."""

from projections.money import COST_PARTS, Group, permille, total
from projections.money_asked import By
from projections.story_money import amount

FEW = 5
"""Of fewer deliveries nothing is said by group: chance says more than the group does."""
_PART_WORDS = {
    "driver_pay_minor": "driver pay", "compensation_minor": "pay of former drivers", "routing_minor": "routing calls",
    "messages_minor": "messages", "storage_minor": "storage", "platform_minor": "the platform's share",
}  # fmt: skip


def insights(groups: list[Group], by: By) -> list[str]:
    """Sentences for each currency: the whole, the largest cost, the worst and the best group, losses, estimates."""
    told: list[str] = []
    for whole in total(groups):
        mine = [group for group in groups if group.currency == whole.currency and group.deliveries >= FEW]
        told += [_whole(whole), _largest(whole), *_extremes(mine, by), *_not_delivered(whole), *_estimates(whole)]
    return told


def percent(value: int | None) -> str:
    """Of a thousand: 123 -> `12.3%`."""
    if value is None:
        return "no revenue"
    sign, whole = ("-" if value < 0 else ""), abs(value)
    return f"{sign}{whole // 10}.{whole % 10}%"


def _whole(whole: Group) -> str:
    return (
        f"{whole.deliveries} deliveries brought {amount(whole.revenue_minor, whole.currency)} and cost "
        f"{amount(whole.cost_minor, whole.currency)}: net {amount(whole.net_minor, whole.currency)}, "
        f"margin {percent(whole.margin_permille)}."
    )


def _largest(whole: Group) -> str:
    name = max(COST_PARTS, key=lambda part: int(getattr(whole, part)))
    minor = getattr(whole, name)
    share = percent(permille(minor, whole.cost_minor))
    each = amount(minor // whole.deliveries, whole.currency)
    return (
        f"The largest cost is {_PART_WORDS[name]}: {amount(minor, whole.currency)}, {share} of all cost, "
        f"about {each} a delivery."
    )


def _extremes(groups: list[Group], by: By) -> list[str]:
    ranked = sorted(
        (group for group in groups if group.margin_permille is not None),
        key=lambda group: (group.margin_permille or 0, group.key),
    )
    if len(ranked) < 2:
        return []
    worst, best = ranked[0], ranked[-1]
    told = [
        f"The lowest margin is that of {by} {worst.key}: {percent(worst.margin_permille)} "
        f"({amount(worst.net_minor, worst.currency)} net of {amount(worst.revenue_minor, worst.currency)} from "
        f"{worst.deliveries} deliveries); the highest that of {by} {best.key}: {percent(best.margin_permille)} "
        f"({amount(best.net_minor, best.currency)} net from {best.deliveries})."
    ]
    losing = [group for group in ranked if group.net_minor < 0]
    if losing:
        lost = sum(group.net_minor for group in losing)
        names = ", ".join(group.key for group in losing[:5])
        told.append(f"{len(losing)} of {len(ranked)} lose money, {amount(lost, worst.currency)} together: {names}.")
    return told


def _not_delivered(whole: Group) -> list[str]:
    count = whole.deliveries - whole.delivered
    if not count:
        return []
    share = percent(permille(count, whole.deliveries))
    return [
        f"{count} of {whole.deliveries} ({share}) were not delivered; they cost "
        f"{amount(whole.lost_cost_minor, whole.currency)} and brought "
        f"{amount(whole.lost_revenue_minor, whole.currency)}."
    ]


def _estimates(whole: Group) -> list[str]:
    if not whole.estimated:
        return []
    off = whole.compared_net_minor - whole.estimated_net_minor
    word = "as estimated" if not off else f"{amount(abs(off), whole.currency)} {'more' if off > 0 else 'less'}"
    return [
        f"The {whole.estimated} that a driver took were expected to leave "
        f"{amount(whole.estimated_net_minor, whole.currency)} and left "
        f"{amount(whole.compared_net_minor, whole.currency)}: {word}."
    ]
