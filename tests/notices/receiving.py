"""A receiver of webhooks that counts, and a notifier as a process that dies where it is told to."""

import json
import os
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg
from confluent_kafka import Producer

from deploy.local import Addresses
from dispatch import setup
from dispatch.config import Settings
from dispatch.contract import codec, identity, topics
from dispatch.contract.records.system import Notice
from dispatch.core.policy import NoticePolicy, Policy

SECRET = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cw=="


class _Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128  # sixteen at once, of two notifiers


class Receiver:
    """Answers with what `answer` says for each request, 200 when nothing is said; keeps what came."""

    def __init__(self, answer: Callable[[int], int] = lambda _number: 200) -> None:
        outer = self
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self._lock = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with outer._lock:
                    outer.requests.append(({key.lower(): value for key, value in self.headers.items()}, body))
                    number = len(outer.requests)
                code = answer(number)
                if code:
                    self.send_response(code)
                    self.send_header("content-length", "0")
                    self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Silent."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def counted(self) -> Counter[str]:
        """How often each idempotency key came."""
        return Counter(headers["idempotency-key"] for headers, _ in self.requests)

    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.requests]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Town:
    """Topics and tables of a namespace, with rows of deliveries and contacts as the projector would make them."""

    def __init__(self, servers: Addresses, dsn: str, namespace: str, home: Path, **notices: Any) -> None:
        self.settings = Settings(
            kafka=servers.kafka, postgres=dsn, valkey="redis://127.0.0.1:1", namespace=namespace, home=home,
            partitions=2, reply_slots=1,
        )  # fmt: skip
        setup.create_topics(self.settings)
        policy = NoticePolicy(
            **{"customer_quiet_from_h": 0, "customer_quiet_to_h": 0, "driver_quiet_from_h": 0, "driver_quiet_to_h": 0,
               "send_retry_first_s": 0.1, "send_retry_max_s": 0.3, "send_claim_s": 5.0, **notices}
        )  # fmt: skip
        setup.publish_policy(self.settings, Policy(notices=policy))
        self._producer = Producer({"bootstrap.servers": servers.kafka, "partitioner": "murmur2_random"})
        self.processes: list[subprocess.Popen[bytes]] = []

    def order(self, language: str = "", phone: str = "+49 761 5550123", name: str = "") -> str:
        """A delivery and its contact."""
        name = name or identity.derived(uuid.uuid4().hex)
        with psycopg.connect(self.settings.postgres) as connection:
            connection.execute("SELECT baton_month('public', 'deliveries', now()::date)")
            connection.execute(
                "INSERT INTO deliveries (delivery_id, version, seller_id, seller_order_id, store_name, status,"
                " pickup_lat, pickup_lng, dropoff_lat, dropoff_lng, zone, order_value_minor, delivery_fee_minor,"
                " currency, prep_s, delivery_eta, created_at, updated_at) VALUES (%s, 1, 's', 'o-17', 'Anker',"
                " 'assigned', 48, 7, 48, 7, 'none', 1, 1, 'EUR', 300, '2026-11-21 18:40+00', now(), now())",
                (name,),
            )
            connection.execute(
                "INSERT INTO contacts (delivery_id, name, phone, address, note, language)"
                " VALUES (%s, 'Clara Q.', %s, 'Basler Str. 1', '', %s)",
                (name, phone, language),
            )
        return name

    def send(self, topic: topics.Topic, key: str, record: Any) -> None:
        self._producer.produce(self.settings.namespace + topic.name, codec.encode(record), key.encode())
        assert self._producer.flush(10) == 0

    def tell(self, audience: Any, kind: str, delivery_id: str = "", **more: Any) -> Notice:
        """Puts a notice on the topic."""
        fields: dict[str, Any] = {
            "notice_id": identity.derived(uuid.uuid4().hex), "audience": audience, "kind": kind,
            "delivery_id": delivery_id, "at_ms": time.time_ns() // 1_000_000, "details": {}, **more,
        }  # fmt: skip
        notice = Notice(**fields)
        self.send(topics.NOTICES, notice.driver_id or delivery_id, notice)
        return notice

    def notifier(self, crash_at: str = "", **settings: str) -> "subprocess.Popen[bytes]":
        """The process; with `crash_at` it kills itself with SIGKILL when it reaches that step first."""
        environment = os.environ | {
            "BATON_KAFKA": self.settings.kafka, "BATON_POSTGRES": self.settings.postgres,
            "BATON_VALKEY": self.settings.valkey, "BATON_NAMESPACE": self.settings.namespace,
            "BATON_HOME": str(self.settings.home), "CRASH_AT": crash_at, **settings,
        }  # fmt: skip
        program = Path(__file__).with_name("mortal_notifier.py")
        with (self.settings.home / "notifier.log").open("ab") as log:
            process = subprocess.Popen([sys.executable, str(program)], env=environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def rows(self, statement: str = "SELECT state, reason, attempts FROM notices ORDER BY at") -> list[Any]:
        with psycopg.connect(self.settings.postgres) as connection:
            return connection.execute(statement.encode()).fetchall()

    def log(self) -> str:
        return (self.settings.home / "notifier.log").read_text()

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()


def until(true: Callable[[], Any], limit_s: float = 60) -> None:
    end = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < end, "not within the time"
        time.sleep(0.05)
