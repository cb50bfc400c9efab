"""`baton contract`: what others rely on, without a running gateway."""

import json

import typer

contract_app = typer.Typer(no_args_is_help=True, help="What others rely on: topics, sockets, doors.")


# With one command typer would drop its name; a callback keeps it.
@contract_app.callback()
def _contract() -> None:
    """What others rely on."""


def attach(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(contract_app, name="contract")


@contract_app.command("asyncapi")
def topics_and_sockets() -> None:
    """Print the AsyncAPI 3.0 document, as GET /asyncapi.json serves it."""
    from gateways.documents import asyncapi

    typer.echo(json.dumps(asyncapi.document(), indent=1, ensure_ascii=False))
