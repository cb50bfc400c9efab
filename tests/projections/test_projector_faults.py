"""Whatever happens to the projector or to Postgres, the tables are what the log says: nothing lost, nothing doubled."""

import contextlib
import itertools
import socket
import struct
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from folding import OF_EVENTS, Stack, a_history

from bench.histories import Histories
from dispatch.contract import codec, topics
from dispatch.contract.records import delivery_events as de
from dispatch.contract.records.system import DeadLetter
from dispatch.log.reading import read_all
from projections import lane

pytestmark = pytest.mark.servers


_BEFORE = 2
"""What makes the temporary tables; cut there, a connection is like any other that was lost early."""


class Cutting:
    """A way to Postgres that is cut: the first connection behind its first statements, the next one later, ...

    With `answered` False the last message still goes to Postgres, and only its answer is lost: a COMMIT is then done.
    """

    def __init__(self, dsn: str, *, answered: bool, up_to: int) -> None:
        parts = urlsplit(dsn)
        assert parts.hostname is not None
        self._there = (parts.hostname, parts.port or 5432)
        self._answered, self._up_to = answered, up_to
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        self.dsn = dsn.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{port}") + "?sslmode=disable"
        self.cut = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        for number in itertools.count(1):
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(self._there)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._forward, args=(client, server, number), daemon=True).start()
            threading.Thread(target=_pump, args=(server, client), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket, number: int) -> None:
        """Message by message: a type of one byte and a length; the first one has no type. Sync, Query and CopyDone
        end what Postgres is to do next."""
        allowed = _BEFORE + number if number <= self._up_to else None
        first, count = True, 0
        with contextlib.suppress(OSError), client.makefile("rb") as stream:
            while len(head := stream.read(4 if first else 5)) >= 4:
                body = stream.read(struct.unpack("!I", head[-4:])[0] - 4)
                count += not first and head[:1] in b"QSc"
                first = False
                if count == allowed:
                    self.cut += 1
                    if not self._answered:
                        client.shutdown(socket.SHUT_WR)
                        server.sendall(head + body)
                        time.sleep(0.02)
                    break
                server.sendall(head + body)
        client.close()
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        server.close()


def _pump(here: socket.socket, there: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := here.recv(65_536):
            there.sendall(data)


@pytest.mark.no_cover  # sixty times the same lines
@pytest.mark.parametrize("answered", [True, False], ids=["before it is sent", "its answer is lost"])
def test_a_connection_that_is_cut_between_any_two_messages_loses_and_doubles_nothing(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    again = lane.Lane._again
    monkeypatch.setattr(lane.Lane, "_again", lambda self, state, _wait_s=0.0: again(self, state, 0.01))
    history = a_history(seed=2, deliveries=5)
    way = Cutting(stack.where.dsn, answered=answered, up_to=60)
    stack.send(history[: len(history) // 2])
    stack.start(way.dsn)
    stack.folded(len(history) // 2)
    stack.send(history[len(history) // 2 :])
    stack.folded(len(history))
    stack.stop()
    way.close()
    assert way.cut > 30
    assert stack.ask("SELECT count(*) FROM delivery_audit_logs") == len(history)
    assert stack.differences(*OF_EVENTS) == {}


class Carried:
    """What a connection still carries; below zero: all there is."""

    left = -1


class Held:
    """A way to Postgres that stays open and carries nothing any more, once it is told so; one opened later does."""

    def __init__(self, dsn: str) -> None:
        parts = urlsplit(dsn)
        self._there = (str(parts.hostname), parts.port or 5432)
        self._listening = socket.create_server(("127.0.0.1", 0))
        port = self._listening.getsockname()[1]
        self.dsn = dsn.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{port}") + "?sslmode=disable"
        self._held = Carried()
        self._open: list[socket.socket] = []
        self.taken = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def hold(self, after: int) -> None:
        """Those that are open, after so many pieces more."""
        self._held.left, self._held = after, Carried()

    def close(self) -> None:
        self._listening.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                self.taken += 1
                server = socket.create_connection(self._there)
                self._open += [client, server]
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._pump, args=(*ends, self._held), daemon=True).start()

    def _pump(self, here: socket.socket, there: socket.socket, carried: Carried) -> None:
        with contextlib.suppress(OSError):
            while (data := here.recv(65_536)) and carried.left != 0:
                carried.left -= 1
                there.sendall(data)


@pytest.mark.parametrize("pieces", [0, 1])
def test_a_connection_that_a_proxy_holds_open_for_nobody_is_given_up(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, pieces: int
) -> None:
    """With a transaction under way on its other side, or without: of that Postgres frees itself."""
    monkeypatch.setattr(lane, "_LEFT_ALONE", "-c idle_in_transaction_session_timeout=3s")
    monkeypatch.setattr(lane, "SILENT_S", 1.0)
    history = a_history(seed=6, deliveries=10)
    way = Held(stack.where.dsn)
    stack.send(history[: len(history) // 2])
    stack.start(way.dsn)
    stack.folded(len(history) // 2)
    way.hold(after=pieces)
    stack.send(history[len(history) // 2 :])
    time.sleep(2)
    assert stack.ask("SELECT count(*) FROM delivery_audit_logs") == len(history) // 2, "nothing goes through"
    until = time.monotonic() + 60
    while stack.ask("SELECT count(*) FROM delivery_audit_logs") < len(history):
        assert time.monotonic() < until
        stack.lane.watch()
        time.sleep(0.1)
    assert way.taken >= 2
    assert stack.differences(*OF_EVENTS) == {}
    stack.stop()
    way.close()


@pytest.mark.parametrize(
    ("state", "what"),
    [("53100", "disk full"), ("40P01", "deadlock"), ("40001", "serialization"), ("57P01", "shut down")],
)
def test_a_server_that_refuses_for_a_while_is_waited_for(stack: Stack, state: str, what: str) -> None:
    stack.do(
        "CREATE FUNCTION refused() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN RAISE EXCEPTION '{what}' USING ERRCODE = '{state}'; END $$;"
        " CREATE TRIGGER refused BEFORE INSERT ON driver_offers FOR EACH ROW EXECUTE FUNCTION refused()"
    )
    history = a_history(seed=4, deliveries=10)
    stack.send(history)
    stack.start()
    time.sleep(1.5)
    offered = "SELECT count(*) FROM delivery_audit_logs WHERE event = 'DriverOfferSent'"
    assert stack.ask(offered) == 0, "what comes with a row that is refused is not there either"
    stack.do("DROP TRIGGER refused ON driver_offers")
    stack.folded(len(history))
    assert stack.ask(offered) > 0
    assert stack.differences(*OF_EVENTS) == {}
    assert _letters(stack) == []


def test_a_record_that_postgres_refuses_is_set_aside_alone(stack: Stack) -> None:
    """A text with a zero byte is good Avro, and no text to Postgres."""
    histories = Histories(seed=5, drivers=5)
    made = [*histories.drivers(), *histories.deliveries(8)]
    spoilt = next(one for one in made if isinstance(one.event, de.DriverRejected))
    for one in made:
        event = codec.decode(codec.encode(one.event))
        if one is spoilt:
            event = de.DriverRejected(**{**_fields(one.event), "note": "a\x00b"})
        stack.produce(one.topic, one.key, codec.encode(event))
    assert stack.flushed()
    stack.start()
    stack.folded(len(made) - 1)
    (letter,) = _letters(stack)
    assert letter.error == "Poison"
    assert "x00" in letter.reason or "NUL" in letter.reason or "zero" in letter.reason.lower()
    assert stack.ask("SELECT count(*) FROM driver_offers WHERE note IS NOT NULL AND note <> ''") == 0
    assert stack.differences(*OF_EVENTS) == {}


def test_an_event_that_no_fold_can_take_is_set_aside_and_its_delivery_goes_on(stack: Stack) -> None:
    histories = Histories(seed=6, drivers=5)
    made = [*histories.drivers(), *histories.deliveries(6)]
    for one in made:
        event = one.event
        if isinstance(event, de.PickupStarted) and event.version % 2:
            event = type(event)(**{**_fields(event), "at_ms": 1 << 62})  # no year of our calendar
        stack.produce(one.topic, one.key, codec.encode(event))
    assert stack.flushed()
    stack.start()
    odd = sum(isinstance(one.event, de.PickupStarted) and bool(one.event.version % 2) for one in made)
    assert odd
    stack.folded(len(made) - odd)
    assert len(_letters(stack)) == odd
    assert stack.ask("SELECT count(*) FROM deliveries WHERE status = 'delivered'") > 0


def test_records_that_come_twice_in_the_log_change_nothing_but_the_audit(stack: Stack) -> None:
    history = a_history(seed=8, deliveries=6)
    for one in history:
        for _ in range(2):
            stack.produce(one.topic, one.key, codec.encode(one.event))
    assert stack.flushed()
    stack.start()
    stack.folded(2 * len(history))
    settled = sum(isinstance(one.event, de.DeliveryEconomicsSettled) for one in history)
    assert stack.ask("SELECT sum(deliveries) FROM economics_rollup WHERE by = 'zone'") == settled
    holds = stack.ask("SELECT max(holds) FROM drivers")
    assert holds in (0, 1)
    assert stack.differences(*OF_EVENTS) == {}


def test_two_lanes_share_the_partitions_and_come_to_the_same(stack: Stack) -> None:
    history = a_history(seed=9, deliveries=40)
    stack.send(history[:300])
    stack.start()
    stack.folded(300)
    with _another(stack):
        stack.send(history[300:])
        stack.folded(len(history))
    assert stack.differences(*OF_EVENTS) == {}


@contextlib.contextmanager
def _another(stack: Stack) -> Iterator[None]:
    stop = threading.Event()
    second = lane.Lane(stack.where.brokers, stack.where.dsn, stack.where.namespace)
    thread = threading.Thread(target=second.run, args=(stop,))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(30)


def _fields(event: object) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}  # type: ignore[attr-defined]


def _letters(stack: Stack) -> list[DeadLetter]:
    names = [stack.where.namespace + topics.DEAD_LETTERS.name]
    found = [codec.decode(record.value) for record in read_all(stack.where.brokers, names)]
    return [letter for letter in found if isinstance(letter, DeadLetter)]
