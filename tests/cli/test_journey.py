"""What README tells a newcomer to type, typed: the demonstration, then a stack that is up, fed, asked and stopped."""

import csv
import json
import re
import subprocess
import time
from pathlib import Path

import httpx
import psycopg
import pytest
from command import BATON, Said, baton, environment
from prometheus_client.parser import text_string_to_metric_families

from deploy.demo import city
from dispatch.followers import ALL
from dispatch.metrics.catalogue import SECTIONS

pytestmark = pytest.mark.servers
SPEED = "60"
ORDERS = 6
CONSUMERS = {
    "worker": {"worker", "rules"}, "streams": {"streams", "zone_health"}, "projector": {"projector"},
    "followers": {"eta", "scores", "notifier", "webhooks"}, "gateway": {"offers", "following"},
}  # fmt: skip


def test_the_demonstration_ends_well_and_tells_what_it_did(home: Path) -> None:
    began = time.monotonic()
    said = baton(home, "demo", "--orders", "12", "--drivers", "8", "--speed", "100", within_s=170)
    print(f"demo: {time.monotonic() - began:.1f} s")
    assert said.code == 0, said
    words = " ".join(said.out.split())
    assert re.search(r"Up after [\d.]+ s; 8 drivers sign on, the city lives 100 times as fast", words)
    assert re.search(r"Drivers: .*signed on: 8", words)
    assert "12 of 12 orders ended or are with people; ready to offer p50" in words
    assert "Checked from the log alone: " in words
    assert "The check passed." in words
    assert re.search(r"One delivery of them, as `baton delivery [0-9a-f-]{36}` tells it:", words)
    assert re.search(r"baton replay timeline [0-9a-f-]{36}", words)
    assert re.search(r"Search 1 within \d+ km \(zone [\w-]+, \d+ online of at least \d+\): \d+ free, \d+ busy", words)
    assert "Version 1 is in force: 6 zones." in words
    assert re.search(r"Arrivals: \d+% of \d+ within 5 min of what was told", words)
    assert re.search(
        r"Money of \d+ settled: revenue [\d,.]+ EUR, cost [\d,.]+ \(drivers [\d,.]+\), net -?[\d,.]+", words
    )
    assert re.search(r"Settled as \w+: net -?[\d.]+ EUR", words)
    assert said.error == ""
    assert baton(home, "status").code == 1


@pytest.fixture(scope="module")
def stack(home: Path) -> Said:
    """What `baton up` said."""
    said = baton(home, "up", "--speed", SPEED, within_s=200)
    assert said.code == 0, said
    return said


@pytest.fixture(scope="module")
def fed(home: Path, stack: Said) -> Path:
    """A file of orders that was sent while drivers were about; it stays while all is settled."""
    assert stack.code == 0
    path = home / "orders.csv"
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, city.COLUMNS)
        writer.writeheader()
        writer.writerows({**row, "arrives_s": str(10 * n)} for n, row in enumerate(city.orders(ORDERS, seed=5)))
    command = [str(BATON), "drivers", "8", "--speed", SPEED]
    with subprocess.Popen(command, cwd=home, env=environment(), stdout=subprocess.PIPE, text=True) as drivers:
        try:
            time.sleep(2)
            said = baton(home, "feed", "orders.csv", "--speed", SPEED)
            assert re.search(rf"^{ORDERS} orders sent in [\d.]+ s$", said.out, re.MULTILINE), said
            assert (said.code, said.error) == (0, "")
            _until_all_delivered_or_with_people(home, path)
        finally:
            drivers.terminate()
        tally, _ = drivers.communicate(timeout=30)
    assert drivers.returncode == 0
    assert "signed on: 8" in " ".join(tally.split())
    return path


def _names(path: Path) -> list[str]:
    with path.open(newline="") as rows:
        return [f"{row['seller_id']}/{row['seller_order_id']}" for row in csv.DictReader(rows)]


def _until_all_delivered_or_with_people(home: Path, path: Path) -> None:
    """The check alone tells: it is broken while an order is under way."""
    until = time.monotonic() + 90
    while (said := baton(home, "check")).code != 0 or not baton(home, "delivery", _names(path)[-1]).out:
        assert time.monotonic() < until, said
        time.sleep(1)


def test_status_names_every_part_with_its_address_and_restarts(home: Path, stack: Said) -> None:
    said = baton(home, "status")
    assert said.code == 0, said
    header, *rows = said.out.splitlines()
    assert header.split() == ["part", "state", "pid", "address", "up", "for", "restarts"]
    parts = {row.split()[0]: row for row in rows}
    assert list(parts) == [
        "kafka", "postgres", "valkey", "worker-0", "streams", "projector", "followers", "gateway",
    ]  # fmt: skip
    for name, row in parts.items():
        assert re.search(rf"^ ?{name} +up +\d+ +\S+ +\d+ s +0 *$", row), row
    assert re.search(r"http://127\.0\.0\.1:\d+ ", parts["gateway"])
    assert [line.split()[0] for line in stack.out.splitlines()[-len(parts) :]] == list(parts)


def test_every_process_shows_its_metrics_where_prometheus_is_told_to_look(home: Path, stack: Said) -> None:
    assert stack.code == 0
    said = baton(home, "metrics", "scrape", "--targets")
    assert (said.code, said.error) == (0, "")
    where = {group["labels"]["process"]: group["targets"][0] for group in json.loads(said.out)}
    assert set(where) == {"worker-0", "streams", "projector", "followers", "gateway"}
    for process, address in where.items():
        answer = httpx.get(f"http://{address}/metrics", timeout=10)
        assert answer.status_code == 200, process
        families = {family.name: family for family in text_string_to_metric_families(answer.text)}
        runs = set(ALL) if process == "followers" else {process.partition("-")[0]}
        mine = [section for section in SECTIONS if runs & set(section.processes)]
        wanted = {metric.name.removesuffix("_total") for section in mine for metric in section.metrics}
        assert wanted <= set(families), process
        ours = {name for name in families if name.startswith(("baton_", "feature_flag"))}
        ours = {name for name in ours if not name.endswith("_created")}
        others = {metric.name.removesuffix("_total") for section in SECTIONS for metric in section.metrics}
        assert ours <= others, process
        lags = {sample.labels["consumer"] for sample in families["baton_consumer_silent_seconds"].samples}
        assert CONSUMERS[process.partition("-")[0]] <= lags, process
    whole = baton(home, "metrics", "scrape").out
    assert all(address in whole for address in where.values())


def test_a_second_up_is_told_what_to_do(home: Path, stack: Said) -> None:
    assert stack.code == 0
    said = baton(home, "up")
    assert said.code == 2
    assert re.fullmatch(r"baton: a stack is running in \S+; `baton down` stops it, .*\n", said.error)


def test_a_delivery_is_told_in_words_by_its_id_and_by_its_sellers_number(home: Path, fed: Path) -> None:
    name = _names(fed)[0]
    by_number = baton(home, "delivery", name)
    assert by_number.code == 0, by_number
    found = re.match(r"Delivery ([0-9a-f-]{36})\n", by_number.out)
    assert found
    assert baton(home, "delivery", found[1]).out == by_number.out
    words = " ".join(by_number.out.split())
    assert re.search(r"\d\d:\d\d:\d\d\.\d{3}", words)
    assert "robo-00" in words
    assert max(map(len, by_number.out.splitlines())) <= 80


def test_check_tells_what_it_looked_at_and_that_all_rules_hold(home: Path, fed: Path) -> None:
    said = baton(home, "check")
    assert said.code == 0, said
    assert re.search(rf"\b{len(_names(fed))} deliveries\b", " ".join(said.out.split())), said
    assert "BROKEN" not in said.out


def test_a_file_sent_again_changes_nothing(home: Path, fed: Path) -> None:
    before = [baton(home, "delivery", name).out for name in _names(fed)[:2]]
    assert baton(home, "feed", "orders.csv", "--speed", "100000").code == 0
    time.sleep(3)
    assert [baton(home, "delivery", name).out for name in _names(fed)[:2]] == before


def test_a_file_with_a_mistake_sends_nothing(home: Path, fed: Path) -> None:
    text = fed.read_text().replace(",5-000", ",5-0001")
    (home / "wrong.csv").write_text(text.replace("5-0001006", "5-0001006,"))
    said = baton(home, "feed", "wrong.csv")
    assert said.code == 2
    assert re.fullmatch(
        r"baton: wrong\.csv: line 7, column 17: 17 cells; 16 are wanted, as in the header\n", said.error
    )
    first = _names(fed)[0].replace("/5-000", "/5-0001")
    assert baton(home, "delivery", first).error == f"baton: no delivery {first} is known\n"


@pytest.mark.parametrize("name", ["nobody/nothing", "c0ffee", "00000000-0000-5000-8000-000000000000", "/", "' OR 1=1"])
def test_an_unknown_delivery_is_told(home: Path, stack: Said, name: str) -> None:
    assert stack.code == 0
    said = baton(home, "delivery", name)
    assert (said.code, said.out, said.error) == (2, "", f"baton: no delivery {name} is known\n")


def test_each_process_is_logged_in_under_its_own_role(home: Path, fed: Path) -> None:
    assert fed.exists()
    address = json.loads((home / ".baton" / "status.json").read_text())["addresses"]["postgres"]
    with psycopg.connect(address) as connection:
        found = connection.execute(
            "SELECT DISTINCT usename FROM pg_stat_activity WHERE datname = 'baton' AND pid <> pg_backend_pid()"
        ).fetchall()
    roles = {name for (name,) in found}
    assert roles >= {"baton_projector", "baton_gateway", "baton_notifier", "baton_webhooks"}
    assert "baton" not in roles, "the owner of the tables is for setup"


def test_operators_say_for_how_long_tables_are_kept(home: Path, fed: Path) -> None:
    assert fed.exists()
    said = baton(home, "projections", "keep", "zone_prices", "90", "--actor", "eva", "--reason", "a test")
    assert (said.code, said.out) == (0, "zone_prices is kept 90 days.\n"), said
    assert re.search(r"^ zone_prices +90 days +- +[\d.]+ +eva +a test", baton(home, "projections", "kept").out, re.M)
    assert baton(home, "projections", "drop-old", "--dry-run").out == "Nothing is old enough to go.\n"
    assert baton(home, "projections", "drop-old").out == "Nothing was old enough to go.\n"
    for how_long, mistake in (("3", "7 is the least"), ("soon", "no number of days")):
        said = baton(home, "projections", "keep", "deliveries", how_long, "--actor", "eva", "--reason", "a test")
        assert said.code == 2
        assert mistake in said.error


def test_down_stops_all_and_the_data_stays(home: Path, fed: Path) -> None:
    assert fed.exists()
    assert baton(home, "down").out.strip() == "Stopped."
    assert "Nothing runs in" in baton(home, "status").out
    assert baton(home, "down").out.strip().startswith("Nothing runs in")
    told = baton(home, "delivery", _names(fed)[0])
    assert told.code == 2
    assert "no stack runs in .baton; `baton up` starts one" in told.error
    assert (home / ".baton" / "status.json").exists()
