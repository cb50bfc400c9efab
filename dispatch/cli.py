"""The command `baton`: it parses, calls the rooms, and tells mistakes in one sentence with exit code 2."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from dispatch import (
    __version__,
    access_cli,
    audit_cli,
    config,
    contract_cli,
    eta_cli,
    export_cli,
    keeping_cli,
    metrics_cli,
    money_cli,
    notices_cli,
    projections_cli,
    ranking_cli,
    replay_blast_cli,
    replay_cli,
    replay_history_cli,
    replay_policy_cli,
    replay_shadow_cli,
    replay_whatif_cli,
    report_cli,
    rules_cli,
    run_cli,
    simulate_cli,
    zones_cli,
)  # fmt: skip
from dispatch.config import Settings

_ABOUT = "Baton takes an order that is ready at a store and sees it into a customer's hands. First: `baton demo`."
app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=_ABOUT)
console = Console()
_KAFKA_ANSWERS_S = 10.0
_LONGEST_ID = 300


class Mistake(Exception):
    """Something the caller can put right; told in one sentence."""


def main() -> None:
    """The entry point: no traceback for a mistake of the user's."""
    from deploy.demo.feed import NotSent
    from deploy.demo.order_file import BadOrderFile
    from deploy.local import StartFailed
    from dispatch.log.errors import Fenced, Misconfigured

    mistakes = (Mistake, config.SettingsError, BadOrderFile, NotSent, StartFailed, Misconfigured, Fenced)
    try:
        code = app(prog_name="baton", standalone_mode=False)  # however it was started
    except (*mistakes, typer.TyperException) as error:
        _tell(str(error) if isinstance(error, mistakes) else _usage(error))
        raise SystemExit(2) from error
    raise SystemExit(code if isinstance(code, int) else 0)


def _tell(mistake: str) -> None:
    """One line on standard error; what cannot be printed is spelt out."""
    line = " ".join(mistake.encode(errors="backslashreplace").decode().split())
    Console(stderr=True, soft_wrap=True).print(f"baton: {line}", style="red", markup=False, highlight=False)


def _usage(error: Exception) -> str:
    """A wrong command line: what is wrong, and where to read on."""
    about = getattr(getattr(error, "ctx", None), "command_path", "baton")
    message = error.format_message() if isinstance(error, typer.TyperException) else str(error)
    return f"{message[:300].rstrip('.')}; `{about} --help` tells what is wanted"


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
    settings = settings.model_copy(update=changes)
    return settings.model_copy(update={"postgres": config.noticing(settings.postgres)})


def _require_kafka(settings: Settings, topic: str = "") -> None:
    """Raises Mistake when Kafka does not answer, or lacks the topic: later it would be a long wait or a traceback."""
    from confluent_kafka import KafkaException
    from confluent_kafka.admin import AdminClient

    from dispatch.log.connecting import kafka_client

    try:
        admin = AdminClient({**kafka_client(settings.kafka, "cli"), "log_level": 0})
        known = admin.list_topics(timeout=_KAFKA_ANSWERS_S).topics
    except KafkaException as error:
        raise Mistake(f"Kafka at {settings.kafka} does not answer: {error.args[0].str()}") from error
    if topic and settings.namespace + topic not in known:
        raise Mistake(f"Kafka at {settings.kafka} has no topic {settings.namespace}{topic}; `baton setup` creates it")


def _rules_reached() -> Settings:
    from dispatch.contract import topics

    settings = _settings()
    for topic in (topics.POLICIES, topics.FLAGS, topics.RULES_HISTORY):
        _require_kafka(settings, topic.name)
    return settings


run_app = run_cli.attach(app, _settings)
rules_cli.attach(app, _rules_reached)
zones_cli.attach(app, _settings, _require_kafka)
notices_cli.attach(app, _settings)
eta_cli.attach(app, _settings, _require_kafka)
ranking_cli.attach(app, run_app, _settings, _require_kafka)
money_cli.attach(app, _settings, _require_kafka)
contract_cli.attach(app)
metrics_cli.attach(app)
simulate_cli.attach(app)
access_cli.attach(app, _settings, _require_kafka)
audit_cli.attach(app, _settings, _require_kafka)
replay_app = replay_cli.attach(app, _settings, _require_kafka)
for one in (replay_history_cli, replay_policy_cli, replay_blast_cli, replay_whatif_cli):
    one.attach(replay_app)
replay_shadow_cli.attach(replay_app, run_app)
export_cli.attach(app, _settings)
report_cli.attach(app, _settings)
keeping_cli.attach(projections_cli.attach(app, _settings, _require_kafka), _settings)


@app.command()
def version() -> None:
    """Print the version."""
    console.print(__version__)


@app.command()
def up(
    workers: Annotated[int, typer.Option(min=1, max=64, help="Workers to run.")] = 1,
    speed: Annotated[float, typer.Option(min=0.1, max=1000, help="Divide every duration of the policy by this.")] = 1,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The gateway's port; 0: any free one.")] = 0,
    gateways: Annotated[int, typer.Option(min=1, max=16, help="Gateways to run.")] = 1,
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
        said = start(folder, plan(given, StackOptions(workers, speed, port, gateways), folder), line.update)
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
    import psycopg
    from sqlalchemy.exc import SQLAlchemyError

    from dispatch.setup import check_start_values, create_topics, start_rules
    from projections.migrate import up as migrate

    check_start_values()
    settings = _settings()
    access_cli.make_local_key(settings)
    audit_cli.make_local_key(settings)
    _require_kafka(settings)
    created = create_topics(settings)
    try:
        to_know = migrate(settings.postgres)
    except (SQLAlchemyError, psycopg.Error) as error:
        raise Mistake(f"the tables cannot be made in Postgres: {getattr(error, 'orig', None) or error}") from error
    said = start_rules(settings, speed)
    console.print(f"{created} topics created; tables are in place; {said}.")
    for sentence in to_know:
        console.print(f"{sentence[0].upper()}{sentence[1:]}.", highlight=False)


@app.command()
def feed(
    file: Annotated[Path, typer.Argument(help="Orders as CSV or JSON lines; columns: docs/orders.md.")],
    speed: Annotated[float, typer.Option(min=0.01, max=100_000, help="How many times faster than written.")] = 1,
) -> None:
    """Send a file of orders through the Kafka door, each at its moment."""
    from deploy.demo.feed import feed as send
    from deploy.demo.order_file import read
    from dispatch.contract import topics

    orders = sorted(read(file), key=lambda timed: timed.arrives_s)
    settings = _settings()
    _require_kafka(settings, topics.ORDERS_INBOUND.name)
    with console.status("sending") as line:
        done = send(
            orders, settings.kafka, settings.namespace, speed=speed,
            told=lambda sent: line.update(f"{sent} of {len(orders)} orders sent"),
        )  # fmt: skip
    console.print(f"{done.sent} orders sent in {done.seconds:.1f} s")


@app.command()
def drivers(
    count: Annotated[int, typer.Argument(min=1, max=10_000, help="How many.")],
    speed: Annotated[float, typer.Option(min=0.1, max=1000, help="How many times faster they live.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed, the same drivers.")] = 1,
    seconds: Annotated[float, typer.Option(min=0, max=1e6, help="Stop after so long; 0: when interrupted.")] = 0,
) -> None:
    """Run robo-drivers against the gateway: they sign on, move, accept, refuse, ignore, give up, rest."""
    import httpx

    from deploy.demo.robots import run

    url = gateway_url()
    try:
        httpx.get(f"{url}/health", timeout=10)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Mistake(f"no gateway answers at {url}; `baton up` starts one") from error
    sign = access_cli.signed_as_driver(config.load())
    tally = run(count, url, speed=speed, seed=seed, seconds=seconds or None, sign=sign)
    console.print(", ".join(f"{what}: {times}" for what, times in sorted(tally.items())))


@app.command()
def demo(
    count: Annotated[int, typer.Option("--drivers", min=1, max=2_000, help="Robo-drivers.")] = 80,
    speed: Annotated[
        float | None,
        typer.Option(min=1, max=1000, help="The city lives so many times as fast; else as the machine can."),
    ] = None,
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

    if not delivery_id.isprintable() or len(delivery_id) > _LONGEST_ID:
        raise Mistake(f"{delivery_id[:60]!r} is no delivery's id, which has at most {_LONGEST_ID} printable characters")
    asked = delivery_id
    if "/" in delivery_id:
        seller_id, _, seller_order_id = delivery_id.partition("/")
        delivery_id = identity.delivery_id(seller_id, seller_order_id)
    try:
        rows = story_of(_settings().postgres, delivery_id)
    except psycopg.OperationalError as error:
        raise Mistake(f"Postgres does not answer: {error}") from error
    except psycopg.Error as error:
        raise Mistake(f"Postgres cannot be asked (was `baton setup` run?): {error}") from error
    if not rows:
        raise Mistake(f"no delivery {asked} is known")
    table = Table("time (UTC)", "what happened", box=None)
    for moment, sentence in tell(from_rows(rows)):
        table.add_row(moment, sentence)
    console.print(f"Delivery {delivery_id}")
    console.print(table)


@app.command()
def check(
    running: Annotated[
        bool, typer.Option("--running", help="Deliveries are under way: what is missing comes yet.")
    ] = False,
) -> None:
    """Check the whole log against the rules, from the log alone (--running: it goes on). Exit code 1: one is broken."""
    from dispatch.checker import check_log
    from dispatch.contract import topics

    settings = _settings()
    _require_kafka(settings, topics.DELIVERY_EVENTS.name)
    report = check_log(settings.kafka, settings.namespace, quiescent=not running)
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
