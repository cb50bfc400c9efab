"""What every client of Kafka begins with: where the brokers are, its own name for them, and how it signs in.

How it signs in is in a file that BATON_KAFKA_PROPERTIES names: lines of `name=value` with librdkafka's names, `#`
before a remark, read each time a client is made. Only the connection is set there (`ALLOWED`); what Baton's promises
rest on (transactions, groups, what is acknowledged) is not.
Names and values: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
"""

import os
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException, Producer

VARIABLE = "BATON_KAFKA_PROPERTIES"
ALLOWED = ("security.protocol", "sasl.", "ssl.", "enable.ssl.certificate.verification", "socket.", "client.dns.lookup")
"""Names of properties that the file may have, or what they begin with."""
UNCOMMITTED = "baton-never-commits"
"""The group of every consumer that commits nothing: librdkafka wants one, and a cluster with ACLs wants to know it."""
_OF_JAVA = {
    "sasl.jaas.config": "sasl.username and sasl.password", "ssl.truststore.": "ssl.ca.location",
    "ssl.keystore.type": "ssl.keystore.location", "ssl.trustmanager.": "ssl.ca.location",
}  # fmt: skip
"""What those look for who come with the file of Kafka's own tools."""


class BadProperties(Exception):
    """The file cannot be read or says what it may not; the message is one sentence for the person who wrote it."""


def kafka_client(brokers: str, name: str) -> dict[str, Any]:
    """Settings to begin a client's with. `name` is what the broker's logs and quotas know it by (client.id).

    Raises BadProperties.
    """
    return {"bootstrap.servers": brokers, "client.id": f"baton-{name}", **properties(os.environ.get(VARIABLE, ""))}


def properties(file: str) -> dict[str, str]:
    """What the file says; empty for no file. Raises BadProperties."""
    if not file:
        return {}
    try:
        lines = Path(file).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadProperties(f"{VARIABLE}: {file} cannot be read: {error}") from error
    found = dict[str, str]()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals:
            raise BadProperties(f"{VARIABLE}: line {number} of {file} is not name=value")
        for java, ours in _OF_JAVA.items():
            if name.startswith(java):
                raise BadProperties(f"{VARIABLE}: {name} in line {number} of {file} is Java's; {ours} is wanted")
        if not name.startswith(ALLOWED):
            raise BadProperties(
                f"{VARIABLE}: {name} in line {number} of {file} is not of the connection, which is"
                f" {', '.join(part + '*' if part.endswith('.') else part for part in ALLOWED)}"
            )
        found[name] = value
    return found


def checked(file: str) -> None:
    """Has a client take the file's properties as they are, certificates included. Raises BadProperties."""
    try:
        Producer({**properties(file), "log_level": 0})
    except KafkaException as error:
        raise BadProperties(f"{VARIABLE}: {file}: {error.args[0].str()}") from error
