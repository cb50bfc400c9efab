"""The machine underneath, from packages: Kafka, Postgres and Valkey in one folder on free ports, and a supervisor.

`servers` starts and stops one server each, `jars` finds Kafka's, `supervisor` keeps servers and processes alive,
`stack` is what the command line calls.
"""

from deploy.local.errors import StartFailed
from deploy.local.servers import Addresses, Kafka, Postgres, Server, Valkey, start_servers, stop_servers

__all__ = ["Addresses", "Kafka", "Postgres", "Server", "StartFailed", "Valkey", "start_servers", "stop_servers"]
