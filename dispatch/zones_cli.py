"""`baton zones` and `baton incentives`: the map, how each zone is doing, bonuses, and asking drivers to come."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Protocol

import typer
from rich.console import Console
from rich.table import Column, Table

from dispatch.config import Settings
from dispatch.contract import topics
from dispatch.contract.records.system import IncentivePublished, ZoneHealth
from dispatch.core import zone_files
from dispatch.core.zone_files import ZoneFileError
from dispatch.core.zones import Zone
from dispatch.inputs import zone_store
from dispatch.inputs.rules import Rules, RulesFollower
from dispatch.inputs.zones import BELIEVED_MS
from dispatch.log.errors import Misconfigured

zones_app = typer.Typer(no_args_is_help=True, help="The zones: polygons with a priority and a minimum of drivers.")
incentives_app = typer.Typer(no_args_is_help=True, help="Bonuses per delivery, by zone and time.")
console = Console()

ZoneFile = Annotated[Path, typer.Argument(metavar="FILE", help="A GeoJSON FeatureCollection of polygons.")]
ZoneId = Annotated[str, typer.Argument(metavar="ZONE", help="The zone's id; `baton zones list` names them.")]
Who = Annotated[str, typer.Option("--actor", help="Who; by default the user of this terminal.")]
Note = Annotated[str, typer.Option(help="At most 200 characters; for `request`, what the drivers are told.")]
_OPTION = re.compile(r"^(hours|currency|id) is")


class _Require(Protocol):
    def __call__(self, settings: Settings, topic: str = "") -> None: ...


_settings: Callable[[], Settings]
_require: _Require


def attach(app: typer.Typer, settings: Callable[[], Settings], require: _Require) -> None:
    """Adds both to the command line. `require` raises when Kafka does not answer or lacks a topic."""
    global _settings, _require
    _settings, _require = settings, require
    app.add_typer(zones_app, name="zones")
    app.add_typer(incentives_app, name="incentives")


@zones_app.command("check")
def check(file: ZoneFile) -> None:
    """Say whether a file can be imported, and what is wrong if not; Kafka is not asked."""
    zones = _read(file)
    typer.echo(f"{file.name} is good: {_count(zones)}, {sum(map(_km2, zones)):.1f} km2 in all.")


@zones_app.command("import")
def import_(
    file: ZoneFile,
    actor: Who = "",
    note: Note = "",
    empty: Annotated[bool, typer.Option("--empty", help="Allow a file without zones: all are removed.")] = False,
) -> None:
    """Make the zones of a file the zones in force; those that are not in it are removed."""
    zones = _read(file)
    if not zones and not empty:
        raise Misconfigured(f"{file.name} holds no zone; with --empty all zones are removed")
    settings = _reached()
    made = zone_store.import_zones(
        settings.kafka, settings.namespace, zones, _who(actor), zone_store.checked_note(note)
    )
    typer.echo(f"Version {made.version} is in force: {_count(zones)}.")


@zones_app.command("export")
def export(
    file: Annotated[Path | None, typer.Argument(help="Where to; without it the terminal.")] = None,
) -> None:
    """Write the zones in force as GeoJSON, as `import` takes it."""
    settings = _reached()
    board = zone_store.board_now(settings.kafka, settings.namespace)
    text = zone_files.write(list(board.table.zones.values()))
    if file is None:
        typer.echo(text.decode())
        return
    try:
        file.write_bytes(text + b"\n")
    except OSError as error:
        raise Misconfigured(f"{file} cannot be written: {error.strerror}") from error
    typer.echo(f"{len(board.table.zones)} zones of version {board.table.version} written to {file}.")


@zones_app.command("list")
def list_() -> None:
    """List the zones in force, and how each is doing."""
    settings = _reached()
    board = zone_store.board_now(settings.kafka, settings.namespace, health=True)
    if not board.table.zones:
        typer.echo("There are no zones; `baton zones import FILE` makes them.")
        return
    table = Table(Column("zone", no_wrap=True, overflow="fold"), "pri", "online/min", "free", "open", "p50", "p95",
                  "pressure", "trend", "", box=None)  # fmt: skip
    now_ms = time.time_ns() // 1_000_000
    for zone_id, health in zone_store.healths(board):
        zone = board.table.zones[zone_id]
        fresh = health if health is not None and now_ms - health.at_ms <= BELIEVED_MS else None
        online, *rest = _doing(fresh)
        table.add_row(zone_id, str(zone.priority), f"{online}/{zone.min_drivers_online}", *rest)
    console.print(table)
    typer.echo(f"Version {board.table.version}, of {_time(board.published.at_ms)} by {board.published.actor_id}.")


@zones_app.command("at", context_settings={"ignore_unknown_options": True})
def at(
    lat: Annotated[float, typer.Argument(help="Latitude, degrees.")],
    lng: Annotated[float, typer.Argument(help="Longitude, degrees.")],
) -> None:
    """Say which zone a place lies in."""
    for name, value, most in (("latitude", lat, 90), ("longitude", lng, 180)):
        if not -most <= value <= most:
            raise Misconfigured(f"the {name} is {value:g}; -{most} to {most} is allowed")
    settings = _reached()
    board = zone_store.board_now(settings.kafka, settings.namespace)
    zone = board.table.zones.get(board.table.at(lat, lng))
    said = f"{zone.zone_id} ({zone.name}, priority {zone.priority})" if zone else "none: outside every zone"
    typer.echo(f"{said}; version {board.table.version}")


@zones_app.command("request")
def request(zone: ZoneId, note: Note = "", actor: Who = "") -> None:
    """Ask available drivers near by to come to a zone; once in a while only (policy `zones.request_every_s`)."""
    settings = _reached(topics.ZONE_REQUESTS)
    every_s = _policy_request_every_s(settings)
    zone_store.request_drivers(
        settings.kafka,
        settings.namespace,
        zone,
        note=zone_store.checked_note(note),
        actor_id=_who(actor),
        every_s=every_s,
    )
    typer.echo(f"Asked: available drivers near {zone} are told.")


@incentives_app.command("set")
def set_(  # noqa: PLR0913 - the options of a command
    zone: ZoneId,
    bonus_minor: Annotated[int, typer.Option("--bonus", min=1, max=1_000_000, help="A delivery, in minor units.")],
    currency: Annotated[str, typer.Option(help="Such as EUR.")],
    hours: Annotated[float, typer.Option(help="For so long.")] = 1.0,
    start: Annotated[str, typer.Option(help="From when, UTC: 2026-11-21T18:00; without it now.")] = "",
    name: Annotated[str, typer.Option("--id", help="Its id; that of one there is replaces it.")] = "",
    note: Note = "",
    actor: Who = "",
) -> None:
    """Pay a bonus for each delivery picked up in a zone, from a moment to a moment."""
    starts_ms = _moment_ms(start) if start else None
    try:
        incentive = zone_store.incentive(
            zone, bonus_minor=bonus_minor, currency=currency, hours=hours, starts_ms=starts_ms, name=name, note=note,
            actor_id=_who(actor),
        )  # fmt: skip
    except Misconfigured as error:
        raise Misconfigured(_OPTION.sub(r"--\1 is", str(error))) from error
    settings = _reached(topics.INCENTIVES)
    zone_store.set_incentive(settings.kafka, settings.namespace, incentive)
    until = f"{_time(incentive.starts_at_ms)} to {_time(incentive.ends_at_ms)}"
    typer.echo(f"{incentive.incentive_id}: {_money(incentive)} a delivery in {zone}, {until}.")


@incentives_app.command("list")
def list_incentives() -> None:
    """List the bonuses that run or are to come."""
    settings = _reached(topics.INCENTIVES)
    now_ms = time.time_ns() // 1_000_000
    board = zone_store.board_now(settings.kafka, settings.namespace)
    found = [one for one in zone_store.listed(board) if one.ends_at_ms > now_ms]
    if not found:
        typer.echo("No incentive runs or is to come.")
        return
    table = Table("incentive", "zone", "a delivery", "from (UTC)", "to (UTC)", "state", "by", "note", box=None)
    for one in found:
        state = "runs" if one.starts_at_ms <= now_ms else "to come"
        table.add_row(one.incentive_id, one.zone, _money(one), _time(one.starts_at_ms), _time(one.ends_at_ms), state,
                      one.actor_id, one.note)  # fmt: skip
    console.print(table)


@incentives_app.command("end")
def end_(
    incentive: Annotated[str, typer.Argument(help="Its id; `baton incentives list` names them.")], actor: Who = ""
) -> None:
    """End a bonus now."""
    settings = _reached(topics.INCENTIVES)
    zone_store.end_incentive(settings.kafka, settings.namespace, incentive, _who(actor))
    typer.echo(f"{incentive} has ended.")


def _read(file: Path) -> list[Zone]:
    try:
        with file.open("rb") as opened:
            data = opened.read(zone_files.MAX_BYTES + 1)
            size = file.stat().st_size
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror}") from error
    if len(data) > zone_files.MAX_BYTES:
        most = zone_files.MAX_BYTES / 1e6
        raise Misconfigured(f"{file.name} has {size / 1e6:.1f} MB; at most {most:g} MB are read. Nothing was changed")
    try:
        return zone_files.read(data)
    except ZoneFileError as error:
        raise Misconfigured(f"{file.name}: {error}. Nothing was changed") from error


def _reached(topic: topics.Topic = topics.ZONES) -> Settings:
    settings = _settings()
    _require(settings, topic.name)
    return settings


def _policy_request_every_s(settings: Settings) -> float:
    follower = RulesFollower(settings.kafka, settings.namespace, Rules())
    every_s = follower.start().policy.zones.request_every_s
    follower.stop()
    return every_s


def _doing(health: ZoneHealth | None) -> tuple[str, ...]:
    if health is None:
        return ("?", "?", "?", "?", "?", "?", "", "nothing heard")
    alert = f"understaffed since {_time(health.understaffed_since_ms)[11:]}" if health.understaffed else ""
    return (
        str(health.drivers_online), str(health.drivers_available), str(health.open_searches),
        _wait(health.wait_p50_ms, health.waits), _wait(health.wait_p95_ms, health.waits), f"{health.pressure:.2f}",
        health.trend, alert,
    )  # fmt: skip


def _wait(wait_ms: int, count: int) -> str:
    return f"{wait_ms / 1000:.1f} s" if count else "-"


def _who(actor: str) -> str:
    return actor or zone_store.whoever_this_is()


def _count(zones: list[Zone]) -> str:
    return f"{len(zones)} zone{'' if len(zones) == 1 else 's'}"


def _km2(zone: Zone) -> float:
    return zone_files.area_m2(zone.shape) / 1e6


def _money(incentive: IncentivePublished) -> str:
    return f"{incentive.bonus_minor / 100:.2f} {incentive.currency}"


def _moment_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misconfigured(f"--start is {text[:40]!r}; a moment such as 2026-11-21T18:00 is wanted") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if moment.timestamp() > time.time() + zone_store.FARTHEST_S:
        raise Misconfigured(f"--start is {text[:40]!r}; within a year from now is wanted")
    return round(moment.timestamp() * 1000)


def _time(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M:%S}" if at_ms else "never"
