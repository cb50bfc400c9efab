"""What a simulated broker answers, as confluent_kafka raises it."""

from typing import NoReturn

from confluent_kafka import KafkaError, KafkaException


class AskAgain(Exception):
    """The client asks again by itself, until its time is over."""


def fail(
    code: int, reason: str, *, fatal: bool = False, retriable: bool = False, abort: bool = False
) -> NoReturn:  # fmt: skip
    """Raises the client's exception."""
    raise KafkaException(error(code, reason, fatal=fatal, retriable=retriable, abort=abort))


def error(code: int, reason: str, *, fatal: bool = False, retriable: bool = False, abort: bool = False) -> KafkaError:
    """The client's error; abort: the transaction must be aborted."""
    return KafkaError(code, reason, fatal, retriable, abort)
