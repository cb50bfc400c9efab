"""The machine underneath, from packages: Kafka, Postgres and Valkey in one folder on free ports, and a supervisor.

`kafka`, `postgres` and `valkey` are one `server` each, `servers` starts and stops them together; `supervisor` keeps
its `parts`, servers and our own processes, alive; `stack` is what the command line calls.
"""

from deploy.local.errors import StartFailed
from deploy.local.kafka import Kafka
from deploy.local.postgres import Postgres
from deploy.local.server import Server
from deploy.local.servers import Addresses, start_servers, stop_servers
from deploy.local.valkey import Valkey

__all__ = ["Addresses", "Kafka", "Postgres", "Server", "StartFailed", "Valkey", "start_servers", "stop_servers"]
