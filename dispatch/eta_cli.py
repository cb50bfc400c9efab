"""`baton eta report`: how good the arrivals foretold were, judged from the log; and the process `baton run eta`."""

from collections.abc import Callable
from typing import Annotated, Protocol

import typer
from rich.console import Console
from rich.table import Table

from dispatch.config import Settings

eta_app = typer.Typer(no_args_is_help=True, help="Arrivals: how good they were foretold.")
console = Console()
_FEW = 50


class _Require(Protocol):
    def __call__(self, settings: Settings, topic: str = "") -> None: ...


_settings: Callable[[], Settings]
_require: _Require


def attach(app: typer.Typer, settings: Callable[[], Settings], require: _Require) -> None:
    """Adds the commands. `require` raises when Kafka does not answer or lacks a topic."""
    global _settings, _require
    _settings, _require = settings, require
    app.add_typer(eta_app, name="eta")


@eta_app.command("report")
def report(
    last: Annotated[int, typer.Option(min=0, help="Only so many of the latest finished deliveries; 0: all.")] = 0,
    good_s: Annotated[
        float, typer.Option(min=0, max=86_400, help="What counts as good, seconds; 0: as the policy in force says.")
    ] = 0,
) -> None:
    """Coverage of the band, bias and share of good ones, beside the plain formula's. Reads the whole log."""
    from dispatch.contract import topics
    from dispatch.inputs.rules import Rules, RulesFollower
    from dispatch.streams.eta_report import from_log

    settings = _settings()
    for topic in (topics.DELIVERY_EVENTS, topics.POLICIES, topics.FLAGS):
        _require(settings, topic.name)
    if not good_s:
        follower = RulesFollower(settings.kafka, settings.namespace, Rules())
        good_s = follower.start().policy.eta.good_s
        follower.stop()
    found = from_log(settings.kafka, settings.namespace)
    shown = found.last(last) if last else found
    if not shown.deliveries:
        console.print(f"No finished delivery has a band to judge; {found.without} were without.")
        return
    _show(shown, good_s)


def _show(found: "object", good_s: float) -> None:
    from dispatch.streams.eta_report import Report, score

    assert isinstance(found, Report)
    table = Table("", "pickup", "delivery", box=None)
    scores = [score(found.pickups, good_s), score(found.deliveries, good_s)]
    rows: tuple[tuple[str, str, str], ...] = (
        ("arrivals judged", "count", "d"),
        ("inside the band p10 to p90 (80% are meant to be)", "covered", ".1%"),
        ("earlier than the band", "early", ".1%"),
        ("later than the band", "late", ".1%"),
        (f"within {good_s:g} s of the middle", "good", ".1%"),
        (f"within {good_s:g} s of the plain formula", "plain_good", ".1%"),
        ("bias, seconds (above zero: came later)", "bias_s", ".1f"),
        ("bias of the plain formula, seconds", "plain_bias_s", ".1f"),
        ("median error, seconds", "error_s", ".1f"),
        ("median error of the plain formula, seconds", "plain_error_s", ".1f"),
        ("median width of the band, seconds", "width_s", ".1f"),
    )
    for told, name, form in rows:
        table.add_row(told, *(format(getattr(one, name), form) if one is not None else "-" for one in scores))
    console.print(table)
    console.print(f"{found.changes} arrivals were told anew under way; {found.without} deliveries had no band.")
    if len(found.deliveries) < _FEW:
        console.print(f"Fewer than {_FEW} deliveries: the shares say little.")
