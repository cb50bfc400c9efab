"""`baton train acceptance`, `baton driver` and `baton run scores`: what is learned of drivers, and what it says."""

import getpass
import threading
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from dispatch.config import Settings

train_app = typer.Typer(no_args_is_help=True, help="Learn a model from the log and put it in force.")
console = Console()
_LONGEST_ID = 128
_settings: Callable[..., Settings]
_require_kafka: Callable[[Settings, str], None]


def attach(
    app: typer.Typer, run_app: typer.Typer, settings: Callable[..., Settings], require: Callable[[Settings, str], None]
) -> None:
    """Adds the commands. `settings` gives them, `require` says in a sentence when Kafka or a topic is not there."""
    global _settings, _require_kafka
    _settings, _require_kafka = settings, require
    app.add_typer(train_app, name="train")
    app.command()(driver)
    run_app.command()(scores)


@train_app.callback()
def train() -> None:
    """Learn a model from the log and put it in force."""


@train_app.command()
def acceptance(
    force: Annotated[bool, typer.Option("--force", help="Publish it although it did not earn it.")] = False,
    dry: Annotated[bool, typer.Option("--dry-run", help="Only judge; publish nothing.")] = False,
    least: Annotated[int, typer.Option(min=20, max=10_000_000, help="Offers wanted at least.")] = 400,
) -> None:
    """Learn who accepts, judge it on offers not seen, publish it. Exit code 1: it did not earn it."""
    from dispatch.contract import topics
    from dispatch.training import acceptance as training
    from dispatch.training.offers import offers_of_log

    settings = _settings()
    for topic in (topics.DELIVERY_EVENTS, topics.MODELS):
        _require_kafka(settings, topic.name)
    with console.status("reading the log"):
        offers = offers_of_log(settings.kafka, settings.namespace)
    judged = training.learn(offers.seen, least)
    _show(judged)
    if judged.misgivings and not force:
        for misgiving in judged.misgivings:
            console.print(f"Not published: {misgiving}", style="red", markup=False)
        raise typer.Exit(1)
    if dry:
        console.print("Nothing was published, as asked.")
        return
    version = training.version_in_force(settings.kafka, settings.namespace) + 1
    record = training.record_of(judged, version, _actor(), forced=bool(judged.misgivings))
    training.publish(settings.kafka, settings.namespace, record)
    forced = f", forced: {'; '.join(judged.misgivings)}" if judged.misgivings else ""
    console.print(f"Version {version} is in force where the flag acceptance_ranking is on{forced}.", markup=False)


def _show(judged: Any) -> None:
    auc = "none: the held-out all went one way" if judged.auc is None else f"{judged.auc:.3f}"
    console.print(
        f"Learned from {judged.learned_from} offers, {100 * judged.base_rate:.1f}% accepted; "
        f"judged on the {judged.held_out} after them.\n"
        f"log-loss {judged.log_loss:.4f}, base rate's {judged.base_log_loss:.4f}: "
        f"{judged.compared}; AUC {auc}",
        highlight=False,
    )
    table = Table("offers", "chance said", "accepted", box=None, title="Calibration on the held-out", title_style="")
    for part in judged.bins:
        table.add_row(str(part.offers), f"{100 * part.said:.1f}%", f"{100 * part.came:.1f}%")
    console.print(table)
    model = judged.model
    table = Table("what", "odds x per unit", box=None, title="What moves the odds of acceptance", title_style="")
    for name, coefficient, scale in zip(model.features, model.coefficients, model.scales, strict=True):
        table.add_row(name.replace("_", " "), f"{2.718281828 ** (coefficient / scale):.3f}")
    console.print(table)


def driver(driver_id: Annotated[str, typer.Argument(help="A driver's id.")]) -> None:
    """Tell a driver's score in words: every part, what was seen, and how much it adds."""
    from dispatch.contract import codec, topics
    from dispatch.contract.records.system import DriverScored
    from dispatch.core.driver_score import told
    from dispatch.log.errors import Misconfigured
    from dispatch.log.reading import read_all

    if not driver_id.isprintable() or len(driver_id) > _LONGEST_ID:
        raise Misconfigured(
            f"{driver_id[:60]!r} is no driver's id, which has at most {_LONGEST_ID} printable characters"
        )
    settings = _settings()
    _require_kafka(settings, topics.DRIVER_SCORES.name)
    score, key = None, driver_id.encode()
    for record in read_all(settings.kafka, [settings.namespace + topics.DRIVER_SCORES.name]):
        if record.key == key:
            score = codec.decode_checked(record.value) if record.value is not None else None
    if not isinstance(score, DriverScored):
        raise Misconfigured(f"no score of a driver {driver_id} is known; `baton run scores` makes them from the log")
    for line in told(score):
        console.print(line, markup=False, highlight=False)


def scores(
    health_port: Annotated[
        int, typer.Option("--health-port", min=0, max=65535, help="Of /health, /ready, /metrics; 0: any.")
    ] = 0,
) -> None:
    """Keep drivers' scores: acceptance, completion, on time, rating."""
    import signal

    from dispatch.log import logs
    from dispatch.streams.driver_scores import run

    settings = _settings(health_port=health_port)
    logs.configure("scores", settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    run(settings, stop)


def _actor() -> str:
    """Who is at this terminal; an id may hold letters, digits and a few signs only."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = "somebody"
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign in "_.-") else "_" for sign in name)[:100] or "_"
