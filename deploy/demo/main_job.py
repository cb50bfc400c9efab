"""`baton demo`: up, drivers, orders, a live view; then the log is checked, and the check decides the exit code."""

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, TopicPartition
from rich.console import Console
from rich.live import Live

from deploy.demo.feed import NotSent, feed
from deploy.demo.order_file import read
from deploy.demo.pace import FASTEST, measured, pace
from deploy.demo.tally import Tally
from deploy.demo.view import render
from deploy.local import Addresses, StartFailed
from deploy.local.stack import StackOptions, baton, down, plan, up
from dispatch.checker import check_log
from dispatch.config import Settings
from dispatch.contract import codec, topics
from dispatch.log.connecting import kafka_client

SAMPLE = Path(__file__).parent / "data" / "freiburg-evening-600.csv"
ZONES = SAMPLE.parent / "freiburg-zones.geojson"
BONUS = ("east", "--bonus", "100", "--currency", "EUR", "--id", "demo-east", "--actor", "demo")
"""In the zone that has too few drivers."""
PAGE = "report.html"
"""Left in the demonstration's folder."""
_SETTLE_S = 90.0
_QUIET_S = 3.0


def run(settings: Settings, console: Console, *, drivers: int, speed: float | None, orders: int) -> int:
    """0 when every rule held and every order was settled, else 1. Without a speed: as fast as this machine follows."""
    folder = (settings.home / "demo").resolve()
    clear(folder)
    given = Addresses(settings.kafka, settings.postgres, settings.valkey)
    console.print(
        f"Starting Kafka, Postgres, Valkey and Baton in {folder} (the first time downloads Kafka, about 20 s)"
    )
    began = time.monotonic()
    with console.status("starting") as line:
        if speed is None:
            speed = pace(measured(lambda: list(read(SAMPLE))))
            if speed < FASTEST:
                console.print(f"This machine is slow today: the city lives {speed:g} times as fast, not {FASTEST:g}")
        said = up(folder, plan(given, StackOptions(speed=speed), folder), line.update)
    console.print(
        f"Up after {time.monotonic() - began:.1f} s; {drivers} drivers sign on, the city lives {speed:g} times as fast"
    )
    try:
        return _evening(said, folder, console, drivers=drivers, speed=speed, orders=orders)
    finally:
        with console.status("stopping"):
            down(folder)


def clear(folder: Path) -> None:
    """Removes what an earlier demonstration left. Raises StartFailed for a folder that none has made."""
    if folder.is_dir() and not (folder / "up.lock").exists() and any(folder.iterdir()):
        raise StartFailed(f"{folder} holds something else than a demonstration; BATON_HOME names another place")
    down(folder)
    shutil.rmtree(folder, ignore_errors=True)


def _evening(said: dict[str, Any], folder: Path, console: Console, *, drivers: int, speed: float, orders: int) -> int:
    kafka = said["addresses"]["kafka"]
    evening = sorted(read(SAMPLE), key=lambda timed: timed.arrives_s)[:orders]
    _city(folder, console)
    robots = subprocess.Popen(
        baton("drivers", str(drivers), "--speed", str(speed)),
        env=os.environ | {"BATON_HOME": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    stop, sent, failed = threading.Event(), [0], list[str]()

    def send() -> None:
        try:
            feed(evening, kafka, speed=speed, stop=stop, told=lambda count: sent.__setitem__(0, count))
        except NotSent as error:
            failed.append(str(error))

    feeder = threading.Thread(target=send, name="feed")
    try:
        time.sleep(2 + drivers / 40)
        feeder.start()
        tally = _watch(kafka, console, feeder, sent, len(evening), speed)
    finally:
        stop.set()
        if feeder.ident is not None:
            feeder.join()
        robots.terminate()
        did = (robots.communicate(timeout=30)[0] or "").strip()
    time.sleep(_QUIET_S)
    report = check_log(kafka)
    settled = tally.settled()
    console.print(f"\nDrivers: {did}")
    console.print(f"{settled} of {len(evening)} orders ended or are with people; "
                  f"ready to offer p50 {tally.percentile_ms(0.5)} ms, p99 {tally.percentile_ms(0.99)} ms")  # fmt: skip
    _tell(tally, console)
    console.print("Checked from the log alone: " + report.text(), highlight=False)
    for problem in failed:
        console.print(f"The feed failed: {problem}")
    passed = report.ok and settled == len(evening) and not failed
    console.print("The check passed." if passed else "The check FAILED.", style="bold green" if passed else "bold red")
    if name := next(iter(tally.status), ""):
        console.print(f"\nOne delivery of them, as `baton delivery {name}` tells it:")
        subprocess.run(baton("delivery", name), env=os.environ | {"BATON_HOME": str(folder)}, check=False)
    console.print("\nThe evening, as `baton report` tells it:")
    words = ("report", "--speed", f"{speed:g}", "--html", str(folder / PAGE))
    told = subprocess.run(baton(*words), env=os.environ | {"BATON_HOME": str(folder)}, check=False)
    passed = passed and told.returncode == 0
    if name:
        up_again, why = f"BATON_HOME={folder} baton up --speed {speed:g}", f"baton replay timeline {name}"
        console.print(
            f"Its log, again: {up_again}\nthen, with the same BATON_HOME: {why}", highlight=False, soft_wrap=True
        )
    return 0 if passed else 1


def _tell(tally: Tally, console: Console) -> None:
    """What came of promises, money and zones."""
    kept, money = tally.promises, tally.money
    if kept.ended:
        band = f"; {100 * kept.in_band / kept.with_band:.0f}% within the band told" if kept.with_band else ""
        console.print(f"Arrivals: {100 * kept.soon / kept.ended:.0f}% of {kept.ended} within 5 min of what was told "
                      f"when the driver took it{band}; {tally.eta_changes} changes told")  # fmt: skip
    if money.settled:
        console.print(f"Money of {money.settled} settled: revenue {money.revenue_minor / 100:,.2f} {money.currency}, "
                      f"cost {money.cost_minor / 100:,.2f} (drivers {money.driver_pay_minor / 100:,.2f}), "
                      f"net {money.net_minor / 100:,.2f}")  # fmt: skip
    if short := [zone.name for zone in tally.zones.values() if zone.health is not None and zone.health.understaffed]:
        console.print(f"Understaffed at the end: {', '.join(sorted(short))}")


def _city(folder: Path, console: Console) -> None:
    """Zones and a bonus, by the commands that anybody would use. Raises StartFailed when one is refused."""
    for words in (("zones", "import", str(ZONES), "--actor", "demo"), ("incentives", "set", *BONUS)):
        did = subprocess.run(
            baton(*words), env=os.environ | {"BATON_HOME": str(folder)}, capture_output=True, text=True, check=False
        )
        if did.returncode:
            raise StartFailed(f"`baton {' '.join(words)}`: {did.stderr.strip()}")
        console.print(did.stdout.strip(), highlight=False)


def _watch(kafka: str, console: Console, feeder: threading.Thread, sent: list[int], wanted: int, speed: float) -> Tally:
    """The live view, until everything is settled, or for a while after the last order."""
    tally, began = Tally(speed), time.monotonic()
    consumer = Consumer({**kafka_client(kafka, "demo"), "group.id": "demo-view", "isolation.level": "read_committed",
                         "enable.auto.commit": False, "fetch.wait.max.ms": 100})  # fmt: skip
    known = consumer.list_topics(timeout=10).topics
    names = [topic.name for topic in (topics.DELIVERY_EVENTS, topics.ZONES, topics.ZONE_HEALTH, topics.PRICES)]
    consumer.assign([TopicPartition(name, number, 0) for name in names for number in known[name].partitions])
    until, shown = float("inf"), 0.0
    try:
        with Live(console=console, refresh_per_second=4, transient=False) as live:
            while time.monotonic() < until and tally.settled() < wanted:
                for message in consumer.consume(500, 0.2):
                    if message.error() is None:
                        tally.take(codec.decode(message.value()))
                if not feeder.is_alive() and until == float("inf"):
                    until = time.monotonic() + _SETTLE_S
                if console.is_terminal or time.monotonic() - shown > 30:
                    shown = time.monotonic()
                    live.update(render(tally, time.monotonic() - began, sent[0], wanted), refresh=console.is_terminal)
                    if not console.is_terminal:
                        console.print(f"{sent[0]} of {wanted} orders sent, {tally.settled()} settled")
            live.update(render(tally, time.monotonic() - began, sent[0], wanted), refresh=True)
    finally:
        consumer.close()
    return tally
