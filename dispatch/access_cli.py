"""`baton token` and `baton keys`: tokens for development, and API keys for services."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, get_args

import typer
from rich.console import Console
from rich.table import Table

from dispatch.config import Settings
from dispatch.contract import topics

keys_app = typer.Typer(no_args_is_help=True, help="API keys of services: made, shown once, revoked.")
console = Console()
_ID = re.compile(r"[A-Za-z0-9_.:@|-]{1,128}")
_TTL = re.compile(r"([0-9]{1,9})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_settings: Callable[..., Settings]
_require_kafka: Callable[[Settings, str], None]
Sellers = Annotated[list[str] | None, typer.Option("--seller", help="A seller it speaks for; may be repeated; *: all.")]
Who = Annotated[str, typer.Option("--actor", help="Who; by default the user of this terminal.")]


def attach(app: typer.Typer, settings: Callable[..., Settings], require: Callable[[Settings, str], None]) -> None:
    """Adds the commands. `settings` gives them, `require` says in a sentence when Kafka or a topic is not there."""
    global _settings, _require_kafka
    _settings, _require_kafka = settings, require
    app.command("token")(token)
    app.add_typer(keys_app, name="keys")


def token(
    role: Annotated[str, typer.Option(help="order_service, driver, customer, support, ops, analyst or admin.")],
    sub: Annotated[str, typer.Option(help="The driver's id, the service's or the person's name.")],
    ttl: Annotated[str, typer.Option(help="How long it holds: 90s, 15m, 1h, 1d.")] = "1h",
    seller: Sellers = None,
    device: Annotated[str, typer.Option(help="The driver's device.")] = "",
) -> None:
    """Print a token that the local stack takes, signed with its own key in BATON_HOME."""
    from dispatch import config
    from gateways.access import local_key
    from gateways.access.doors import Role

    found = next((one for one in get_args(Role) if one == role), None)
    if found is None:
        raise typer.BadParameter(f"{role!r} is no role; known are {', '.join(get_args(Role))}", param_hint="--role")
    settings = config.load()
    sellers = _ids(seller or [], "--seller")
    _ids([sub, *([device] if device else [])], "--sub")
    key = local_key.of(settings.home.resolve(), settings.sign_in_issuer, settings.sign_in_audience)
    if key is None:
        raise typer.BadParameter(f"there is no key in {settings.home}; `baton up` makes one", param_hint="BATON_HOME")
    ttl_s = _seconds(ttl)
    if ttl_s > settings.sign_in_longest_s:
        raise typer.BadParameter(f"{ttl} is longer than {settings.sign_in_longest_s} s", param_hint="--ttl")
    typer.echo(key.token(found, sub, ttl_s=ttl_s, sellers=sellers, device=device))


@keys_app.command("create")
def create(
    role: Annotated[str, typer.Option(help="order_service, support, ops, analyst or admin.")],
    name: Annotated[str, typer.Option(help="The service's name: the actor of what it does.")],
    seller: Sellers = None,
    days: Annotated[int, typer.Option(min=0, max=3_650, help="Ends after so many days; 0: never.")] = 0,
    actor: Who = "",
) -> None:
    """Make a key and print it, this once; gateways take it within a second."""
    from dispatch.inputs import api_keys, rulebook
    from gateways.access.api_keys import KEY_ROLES

    if role not in KEY_ROLES:
        raise typer.BadParameter(f"{role!r} is no role of a key; {', '.join(KEY_ROLES)} are", param_hint="--role")
    sellers = _ids(seller or [], "--seller")
    if (role == "order_service") != bool(sellers):
        raise typer.BadParameter("an order_service speaks for sellers, others do not", param_hint="--seller")
    _ids([name], "--name")
    settings = _reached()
    shown, record = api_keys.made(role, name, sellers, days=days, actor_id=actor or rulebook.whoever_this_is())
    api_keys.publish(settings.kafka, settings.namespace, record)
    typer.echo(shown)


@keys_app.command("list")
def show() -> None:
    """Every key ever made: whose, for whom, whether it holds. Never the key."""
    from dispatch.inputs import api_keys

    settings = _reached()
    table = Table("id", "role", "name", "sellers", "made (UTC)", "by", "holds", box=None)
    found = api_keys.known(settings.kafka, settings.namespace).by_id.values()
    for key in sorted(found, key=lambda one: (one.subject, one.key_id)):
        ended = key.revoked_at_ms or key.expires_at_ms
        holds = f"revoked {_time(ended)}" if key.revoked_at_ms else f"until {_time(ended)}" if ended else "yes"
        table.add_row(key.key_id, key.role, key.subject, " ".join(key.sellers), _time(key.at_ms), key.actor_id, holds)
    console.print(table)


@keys_app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="As `baton keys list` shows it.")],
    reason: Annotated[str, typer.Option(help="Why; kept with the key.")],
    actor: Who = "",
) -> None:
    """End a key; gateways refuse it within a second."""
    from dispatch.inputs import api_keys, rulebook

    settings = _reached()
    key = api_keys.known(settings.kafka, settings.namespace).by_id.get(key_id)
    if key is None:
        raise typer.BadParameter(f"no key {key_id[:64]!r} is known", param_hint="KEY_ID")
    if key.revoked_at_ms:
        typer.echo(f"{key_id} was revoked {_time(key.revoked_at_ms)} already")
        return
    if not reason.strip() or len(reason) > 500:
        raise typer.BadParameter("1 to 500 characters are wanted", param_hint="--reason")
    actor_id = actor or rulebook.whoever_this_is()
    api_keys.publish(settings.kafka, settings.namespace, api_keys.revoked(key, actor_id=actor_id, reason=reason))
    typer.echo(f"{key_id} of {key.subject} is revoked")


def make_local_key(settings: Settings) -> None:
    """The local stack signs its own tokens; anybody else's key is theirs to make. Raises Misconfigured."""
    from gateways.access import local_key

    folder = settings.home.resolve()
    if settings.sign_in_key_file == folder / local_key.PUBLIC:
        local_key.make(folder)


def signed_as_driver(settings: Settings) -> Callable[[str], str] | None:
    """Makes a token for a driver's id, with the local stack's key; None: it has none, and asks for no sign-in."""
    from gateways.access import local_key

    key = local_key.of(settings.home.resolve(), settings.sign_in_issuer, settings.sign_in_audience)
    return (lambda driver_id: key.current("driver", driver_id)) if key else None


def _reached() -> Settings:
    settings = _settings()
    _require_kafka(settings, topics.API_KEYS.name)
    return settings


def _ids(given: list[str], option: str) -> list[str]:
    for one in given:
        if not _ID.fullmatch(one) and not (one == "*" and option == "--seller"):
            raise typer.BadParameter(f"{one[:60]!r} is no id; letters, digits and _.:@|- are", param_hint=option)
    return given


def _seconds(text: str) -> int:
    read = _TTL.fullmatch(text)
    if read is None or not int(read[1]):
        raise typer.BadParameter(f"{text[:30]!r} is no span; 90s, 15m, 1h or 1d are", param_hint="--ttl")
    return int(read[1]) * _SECONDS[read[2]]


def _time(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
