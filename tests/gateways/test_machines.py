"""What knows us by our documents only: a delivery, the client, Confluent's deserializer, a great many odd requests."""

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.schema_registry.schema_registry_client import Schema
from confluent_kafka.serialization import MessageField, SerializationContext
from whole_system import PLACE, System, an_order

from baton.client import Baton, Conflict, NotAllowed, NotSignedIn, NotTaken, Unknown
from deploy.local import Addresses
from dispatch.contract import codec, registry
from gateways.access import local_key
from gateways.access.doors import Role
from tests import fuzz

ROOT = Path(__file__).parents[2]


class SignedIn:
    """The system and the key that signs for it."""

    def __init__(self, system: System, key: local_key.LocalKey) -> None:
        self.system, self.key = system, key

    def client(self, role: Role, subject: str, *sellers: str) -> Baton:
        return Baton(self.system.url, self.key.token(role, subject, sellers=sellers))


@pytest.fixture(scope="module")
def signed(servers: Addresses, database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignedIn]:
    home = tmp_path_factory.mktemp("machines")
    local_key.make(home)
    key = local_key.of(home, "baton-local", "baton")
    assert key is not None
    many = {f"rate_{kind}_per_s": 10_000 for kind in ("open", "read", "write", "ping", "admin", "stream")}
    running = System(servers, database, home, sign_in_key_file=home / local_key.PUBLIC, **many)
    yield SignedIn(running, key)
    running.close()


def run(*command: str, limit_s: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=limit_s,
        cwd=ROOT,
    )


def test_a_program_that_knows_only_the_documents_sees_a_delivery_through(signed: SignedIn) -> None:
    seller = signed.key.token("order_service", "example-shop", sellers=["example-shop"])
    driver = signed.key.token("driver", "eve")
    tokens = ("--seller-token", seller, "--driver-token", driver, "--driver", "eve")
    done = run("examples/one_delivery.py", "--url", signed.system.url, *tokens)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert [line for line in said if line.startswith("delivered: version")], done.stdout
    assert "   heard event: closed" in said
    events = run(
        "examples/consume_events.py", "--kafka", signed.system.settings.kafka, "--registry", signed.system.url,
        "--topic", f"{signed.system.settings.namespace}delivery.events",
    )  # fmt: skip
    assert events.returncode == 0, events.stderr
    records = [json.loads(line) for line in events.stdout.splitlines()]
    delivery_id = said[0].removeprefix("ordered ")
    mine = sorted(record["version"] for record in records if record["delivery_id"] == delivery_id)
    assert mine == list(range(1, len(mine) + 1))
    assert f"version {mine[-1]}" in done.stdout


def test_the_client_sees_a_delivery_through_and_words_what_is_refused(signed: SignedIn) -> None:
    shop, ana = signed.client("order_service", "shop", "s1"), signed.client("driver", "ana")
    with shop, ana, ana.socket("ana") as socket:
        ana.drivers.sign_on("ana", {"vehicle": "car", "capacity": 1, "rating": 4.5, **PLACE})
        heard = iter(socket)
        assert next(heard)["type"] in ("READY", "AVAILABILITY_CHANGED")
        order, key = an_order(seller_id="s1"), uuid.uuid4().hex
        placed = shop.orders.ready(order, key=key)
        assert shop.orders.ready(order, key=key)["version"] == placed["version"]
        delivery_id = placed["delivery_id"]
        offer = next(message for message in heard if message["type"] == "DELIVERY_OFFERED_V2")
        socket.acknowledge(offer)
        signed.system.until(lambda: ana.drivers.offers("ana")["offers"], "the offer in the read model")
        assert [one["offer_id"] for one in ana.drivers.offers("ana")["offers"]] == [offer["offer_id"]]
        assert ana.drivers.accept("ana", offer["offer_id"])["status"] == "assigned"
        with pytest.raises(Conflict):
            ana.drivers.reject("ana", offer["offer_id"], "too_far")
        next(message for message in heard if message["type"] == "DELIVERY_ASSIGNED")
        signed.system.until(lambda: held(ana, delivery_id), "held in the read model")
        assert ana.drivers.in_hand("ana", delivery_id)["contact"]["name"] == "Clara Q."
        for step in ("enroute_to_pickup", "arrived_at_pickup", "picked_up", "enroute_to_dropoff", "arrived_at_dropoff"):
            ana.drivers.progress("ana", delivery_id, offer["offer_id"], step)  # type: ignore[arg-type]
        followed = shop.follow(delivery_id)
        assert next(followed).name == "delivery_status_updated"
        ana.drivers.progress("ana", delivery_id, offer["offer_id"], "delivered")
        assert [event.data["status"] for event in followed if event.name == "delivery_status_updated"][
            -1
        ] == "delivered"
        with pytest.raises(NotAllowed):
            ana.orders.ready(order)
        with pytest.raises(NotTaken) as wrong:
            shop.orders.ready(order | {"currency": "euro"})
        assert wrong.value.errors[0]["field"] == "currency"
        with pytest.raises(Unknown):
            shop.orders.delivery(str(uuid.uuid4()))
        ana.drivers.end_shift("ana")
    with Baton(signed.system.url) as stranger, pytest.raises(NotSignedIn):
        stranger.orders.ready(order)


def held(client: Baton, delivery_id: str) -> bool:
    try:
        client.drivers.in_hand("ana", delivery_id)
    except Unknown:
        return False
    return True


def test_confluents_deserializer_reads_every_kind_of_record(signed: SignedIn) -> None:
    with SchemaRegistryClient({"url": signed.system.url}) as client:
        read = AvroDeserializer(client)
        for subject, kind in codec.RECORD_TYPES.items():
            record = sample(kind)
            said = read(codec.encode(record), SerializationContext("any", MessageField.VALUE))
            assert set(said) == set(kind.__struct_fields__), subject
            assert client.get_latest_version(subject).schema_id == registry.latest()[subject].id
        assert sorted(client.get_subjects()) == sorted(registry.latest())
        newest = registry.latest()["baton.offers.OfferCreated"]
        schema = Schema(json.dumps(newest.schema), "AVRO")
        assert client.lookup_schema(newest.subject, schema).schema_id == newest.id
        with pytest.raises(SchemaRegistryError) as refused:
            client.register_schema("baton.offers.OfferCreated", Schema('{"type": "string"}', "AVRO"))
        assert refused.value.error_code == 42205


def sample(kind: Any) -> Any:
    """A record with something in every field."""
    return msgspec.convert({name: value(hint) for name, hint in get_type_hints(kind).items()}, kind)


def value(kind: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {name: value(hint) for name, hint in get_type_hints(kind).items()}
    plain = {str: "x", int: 7, float: 1.5, bool: True, bytes: b"x"}
    if kind in plain:
        return plain[kind]
    arguments, origin = get_args(kind), getattr(kind, "__origin__", None)
    if origin is tuple:
        return [value(arguments[0])]
    if origin is dict:
        return {"a": value(arguments[1])}
    inner = [argument for argument in arguments if argument is not type(None)]
    return inner[0] if isinstance(inner[0], str) else value(inner[0])


def test_no_odd_request_is_a_fault_of_ours(signed: SignedIn) -> None:
    token = signed.key.token("admin", "fuzz")
    made = fuzz.command(signed.system.url, token, examples=2, seed=7, phases="examples,fuzzing")
    done = subprocess.run(
        made, env=_uncounted(fuzz.environment()), cwd=ROOT, capture_output=True, text=True, timeout=140
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    found = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert found is not None, done.stdout[-2000:]
    assert int(found[1]) == int(found[2]) >= 100, found[0]


def _uncounted(environment: dict[str, str]) -> dict[str, str]:
    """For a process that runs none of our code."""
    return {name: value for name, value in environment.items() if not name.startswith(("COV_", "COVERAGE_"))}
