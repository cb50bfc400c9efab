"""`baton run PROCESS`: one process of Baton in the foreground, until it is signalled."""

import signal
import threading
from collections.abc import Callable
from typing import Annotated

import typer

from dispatch.config import Settings

run_app = typer.Typer(no_args_is_help=True, help="Run one process of Baton in the foreground.")
_settings: Callable[..., Settings]


def attach(app: typer.Typer, settings: Callable[..., Settings]) -> typer.Typer:
    """Adds the commands; gives the group, for others to add theirs."""
    global _settings
    _settings = settings
    app.add_typer(run_app, name="run")
    return run_app


def until_signalled(work: Callable[[threading.Event], None]) -> None:
    """Works until the process is asked to end."""
    from dispatch.log.collector import rest_the_collector

    rest_the_collector()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    work(stop)


Port = Annotated[int, typer.Option("--health-port", min=0, max=65535, help="Of /health, /ready, /metrics; 0: any.")]


@run_app.command()
def worker(
    slot: Annotated[int, typer.Option(min=0, max=1023, help="This worker's slot.")] = 0, health_port: Port = 0
) -> None:
    """Decide: deliveries, drivers, and the Kafka door for orders."""
    from dispatch.log import logs
    from dispatch.processors.service import run

    settings = _settings(slot=slot, health_port=health_port)
    logs.configure(f"worker-{slot}", settings.log_level)
    until_signalled(lambda stop: run(settings, stop))


@run_app.command()
def streams(health_port: Port = 0) -> None:
    """Keep the geo index, tell signs of life, wake waiting deliveries."""
    from dispatch.log import logs
    from dispatch.streams.geo_feed import run

    settings = _settings(health_port=health_port)
    logs.configure("streams", settings.log_level)
    until_signalled(lambda stop: run(settings, stop))


@run_app.command()
def eta(health_port: Port = 0) -> None:
    """Learn how arrivals spread, and reckon those of deliveries under way anew."""
    from dispatch.log import logs
    from dispatch.streams.eta_tracker import run

    settings = _settings(health_port=health_port)
    logs.configure("eta", settings.log_level)
    until_signalled(lambda stop: run(settings, stop))


@run_app.command()
def projector(
    health_port: Port = 0,
    lanes: Annotated[int, typer.Option(min=1, max=64, help="Threads, each with partitions of its own.")] = 1,
) -> None:
    """Fold events into the read models, anchor the audit, let old months go."""
    from dispatch.log import logs
    from projections.audit.anchors import anchoring
    from projections.keeping.keeper import keeping
    from projections.service import run

    settings = _settings(health_port=health_port)
    logs.configure("projector", settings.log_level)
    with anchoring(settings.postgres, settings.audit_key_file), keeping(settings.postgres):
        until_signalled(
            lambda stop: run(settings.kafka, settings.postgres, settings.namespace, health_port, stop, lanes)
        )


@run_app.command()
def notifier(health_port: Port = 0) -> None:
    """Tell customers, drivers, operations and support; keep tickets."""
    from dispatch.log import logs
    from dispatch.notices.service import run

    settings = _settings(health_port=health_port)
    logs.configure("notifier", settings.log_level)
    until_signalled(lambda stop: run(settings, stop))


@run_app.command()
def webhooks(health_port: Port = 0) -> None:
    """Tell sellers' servers what happens to their deliveries."""
    from dispatch.log import logs
    from dispatch.webhooks.service import run

    settings = _settings(health_port=health_port)
    logs.configure("webhooks", settings.log_level)
    until_signalled(lambda stop: run(settings, stop))


@run_app.command()
def followers(health_port: Port = 0) -> None:
    """All that only follows (eta, scores, notifier, webhooks) in one process, for a small machine."""
    from dispatch.followers import run
    from dispatch.log import logs

    settings = _settings(health_port=health_port)
    logs.configure("followers", settings.log_level)
    until_signalled(lambda stop: run(settings, stop))


@run_app.command()
def gateway(
    slot: Annotated[int | None, typer.Option(min=0, max=1023, help="This gateway's slot of replies.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Where it listens.")] = None,
) -> None:
    """Serve HTTP and the drivers' sockets. Several may run, each with a slot of its own."""
    from dispatch.log import logs
    from gateways.service import run

    given = {"slot": slot, "gateway_port": port}
    settings = _settings(**{name: value for name, value in given.items() if value is not None})
    logs.configure(f"gateway-{settings.slot}" if settings.slot else "gateway", settings.log_level)
    run(settings, threading.Event())
