"""One command: `baton`. It parses, calls the rooms, and tells mistakes in one sentence with exit code 2."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dispatch import __version__, config
from dispatch.config import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
run_app = typer.Typer(no_args_is_help=True, help="Runs one process of Baton in the foreground.")
app.add_typer(run_app, name="run")
console = Console()


class Mistake(Exception):
    """Something the caller can put right; told in one sentence."""


def main() -> None:
    """The entry point: no traceback for a mistake of the user's."""
    from deploy.demo.feed import NotSent
    from deploy.demo.order_file import BadOrderFile
    from deploy.local import StartFailed
    from dispatch.log.errors import Fenced, Misconfigured

    try:
        app()
    except (Mistake, config.SettingsError, BadOrderFile, NotSent, StartFailed, Misconfigured, Fenced) as error:
        Console(stderr=True, soft_wrap=True).print(f"baton: {error}", style="red", markup=False, highlight=False)
        raise SystemExit(2) from error


def _settings(**changes: object) -> Settings:
    """Settings from the environment; missing addresses from the running local stack."""
    from deploy.local.stack import addresses

    settings = config.load()
    if not (settings.kafka and settings.postgres and settings.valkey):
        found = addresses(settings.home)
        changes = {
            "kafka": settings.kafka or found.kafka,
            "postgres": settings.postgres or found.postgres,
            "valkey": settings.valkey or found.valkey,
            **changes,
        }
    return settings.model_copy(update=changes)


def _until_signalled(work: Callable[[threading.Event], None]) -> None:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    work(stop)


@app.command()
def version() -> None:
    """The version."""
    console.print(__version__)


@app.command()
def up(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Workers to run.")] = 1,
    speed: Annotated[float, typer.Option(min=0.1, max=1000, help="Divide every duration of the policy by this.")] = 1,
    port: Annotated[int, typer.Option(help="The gateway's port; 0: any free one.")] = 0,
) -> None:
    """Start Kafka, Postgres, Valkey and all of Baton's processes in BATON_HOME (.baton), and wait until all is up."""
    from deploy.local import Addresses
    from deploy.local.stack import StackOptions, plan
    from deploy.local.stack import up as start

    settings = config.load()
    folder = settings.home.resolve()
    given = Addresses(settings.kafka, settings.postgres, settings.valkey)
    began = time.monotonic()
    with console.status("starting (the first time downloads Kafka, about 20 s)") as line:
        said = start(folder, plan(given, StackOptions(workers, speed, port), folder), line.update)
    console.print(f"Up after {time.monotonic() - began:.1f} s in {folder}")
    _show(said)


@app.command()
def down() -> None:
    """Stop the local stack; its data stays."""
    from deploy.local.stack import down as stop

    folder = config.load().home.resolve()
    with console.status("stopping"):
        stopped = stop(folder)
    console.print("Stopped." if stopped else f"Nothing runs in {folder}.")


@app.command()
def status() -> None:
    """What runs, where, since when. Exit code 1 when something is not up."""
    from deploy.local.stack import running

    folder = config.load().home.resolve()
    said = running(folder)
    if not said:
        console.print(f"Nothing runs in {folder}.")
        raise typer.Exit(1)
    _show(said)
    if any(part["state"] != "up" for part in said["parts"]):
        raise typer.Exit(1)


def _show(said: dict[str, object]) -> None:
    table = Table("part", "state", "pid", "address", "up for", "restarts", box=None)
    parts = said["parts"]
    assert isinstance(parts, list)
    for part in parts:
        seconds = max(0, int(time.time() - part["since"])) if part["since"] else 0
        table.add_row(
            part["name"], part["state"], str(part["pid"]), part["address"], f"{seconds} s", str(part["restarts"])
        )
    console.print(table)


@app.command()
def setup(speed: Annotated[float, typer.Option(min=0.1, max=1000, help="Divide every duration by this.")] = 1) -> None:
    """Create topics and tables, and put a policy in force. As often as you like."""
    from dispatch.core.policy import Policy, scaled
    from dispatch.setup import create_topics, publish_policy
    from projections.migrate import up as migrate

    settings = _settings()
    created = create_topics(settings)
    migrate(settings.postgres)
    publish_policy(settings, scaled(Policy(), speed) if speed != 1 else Policy())
    console.print(f"{created} topics created; tables and policy are in place.")


Port = Annotated[int, typer.Option("--health-port", help="Port of /health, /ready and /metrics; 0: any.")]


@run_app.command()
def worker(slot: Annotated[int, typer.Option(help="This worker's slot.")] = 0, health_port: Port = 0) -> None:
    """Decide: deliveries, drivers, and the Kafka door for orders."""
    from dispatch.log import logs
    from dispatch.processors.service import run

    settings = _settings(slot=slot, health_port=health_port)
    logs.configure(f"worker-{slot}", settings.log_level)
    _until_signalled(lambda stop: run(settings, stop))


@run_app.command()
def streams(health_port: Port = 0) -> None:
    """Keep the geo index, tell signs of life, wake waiting deliveries."""
    from dispatch.log import logs
    from dispatch.streams.geo_feed import run

    settings = _settings(health_port=health_port)
    logs.configure("streams", settings.log_level)
    _until_signalled(lambda stop: run(settings, stop))


@run_app.command()
def projector(health_port: Port = 0) -> None:
    """Fold events into the read models."""
    from dispatch.log import logs
    from projections.service import run

    settings = _settings(health_port=health_port)
    logs.configure("projector", settings.log_level)
    _until_signalled(lambda stop: run(settings.kafka, settings.postgres, settings.namespace, health_port, stop))


@run_app.command()
def gateway() -> None:
    """Serve HTTP and the drivers' sockets on the loopback."""
    from dispatch.log import logs
    from gateways.service import run

    settings = _settings()
    logs.configure("gateway", settings.log_level)
    run(settings, threading.Event())


@app.command()
def feed(
    file: Annotated[Path, typer.Argument(help="Orders as CSV or JSON lines; columns: docs/orders.md.")],
    speed: Annotated[float, typer.Option(min=0.01, max=100_000, help="How many times faster than written.")] = 1,
) -> None:
    """Send a file of orders through the Kafka door, each at its moment."""
    from deploy.demo.feed import feed as send
    from deploy.demo.order_file import read

    orders = sorted(read(file), key=lambda timed: timed.arrives_s)
    settings = _settings()
    with console.status("sending") as line:
        done = send(
            orders, settings.kafka, settings.namespace, speed=speed,
            told=lambda sent: line.update(f"{sent} of {len(orders)} orders sent"),
        )  # fmt: skip
    console.print(f"{done.sent} orders sent in {done.seconds:.1f} s")


@app.command()
def drivers(
    count: Annotated[int, typer.Argument(min=1, max=10_000)],
    speed: Annotated[float, typer.Option(min=0.1, max=1000, help="How many times faster they live.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed, the same drivers.")] = 1,
    seconds: Annotated[float, typer.Option(help="Stop after so long; 0: when interrupted.")] = 0,
) -> None:
    """Run robo-drivers against the gateway: they sign on, move, accept, refuse, ignore, give up, rest."""
    from deploy.demo.robots import run

    tally = run(count, gateway_url(), speed=speed, seed=seed, seconds=seconds or None)
    console.print(", ".join(f"{what}: {times}" for what, times in sorted(tally.items())))


@app.command()
def demo(
    count: Annotated[int, typer.Option("--drivers", min=1, max=2_000, help="Robo-drivers.")] = 80,
    speed: Annotated[float, typer.Option(min=1, max=1000, help="How many times faster the city lives.")] = 60,
    orders: Annotated[int, typer.Option(min=1, help="At most so many orders of the sample.")] = 600,
) -> None:
    """The main job on real servers: a sample evening of 600 orders, watched live and checked at the end."""
    from deploy.demo.main_job import run

    raise typer.Exit(run(config.load(), console, drivers=count, speed=speed, orders=orders))


@app.command()
def delivery(delivery_id: Annotated[str, typer.Argument(help="A delivery's id, or SELLER/ORDER.")]) -> None:
    """Tell a delivery's history in words: who was considered, and why the first was first."""
    import psycopg

    from dispatch.contract import identity
    from projections.queries import story_of
    from projections.story import from_rows, tell

    if "/" in delivery_id:
        seller_id, _, seller_order_id = delivery_id.partition("/")
        delivery_id = identity.delivery_id(seller_id, seller_order_id)
    try:
        rows = story_of(_settings().postgres, delivery_id)
    except psycopg.Error as error:
        raise Mistake(f"Postgres does not answer: {error}") from error
    if not rows:
        raise Mistake(f"no delivery {delivery_id} is known")
    table = Table("time (UTC)", "what happened", box=None)
    for moment, sentence in tell(from_rows(rows)):
        table.add_row(moment, sentence)
    console.print(f"Delivery {delivery_id}")
    console.print(table)


@app.command()
def check() -> None:
    """Check the whole log against the rules, from the log alone. Exit code 1 when one is broken."""
    from dispatch.checker import check_log

    settings = _settings()
    report = check_log(settings.kafka, settings.namespace)
    console.print(report.text(), highlight=False)
    raise typer.Exit(0 if report.ok else 1)


def gateway_url() -> str:
    """The local stack's gateway, or the one that the settings name."""
    from deploy.local.stack import running

    settings = config.load()
    said = running(settings.home.resolve())
    if "BATON_GATEWAY_PORT" not in os.environ and said:
        part = next(part for part in said["parts"] if part["name"] == "gateway")
        return str(part["address"])
    return f"http://{settings.gateway_host}:{settings.gateway_port}"


if __name__ == "__main__":
    main()
