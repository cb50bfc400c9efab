"""`baton audit`: whether the audit is whole, its anchors, and one delivery for somebody outside."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from dispatch import config_secrets
from dispatch.config import Settings
from dispatch.contract import identity, topics
from dispatch.log.errors import Misconfigured

if TYPE_CHECKING:
    from projections.audit.anchor import Anchor
    from projections.audit.keys import Known, Signer
    from projections.audit.verify import Report

audit_app = typer.Typer(no_args_is_help=True, help="Whether the audit is whole; anchors; one delivery for outside.")
console = Console()
_settings: Callable[..., Settings]
_require_kafka: Callable[[Settings, str], None]
_LONGEST_ID = 300
_LARGEST_FILE = 1_000_000_000
_LARGEST_BUNDLE = 64_000_000
_LONGEST_REASON = 500
Keys = Annotated[list[Path] | None, typer.Option("--key", help="A public key to believe; may be repeated.")]
As_json = Annotated[bool, typer.Option("--json", help="For programs.")]


def attach(app: typer.Typer, settings: Callable[..., Settings], require: Callable[[Settings, str], None]) -> None:
    """Adds the commands. `settings` gives them, `require` says in a sentence when Kafka or a topic is not there."""
    global _settings, _require_kafka
    _settings, _require_kafka = settings, require
    app.add_typer(audit_app, name="audit")


def make_local_key(settings: Settings) -> None:
    """The local stack has a key of its own; anybody else's is theirs to make. Raises Misconfigured."""
    from projections.audit import keys

    file = settings.home.resolve() / keys.LOCAL
    if settings.audit_key_file == file:
        try:
            config_secrets.kept_in(file, keys.made)
        except OSError as error:
            raise Misconfigured(f"the audit's key cannot be made in {file.parent}: {error.strerror}") from error


@audit_app.command("verify")
def verify(
    key: Keys = None,
    anchors: Annotated[Path | None, typer.Option(help="Anchors written by `baton audit anchor --to`.")] = None,
    since_anchor: Annotated[
        bool, typer.Option("--since-anchor", help="Only what the last anchors do not hold.")
    ] = False,
    against_log: Annotated[bool, typer.Option("--against-log", help="Compare with Kafka, byte by byte.")] = False,
    delivery: Annotated[str, typer.Option(help="Only this one: an id, or SELLER/ORDER.")] = "",
    as_json: As_json = False,
) -> None:
    """Find every row that was changed, taken away or put in. Exit code 1 when there is one."""
    from projections.audit.verify import Asked
    from projections.audit.verify import verify as look

    if sum((since_anchor, against_log, bool(delivery))) > 1:
        raise typer.BadParameter("one at a time", param_hint="--since-anchor, --against-log, --delivery")
    settings = _settings()
    known = known_keys(settings, key)
    outside = _anchors_in(anchors) if anchors else []
    with _asking(), _bar(as_json) as told:
        if delivery:
            report = _look_at_delivery(settings, _delivery_id(delivery), delivery, known)
        elif against_log:
            report = _compare(settings, told)
        else:
            report = look(settings.postgres, Asked(known, settings.namespace, since_anchor, outside), told)
    _say(report, signed=bool(known), as_json=as_json, what="compared with the log" if against_log else "looked at")
    raise typer.Exit(1 if report.found else 0)


@audit_app.command("anchor")
def anchor(
    to: Annotated[Path | None, typer.Option(help="Also add all anchors that it lacks to this file, as lines.")] = None,
) -> None:
    """Sign how many rows there are, and their root, where it is not done yet. Exit code 1: the chain is broken."""
    from projections.audit.anchors import Broken, anchor_all
    from projections.audit.rows import anchored, anchors_of, snapshot

    settings = _settings()
    signer = signer_of(settings)
    known = {one.line() for one in _anchors_in(to)} if to and to.exists() else set()
    with _asking():
        try:
            written = anchor_all(settings.postgres, signer)
        except Broken as broken:
            console.print(f"Not anchored: {broken}; `baton audit verify` says more.", highlight=False)
            raise typer.Exit(1) from broken
        console.print(f"{len(written)} anchors over {sum(one.rows for one in written):,} rows")
        if to is None:
            return
        with snapshot(settings.postgres) as connection:
            lines = [one.line() for place in sorted(anchored(connection)) for one in anchors_of(connection, place)]
    new = [line for line in lines if line not in known]
    try:
        with to.open("a") as stream:
            stream.writelines(f"{line}\n" for line in new)
    except OSError as error:
        raise Misconfigured(f"{to} cannot be written: {error.strerror}") from error
    console.print(f"{len(new)} more in {to}", highlight=False, soft_wrap=True)


@audit_app.command("key")
def key() -> None:
    """Print the public half of the key that signs: whoever checks wants it."""
    from projections.audit.keys import public_pem

    typer.echo(public_pem(signer_of(_settings()).public), nl=False)


@audit_app.command("export")
def export(
    delivery: Annotated[str, typer.Argument(help="A delivery's id, or SELLER/ORDER.")],
    out: Annotated[Path, typer.Option(help="The file to write; it must not be there yet.")],
    reason: Annotated[str, typer.Option(help="Why; it is noted, and stands in the bundle.")],
    actor: Annotated[str, typer.Option(help="Who; by default the user of this terminal.")] = "",
) -> None:
    """Write one delivery's audit as a signed bundle that can be checked with nothing else at hand."""
    from dispatch.inputs import rulebook
    from projections.audit import export as exporting
    from projections.audit.anchors import Broken

    if not reason.strip() or len(reason) > _LONGEST_REASON or not reason.isprintable():
        raise typer.BadParameter(f"1 to {_LONGEST_REASON} printable characters are wanted", param_hint="--reason")
    if out.exists():
        raise typer.BadParameter(f"{out} is there already", param_hint="--out")
    settings, who = _settings(), actor or rulebook.whoever_this_is()
    delivery_id, signer = _delivery_id(delivery), signer_of(settings)
    with _asking():
        try:
            about, content = exporting.export(settings.postgres, signer, delivery_id, actor_id=who, reason=reason)
        except exporting.NotKnown as error:
            raise Misconfigured(f"no delivery {delivery} is known") from error
        except (exporting.NotWhole, Broken) as error:
            console.print(f"Not exported, for the audit is not whole: {error}", highlight=False, soft_wrap=True)
            raise typer.Exit(1) from error
    try:
        with out.open("xb") as stream:
            stream.write(content)
    except OSError as error:
        raise Misconfigured(f"{out} cannot be written: {error.strerror}") from error
    told = f"{about.events} events of delivery {delivery_id} in {out}, noted as export {about.export_id}"
    console.print(told, highlight=False, soft_wrap=True)


@audit_app.command("check-bundle")
def check_bundle(
    file: Annotated[Path, typer.Argument(help="As `baton audit export` wrote it.")],
    key: Annotated[list[Path], typer.Option("--key", help="The public key to believe; may be repeated.")],
    as_json: As_json = False,
) -> None:
    """Check a bundle with no server and no database. Exit code 1 when something in it does not hold."""
    from projections.audit import keys
    from projections.audit.bundle import BadBundle, check

    known = keys.Known(*(keys.public(one) for one in key))
    try:
        if file.stat().st_size > _LARGEST_BUNDLE:
            raise Misconfigured(f"{file} is larger than any bundle")
        found = check(file.read_bytes(), known)
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from error
    except BadBundle as error:
        raise Misconfigured(f"{file} is no bundle: {error}") from error
    if as_json:
        typer.echo(json.dumps({"ok": not found.wrong, **msgspec.to_builtins(found)}))
    else:
        console.print(found.timeline, markup=False, highlight=False, soft_wrap=True)
        for wrong in found.wrong:
            console.print(wrong, style="red", markup=False, highlight=False, soft_wrap=True)
        anchored = datetime.fromtimestamp(found.anchored_ms / 1000, UTC)
        whole = f"All of it holds; its events were there when they were anchored, {anchored:%Y-%m-%d %H:%M:%S} at last."
        console.print(whole if not found.wrong else f"{len(found.wrong)} things do not hold.", highlight=False)
    raise typer.Exit(1 if found.wrong else 0)


def _look_at_delivery(settings: Settings, delivery_id: str, asked: str, known: "Known") -> "Report":
    from projections.audit.delivery import look
    from projections.audit.rows import snapshot

    with snapshot(settings.postgres) as connection:
        report = look(connection, delivery_id, known)
    if not report.rows:
        raise Misconfigured(f"no delivery {asked} is known")
    return report


def _compare(settings: Settings, told: Callable[[int, float], None]) -> "Report":
    from dispatch.log.reading import read_all
    from projections.audit.against_log import compare
    from projections.audit.rows import noted, snapshot

    names = [topics.DELIVERY_EVENTS.name, topics.DRIVER_EVENTS.name]
    for name in names:
        _require_kafka(settings, name)
    begun = time.monotonic()
    with snapshot(settings.postgres) as connection:
        ends = noted(connection, settings.namespace)
        log = read_all(settings.kafka, [settings.namespace + name for name in names])
        report = compare(connection, ends, log, settings.namespace, lambda rows: told(rows, 0))
    report.seconds = time.monotonic() - begun
    return report


def _say(report: "Report", *, signed: bool, as_json: bool, what: str) -> None:
    if as_json:
        said = {**msgspec.to_builtins(report), "ok": not report.found, "signatures": signed}
        typer.echo(json.dumps(said))
        return
    for finding in report.findings:
        console.print(finding.sentence(), style="red", markup=False, highlight=False, soft_wrap=True)
    if report.found > len(report.findings):
        console.print(f"... and {report.found - len(report.findings)} more")
    rate = f" in {report.seconds:.1f} s, {report.rows / report.seconds:,.0f} a second" if report.seconds else ""
    console.print(f"{report.rows:,} rows of {report.partitions} partitions {what}{rate}", highlight=False)
    if what == "looked at":
        signatures = "" if signed else "; their signatures were not looked at, for want of a key"
        console.print(f"{report.anchors:,} anchors fit, {report.unanchored:,} rows are not anchored yet{signatures}")
    if report.kept_from:
        console.print(f"Months before {report.kept_from:%Y-%m} were dropped: {report.dropped:,} anchored rows")
    elif report.dropped:
        console.print(f"{report.dropped:,} rows are older than the log, and were not compared")
    console.print("The audit is whole." if not report.found else f"{report.found:,} things are wrong.", highlight=False)


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[int, float], None]]:
    columns = (TextColumn("verifying"), BarColumn(), TextColumn("{task.fields[rows]} rows"), TimeElapsedColumn())
    with Progress(
        *columns, console=Console(stderr=True), transient=True, disable=quiet or not sys.stderr.isatty()
    ) as bar:
        task = bar.add_task("", total=1.0, rows="0")
        yield lambda rows, share: bar.update(task, completed=share, rows=f"{rows:,}")


@contextmanager
def _asking() -> Iterator[None]:
    """What goes wrong in Postgres is one sentence."""
    import psycopg

    try:
        yield
    except psycopg.OperationalError as error:
        raise Misconfigured(f"Postgres does not answer: {error}") from error
    except psycopg.Error as error:
        raise Misconfigured(f"Postgres cannot be asked (was `baton setup` run?): {error}") from error


def _key_file(settings: Settings) -> Path | None:
    from projections.audit import keys

    local = settings.home.resolve() / keys.LOCAL
    return settings.audit_key_file or (local if local.exists() else None)


def signer_of(settings: Settings) -> "Signer":
    """The key that signs. Raises Misconfigured."""
    from projections.audit import keys

    if (file := _key_file(settings)) is None:
        raise Misconfigured("BATON_AUDIT_KEY_FILE names no key that could sign, and `baton up` made none here")
    return keys.signer(file)


def known_keys(settings: Settings, given: list[Path] | None) -> "Known":
    """The public keys to believe: those given, else the own one's, if there is one. Raises Misconfigured."""
    from projections.audit import keys

    own = _key_file(settings)
    return keys.Known(*(keys.public(file) for file in given or ([own] if own else [])))


def _anchors_in(file: Path) -> "list[Anchor]":
    from projections.audit.anchor import read

    try:
        if file.stat().st_size > _LARGEST_FILE:
            raise Misconfigured(f"{file} is larger than anchors are")
        lines = file.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    found = []
    for number, line in enumerate(lines, 1):
        try:
            found.append(read(line))
        except ValueError as error:
            raise Misconfigured(f"line {number} of {file} is no anchor: {error}") from error
    return found


def _delivery_id(asked: str) -> str:
    if not asked.isprintable() or len(asked) > _LONGEST_ID:
        told = f"{asked[:60]!r} is no delivery's id, which has at most {_LONGEST_ID} printable characters"
        raise typer.BadParameter(told)
    if "/" in asked:
        seller_id, _, seller_order_id = asked.partition("/")
        return identity.delivery_id(seller_id, seller_order_id)
    from projections.queries import is_id

    if not is_id(asked):
        raise Misconfigured(f"no delivery {asked} is known")
    return asked
