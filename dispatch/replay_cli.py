"""`baton replay`: decisions decided again; what was so at a moment, and why; what another policy would have done."""

import json
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from dispatch.audit_cli import known_keys
from dispatch.config import Settings
from dispatch.contract import identity, topics
from dispatch.export_cli import moment
from dispatch.log.errors import Misconfigured

if TYPE_CHECKING:
    from dispatch.replay.report import Difference, Report
    from dispatch.replay.source import KafkaLog

replay_app = typer.Typer(no_args_is_help=True, help="Decide again what was decided; say what was so, and why.")
console = Console()
_settings: Callable[..., Settings]
_require_kafka: Callable[[Settings, str], None]
_LONGEST_ID = 300
_SHOWN = 10
_AGO = re.compile(r"([0-9]{1,6})(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
From = Annotated[
    str, typer.Option("--from", help="From then on, UTC (2026-11-21T18:00), or so long ago (90m, 2h, 7d).")
]
To = Annotated[str, typer.Option("--to", help="Before then.")]
As_json = Annotated[bool, typer.Option("--json", help="For programs.")]


def attach(app: typer.Typer, given: Callable[..., Settings], require: Callable[[Settings, str], None]) -> typer.Typer:
    """Adds the group. `given` gives the settings, `require` says when Kafka or a topic is not there."""
    global _settings, _require_kafka
    _settings, _require_kafka = given, require
    app.add_typer(replay_app, name="replay")
    return replay_app


@replay_app.command("verify")
def verify(  # noqa: PLR0913 - the options of a command
    since: From = "",
    until: To = "",
    partition: Annotated[int, typer.Option(min=-1, help="Only this one; -1: all.")] = -1,
    delivery: Annotated[str, typer.Option(help="Only this one: an id, or SELLER/ORDER.")] = "",
    driver: Annotated[str, typer.Option(help="Only this driver.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what was interrupted.")] = False,
    bundle: Annotated[Path | None, typer.Option(help="An incident bundle; no server is asked.")] = None,
    key: Annotated[list[Path] | None, typer.Option("--key", help="Of a bundle: the public key to believe.")] = None,
    as_json: As_json = False,
) -> None:
    """Decide every decision again and compare each event byte by byte. Exit code 1: one came out otherwise."""
    from dispatch.log.collector import rest_the_collector
    from dispatch.replay import checkpoint as checkpoints
    from dispatch.replay.ranges import Range
    from dispatch.replay.run import Interrupted
    from dispatch.replay.run import verify as run

    if bundle is not None:
        if since or until or partition >= 0 or delivery or driver or resume:
            raise typer.BadParameter("a bundle is verified as a whole, without other options", param_hint="--bundle")
        raise typer.Exit(_verify_bundle(bundle, key, as_json=as_json))
    if delivery and driver:
        raise typer.BadParameter("one at a time", param_hint="--delivery, --driver")
    if resume and (since or until or partition >= 0 or delivery or driver):
        raise typer.BadParameter("it goes on with what was asked then, and takes no other question with it")
    chosen, begin, end = settings_now(), at_ms(since), at_ms(until)
    if begin and end and begin >= end:
        raise typer.BadParameter(f"--from {since} is not before --to {until}")
    file = chosen.home.resolve() / "replay" / "verify.checkpoint"
    rest_the_collector()
    with opened(chosen) as log, stoppable() as stopped, _bar(as_json) as told:
        name = delivery_id(delivery) if delivery else driver
        known = checkpoints.read(file) if resume else None
        asked = Range(*known.asked) if known else Range(partitions(log, partition, name), begin, end, name)

        def tell(where: int, share: float, report: "Report") -> None:
            told(where, len(asked.partitions), share, report)
            if stopped():
                raise Interrupted

        try:
            report = run(log, asked, file, tell, resume=known)
        except Interrupted as interrupted:
            sys.stderr.write(f"Interrupted; --resume goes on from {file}\n")
            raise typer.Exit(130) from interrupted
    if as_json:
        typer.echo(json.dumps(report.plain()))
    else:
        _say(report)
    raise typer.Exit(0 if report.ok else 1)


def _verify_bundle(file: Path, given: list[Path] | None, *, as_json: bool) -> int:
    """The exit code. Without a key, given or one's own, the signature is told to be unproved."""
    from dispatch.replay.bundle import opened_file, verified

    keys = known_keys(settings_now(), given)
    found = opened_file(str(file), keys)
    report, wrong = verified(found), list(found.wrong)
    if as_json:
        plain = report.plain() | {"bundle": msgspec.to_builtins(found.about), "wrong": wrong, "signed": bool(keys)}
        typer.echo(json.dumps(plain | {"ok": report.ok and not wrong}))
        return 0 if report.ok and not wrong else 1
    about = found.about
    by = f"{clock(about.at_ms)} by {about.actor_id}: {about.reason}"
    console.print(f"{about.kind} {about.aggregate_id}, exported {by}", markup=False, highlight=False)
    cut = ", ".join(f"{name} ({count})" for name, count in sorted(about.cut.items()))
    console.print(f"Cut out, and compared as cut: {cut or 'nothing'}", highlight=False)
    for said in wrong:
        console.print(said, style="red", markup=False, highlight=False)
    if not keys:
        console.print("No key is known here, so the signature was not looked at.", style="yellow")
    _say(report)
    return 0 if report.ok and not wrong else 1


def settings_now(**changes: object) -> Settings:
    """From the environment and the running local stack."""
    return _settings(**changes)


def at_ms(text: str) -> int:
    """A time as people write it, UTC milliseconds; 0 for nothing."""
    if ago := _AGO.fullmatch(text):
        return int(datetime.now(UTC).timestamp() * 1000) - int(ago[1]) * _SECONDS[ago[2]] * 1000
    seen = moment(text)
    return int(seen.timestamp() * 1000) if seen else 0


def clock(ms: int) -> str:
    """A moment for people, UTC."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


def delivery_id(asked: str) -> str:
    """A delivery's id, given as such or as SELLER/ORDER."""
    if not asked.isprintable() or len(asked) > _LONGEST_ID:
        raise typer.BadParameter(
            f"{asked[:60]!r} is no delivery's id, which has at most {_LONGEST_ID} printable characters"
        )
    if "/" in asked:
        seller_id, _, seller_order_id = asked.partition("/")
        return identity.delivery_id(seller_id, seller_order_id)
    return asked


def partitions(log: "KafkaLog", asked: int, aggregate_id: str = "") -> tuple[int, ...]:
    """Those to look at: the one asked for, that of an aggregate, or all."""
    if aggregate_id:
        return (log.partition_of(aggregate_id),)
    known = log.partitions()
    if asked >= known:
        raise typer.BadParameter(f"there are the partitions 0 to {known - 1}", param_hint="--partition")
    return (asked,) if asked >= 0 else tuple(range(known))


@contextmanager
def opened(chosen: Settings) -> "Iterator[KafkaLog]":
    """The log; what goes wrong in Kafka is one sentence."""
    from confluent_kafka import KafkaException

    from dispatch.replay.source import KafkaLog

    _require_kafka(chosen, topics.DECISIONS.name)
    log = KafkaLog(chosen.kafka, chosen.namespace)
    try:
        yield log
    except KafkaException as error:
        raise Misconfigured(f"Kafka at {chosen.kafka} does not answer: {error.args[0].str()}") from error
    finally:
        log.close()


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Whether a person asked to stop; the second time it stops where it is."""
    asked: list[int] = []

    def noted(number: int, _frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    before = {number: signal.signal(number, noted) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _bar(quiet: bool) -> "Iterator[Callable[[int, int, float, Report], None]]":
    columns = (TextColumn("partition {task.fields[where]}"), BarColumn(20), TaskProgressColumn(),
               TextColumn("{task.fields[said]}"), TimeElapsedColumn())  # fmt: skip
    with Progress(
        *columns, console=Console(stderr=True), transient=True, disable=quiet or not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task("", total=1.0, where="", said="")

        def told(where: int, many: int, share: float, report: "Report") -> None:
            rate = report.decisions / report.seconds if report.seconds else 0
            wrong = f", {report.different} differ" if report.different else ""
            said = f"{report.decisions:,} decisions, {rate:,.0f}/s{wrong}"
            bar.update(task, completed=share, where=f"{where} of {many}" if many > 1 else str(where), said=said)

        yield told


def _say(report: "Report") -> None:
    from dispatch import __version__

    for difference in report.differences[:_SHOWN]:
        _say_difference(difference)
    if report.different > _SHOWN:
        console.print(f"... and {report.different - _SHOWN:,} more; --json has them", highlight=False)
    rate = f" in {report.seconds:.1f} s, {report.decisions / report.seconds:,.0f} a second" if report.seconds else ""
    console.print(f"{report.decisions:,} decisions and {report.events:,} events decided again{rate}", highlight=False)
    words = ", ".join(f"{count:,} {name}" for name, count in sorted(report.outcomes.items()))
    if words:
        console.print(words, highlight=False)
    if report.before:
        console.print(f"{report.before:,} events from before were taken as they are", highlight=False)
    for version, count in sorted(report.code_versions.items()):
        if version != __version__:
            console.print(f"{count:,} were made by version {version}; this is {__version__}", style="yellow")
    for reason, count in report.undecided.items():
        console.print(f"{count:,} not decided again: {reason}", style="yellow", highlight=False)
    if report.ok:
        console.print("All came out the same, byte by byte." if report.decisions else "There were none.")
    else:
        found = f"{report.different:,} came out otherwise." if report.different else "Not all could be decided again."
        console.print(found, style="red", highlight=False)


def _say_difference(one: "Difference") -> None:
    head = f"{one.command or 'Event'} of {one.aggregate} {one.aggregate_id}"
    console.print(head, style="red", markup=False, highlight=False, soft_wrap=True)
    by = f", policy {one.policy_version}, code {one.code_version}" if one.code_version else ""
    console.print(f"  {clock(one.at_ms)}  {one.place}{by}", style="dim", highlight=False, soft_wrap=True)
    table = Table("", "field", "the log", "decided again", box=None, pad_edge=False)
    for field in one.fields[:_SHOWN]:
        table.add_row(f"  {field.where}", field.field, field.logged, field.again)
    console.print(table, highlight=False, markup=False)
    if len(one.fields) > _SHOWN:
        console.print(f"  ... and {len(one.fields) - _SHOWN} more fields", highlight=False)
