"""`baton policy` and `baton flags`: what is in force, what a file would change, and changing it."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from dispatch.config import Settings
from dispatch.contract.records.system import FeatureFlagToggled, PolicyPublished
from dispatch.core.policy import Flag, Flags, Policy
from dispatch.core.policy_document import Change, differences, schema
from dispatch.inputs import policy_file, rulebook
from dispatch.inputs.rulebook import InForce, Rule
from dispatch.log.errors import Misconfigured

policy_app = typer.Typer(no_args_is_help=True, help="The policy: every number of the rules, in one document.")
flags_app = typer.Typer(no_args_is_help=True, help="The feature flags: on or off, for which share, in which zones.")

PolicyPath = Annotated[Path, typer.Argument(metavar="FILE", help="A policy, TOML or JSON.")]
Why = Annotated[str, typer.Option("--reason", help="Why; kept in the history.")]
Who = Annotated[str, typer.Option("--actor", help="Who; by default the user of this terminal.")]
_reach: Callable[[], Settings]


def attach(app: typer.Typer, reach: Callable[[], Settings]) -> None:
    """Adds both to the command line. `reach` gives the settings once Kafka and the topics of the rules are there."""
    global _reach
    _reach = reach
    app.add_typer(policy_app, name="policy")
    app.add_typer(flags_app, name="flags")


@policy_app.command("schema")
def show_schema() -> None:
    """Print the JSON Schema of a policy; the same as docs/policy.schema.json."""
    typer.echo(json.dumps(schema(), indent=2))


@policy_app.command("show")
def show_policy(
    effective: Annotated[bool, typer.Option("--effective", help="Every field, not only what differs.")] = False,
    zone: Annotated[str, typer.Option(help="As it holds for deliveries of this zone.")] = "",
) -> None:
    """Print the policy in force as TOML: what differs from the defaults, or every field."""
    found = _in_force()
    policy = found.policy or Policy(version=0)
    if found.published:
        last = found.published
        why = f": {last.reason}" if last.reason else ""
        typer.echo(f"# in force since {_time(last.at_ms)} by {last.actor_id}{why}")
    else:
        typer.echo("# none was published; these are the defaults")
    if zone:
        typer.echo(
            f"# as it holds in zone {zone}" + ("" if zone in policy.by_zone else ", which has nothing of its own")
        )
        policy = msgspec.structs.replace(policy.for_zone(zone), by_zone={})
    typer.echo(policy_file.toml(policy, every_field=effective), nl=False)


@policy_app.command("check")
def check_policy(file: PolicyPath) -> None:
    """Say whether a file is a good policy; Kafka is not asked."""
    chosen = differences(Policy(), policy_file.read(file).policy)
    typer.echo(f"{file.name} is a good policy; {len(chosen)} fields differ from the defaults.")


@policy_app.command("diff")
def diff_policy(file: PolicyPath) -> None:
    """Print field by field what would change if the file were applied."""
    wanted = policy_file.read(file).policy
    found = _in_force()
    _print_changes(differences(found.policy or Policy(), wanted), found)


@policy_app.command("apply")
def apply_policy(file: PolicyPath, reason: Why, actor: Who = "") -> None:
    """Put a file's policy in force as the next version. What it leaves out has its default."""
    wanted = policy_file.read(file)

    def decide(found: InForce) -> list[Rule]:
        now = found.published.version if found.published else 0
        if wanted.version is not None and found.published and wanted.version != now:
            raise Misconfigured(
                f"{file.name} was made from version {wanted.version}, and {now} is in force; nothing was changed. "
                f"`baton policy diff {file.name}` tells what differs; with version = {now} in the file it is applied"
            )
        if found.policy is not None and not differences(found.policy, wanted.policy):
            return []
        return [rulebook.next_policy(found, wanted.policy, actor or rulebook.whoever_this_is(), reason)]

    settings = _reach()
    found, made = rulebook.change(settings.kafka, settings.namespace, decide)
    _print_changes(differences(found.policy or Policy(), wanted.policy), found)
    for rule in made:
        typer.echo(f"Version {rule.version} is in force.")


@policy_app.command("history")
def policy_history() -> None:
    """List the versions: when, by whom, why, and what each changed."""
    before = Policy()
    for rule in _history():
        if isinstance(rule, PolicyPublished):
            policy = rulebook.policy_in(rule)
            typer.echo(f"{_time(rule.at_ms)}  version {rule.version} by {rule.actor_id}" + _because(rule.reason))
            for change in differences(before, policy):
                typer.echo(f"    {_said(change)}")
            before = policy


@flags_app.command("list")
def list_flags() -> None:
    """List the flags as they are, who set each last, and why."""
    found = _in_force()
    for name in Flags.__struct_fields__:
        last = found.flags.get(name)
        since = f"; since {_time(last.at_ms)} by {last.actor_id}{_because(last.reason)}" if last else "; the default"
        typer.echo(f"{name}: {_flag_said(found.flag(name))}{since}")


@flags_app.command("set")
def set_flag(
    name: Annotated[str, typer.Argument(help="The flag; `baton flags list` names them.")],
    reason: Why,
    on: Annotated[bool | None, typer.Option("--on/--off", help="Whether it is on at all.")] = None,
    rollout: Annotated[
        int | None, typer.Option(min=0, max=100, help="For this share of the deliveries, by their id.")
    ] = None,
    zones: Annotated[str | None, typer.Option(help="Only in these zones, with commas; '' is everywhere.")] = None,
    actor: Who = "",
) -> None:
    """Change a flag, for deliveries that become ready from now on. What is not given stays as it is."""
    if on is None and rollout is None and zones is None:
        raise Misconfigured("nothing to set: give --on or --off, --rollout or --zones")
    changes: dict[str, Any] = {}
    if on is not None:
        changes["enabled"] = on
    if rollout is not None:
        changes["rollout_percent"] = rollout
    if zones is not None:
        changes["zones"] = tuple(dict.fromkeys(zone.strip() for zone in zones.split(",") if zone.strip()))

    def decide(found: InForce) -> tuple[Rule, ...]:
        rulebook.known_flag(name)
        flag = msgspec.structs.replace(found.flag(name), **changes)
        return rulebook.toggled(found, name, flag, actor or rulebook.whoever_this_is(), reason)

    rulebook.known_flag(name)
    settings = _reach()
    found, made = rulebook.change(settings.kafka, settings.namespace, decide)
    if not made:
        typer.echo(f"{name} is so already: {_flag_said(found.flag(name))}.")
    for rule in made:
        if isinstance(rule, FeatureFlagToggled):
            typer.echo(f"{name}: {_toggle_said(rule)}.")


@flags_app.command("history")
def flag_history() -> None:
    """List the changes of the flags: when, by whom, why, from what to what."""
    for rule in _history():
        if isinstance(rule, FeatureFlagToggled):
            typer.echo(
                f"{_time(rule.at_ms)}  {rule.flag}: {_toggle_said(rule)}, by {rule.actor_id}" + _because(rule.reason)
            )


def _in_force() -> InForce:
    settings = _reach()
    return rulebook.in_force(settings.kafka, settings.namespace)


def _history() -> list[PolicyPublished | FeatureFlagToggled]:
    settings = _reach()
    return rulebook.history(settings.kafka, settings.namespace)


def _print_changes(changes: tuple[Change, ...], found: InForce) -> None:
    version = found.published.version if found.published else 0
    if not changes:
        typer.echo(f"Nothing differs from version {version}, which is in force.")
    for change in changes:
        typer.echo(_said(change))


def _said(change: Change) -> str:
    return f"{'.'.join(change.path)}: {_value(change.old)} -> {_value(change.new)}"


def _value(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False)


def _toggle_said(rule: FeatureFlagToggled) -> str:
    was = Flag(enabled=rule.was_enabled, rollout_percent=rule.was_rollout_percent, zones=rule.was_zones)
    now = Flag(enabled=rule.enabled, rollout_percent=rule.rollout_percent, zones=rule.zones)
    return f"{_flag_said(was)} -> {_flag_said(now)}"


def _flag_said(flag: Flag) -> str:
    where = f" in {', '.join(flag.zones)}" if flag.zones else ""
    return f"{'on' if flag.enabled else 'off'}, {flag.rollout_percent}%{where}"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _time(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at_ms / 1000))
