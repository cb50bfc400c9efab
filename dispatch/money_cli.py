"""`baton quote`, `baton prices`, `baton money`: what a delivery would cost, what zones cost now, what it all came to.

Bad places and dates are told by typer's own way of naming the option.
"""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from dispatch.config import Settings
from dispatch.log.errors import Misconfigured

money_app = typer.Typer(no_args_is_help=True, help="What deliveries cost and brought.")
console = Console()
_settings: Callable[..., Settings]
_require_kafka: Callable[[Settings, str], None]


def attach(app: typer.Typer, settings: Callable[..., Settings], require: Callable[[Settings, str], None]) -> None:
    """Adds the commands. `settings` gives them, `require` says in a sentence when Kafka or a topic is not there."""
    global _settings, _require_kafka
    _settings, _require_kafka = settings, require
    app.add_typer(money_app, name="money")
    app.command("quote")(quote)
    app.command("prices")(prices)


def _place(text: str) -> tuple[float, float]:
    try:
        lat, lng = (float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no place; LAT,LNG is wanted, as 47.996,7.849") from error
    if not (-90 <= lat <= 90 and -180 <= lng <= 180):
        raise typer.BadParameter(f"{text!r} is no place on Earth; latitude -90..90, longitude -180..180")
    return lat, lng


def _currency(text: str) -> str:
    if text and not (len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()):
        raise typer.BadParameter(f"{text!r} is no currency; three capitals are wanted, as EUR")
    return text


def _moment(text: str) -> datetime | None:
    if not text:
        return None
    try:
        seen = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time; 2026-11-21 or 2026-11-21T18:00 is wanted, in UTC") from error
    return seen if seen.tzinfo else seen.replace(tzinfo=UTC)


def quote(
    pickup: Annotated[str, typer.Option(metavar="LAT,LNG", help="The store.")],
    dropoff: Annotated[str, typer.Option(metavar="LAT,LNG", help="The customer's door; kept to 0.001 degrees.")],
    currency: Annotated[str, typer.Option(help="As EUR; by default the policy's.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Quote the delivery fee and the driver's earning between two places; an order that names it keeps the price."""
    from dispatch.core.money import MixedCurrencies
    from dispatch.core.quoting import Asked, NoCurrency, quoted
    from dispatch.core.serviceability import LARGEST_WAY_M
    from dispatch.core.travel import distance_m
    from dispatch.inputs import quotes

    places = _place(pickup), _place(dropoff)
    wanted = _currency(currency)
    far_m = distance_m(*places[0], *places[1])
    if far_m > LARGEST_WAY_M:
        raise typer.BadParameter(f"the places are {far_m / 1000:.0f} km apart; at most {LARGEST_WAY_M // 1000} are")
    settings = _settings()
    known = _Known(settings)
    zone, rules = known.zones.table.at(*places[0]), known.rules
    asked = Asked(pickup=places[0], dropoff=places[1], zone=zone, currency=wanted)
    try:
        made = quoted(asked, known.prices.of(zone), rules.policy_for(zone), rules.flags, time.time_ns() // 10**6)
    except NoCurrency as error:
        raise typer.BadParameter(f"{error}; say one with --currency") from error
    except MixedCurrencies as error:
        raise typer.BadParameter(str(error)) from error
    quote_id = quotes.seal_of(settings).sealed(made)
    told = quotes.told(made, quote_id)
    if as_json:
        typer.echo(json.dumps(told))
        return
    from projections.story_money import amount

    console.print(f"Delivery fee   {amount(made.delivery_fee_minor, made.currency)}", highlight=False)
    console.print(f"Driver earns   {amount(made.earning_minor, made.currency)} from the store on", highlight=False)
    console.print(f"Multiplier     {made.multiplier_percent / 100:.2f} (zone {made.zone})", highlight=False)
    console.print(f"Holds until    {told['expires_at']}", highlight=False)
    typer.echo(f"Quote          {quote_id}")


def prices() -> None:
    """The dynamic price of each zone, and the pressure that it follows."""
    seen = sorted(_Known(_settings()).prices.prices.values(), key=lambda price: price.zone)
    if not seen:
        console.print("No price was published yet: every multiplier is 1.00.")
        return
    table = Table("zone", "multiplier", "pressure", "smoothed", "as of (UTC)", box=None)
    for price in seen:
        moment = datetime.fromtimestamp(price.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        table.add_row(
            price.zone, f"{price.multiplier_percent / 100:.2f}", f"{price.pressure:.2f}",
            f"{price.smoothed_pressure:.2f}", moment,
        )  # fmt: skip
    console.print(table)


@money_app.command("report")
def report(
    by: Annotated[str, typer.Option(help="zone, hour or seller.")] = "zone",
    since: Annotated[str, typer.Option(help="Settled from then on, UTC.")] = "",
    until: Annotated[str, typer.Option(help="Settled before then, UTC.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Groups and sentences as JSON.")] = False,
) -> None:
    """Cost, revenue, net and margin of settled deliveries, and what stands out, with the figures it rests on."""
    import psycopg

    from projections.insights import insights, percent
    from projections.money import settled
    from projections.story_money import amount

    if by not in ("zone", "hour", "seller"):
        raise typer.BadParameter(f"{by!r} is not to be grouped by; zone, hour or seller is")
    start, end = _moment(since), _moment(until)
    try:
        groups = settled(_settings().postgres, by, start, end)  # type: ignore[arg-type]  # checked above
    except psycopg.OperationalError as error:
        raise Misconfigured(f"Postgres does not answer: {error}") from error
    except psycopg.Error as error:
        raise Misconfigured(f"Postgres cannot be asked (was `baton setup` run?): {error}") from error
    sentences = insights(groups, by)  # type: ignore[arg-type]
    if as_json:
        typer.echo(json.dumps({"groups": [msgspec.structs.asdict(group) for group in groups], "insights": sentences}))
        return
    if not groups:
        console.print("No delivery was settled in that time.")
        return
    table = Table(by, "deliveries", "delivered", "driver pay", "other cost", "revenue", "net", "margin", box=None)
    for group in groups:
        money = [
            group.driver_pay_minor, group.cost_minor - group.driver_pay_minor, group.revenue_minor, group.net_minor,
        ]  # fmt: skip
        amounts = (amount(minor, group.currency) for minor in money)
        table.add_row(group.key, str(group.deliveries), str(group.delivered), *amounts, percent(group.margin_permille))
    console.print(table, highlight=False)
    for sentence in sentences:
        console.print(f"- {sentence}", highlight=False, markup=False)


class _Known:
    """What is in force now, read once."""

    def __init__(self, settings: Settings) -> None:
        from dispatch.contract import topics
        from dispatch.inputs.prices import PriceBoard, PriceFollower
        from dispatch.inputs.rules import Rules, RulesFollower
        from dispatch.inputs.zones import ZoneBoard, ZoneFollower

        for topic in (topics.POLICIES, topics.FLAGS, topics.ZONES, topics.INCENTIVES, topics.ZONE_HEALTH):
            _require_kafka(settings, topic.name)
        _require_kafka(settings, topics.PRICES.name)
        self.rules, self.zones, self.prices = Rules(), ZoneBoard(), PriceBoard()
        followers = (
            RulesFollower(settings.kafka, settings.namespace, self.rules),
            ZoneFollower(settings.kafka, settings.namespace, self.zones),
            PriceFollower(settings.kafka, settings.namespace, self.prices),
        )
        for follower in followers:
            follower.start()
        for follower in followers:
            follower.stop()
