"""`baton metrics`: where the running stack's processes are scraped."""

from typing import Annotated

import typer

from dispatch import config

metrics_app = typer.Typer(no_args_is_help=True, help="Where Prometheus finds the metrics.")


# With one command typer would drop its name; a callback keeps it.
@metrics_app.callback()
def _metrics() -> None:
    """Where Prometheus finds the metrics."""


def attach(app: typer.Typer) -> None:
    """Adds the commands."""
    app.add_typer(metrics_app, name="metrics")


@metrics_app.command()
def scrape(
    targets: Annotated[bool, typer.Option("--targets", help="Only where: a file for file_sd_configs.")] = False,
) -> None:
    """Print Prometheus' configuration for the stack that runs here, with the alert rules."""
    from deploy.local import StartFailed
    from deploy.local.stack import running
    from deploy.prometheus import scraping

    folder = config.load().home.resolve()
    said = running(folder)
    if not said:
        raise StartFailed(f"no stack runs in {folder}; `baton up` starts one")
    found = scraping.targets(said["parts"])
    typer.echo(scraping.targets_file(found) if targets else scraping.configuration(found), nl=False)
