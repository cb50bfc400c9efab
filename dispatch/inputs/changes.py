"""Why a change of the rules, the zones or the incentives was not made, told apart for whoever answers a program."""

from confluent_kafka import KafkaException

from dispatch.log.errors import Misconfigured


class ChangedMeanwhile(Misconfigured):
    """Somebody else changed it at the same moment: look again and repeat."""


class NotReached(Misconfigured):
    """Kafka does not take it."""


class UnknownName(Misconfigured):
    """There is no flag, zone or incentive of this name. `kind` says which of them was asked for."""

    def __init__(self, kind: str, said: str) -> None:
        super().__init__(said)
        self.kind = kind


class OtherVersion(Misconfigured):
    """The change was made from another version than the one in force."""


class TooSoon(Misconfigured):
    """Allowed once in a while only. `wait_s`: when it is allowed again."""

    def __init__(self, said: str, wait_s: float) -> None:
        super().__init__(said)
        self.wait_s = wait_s


def overtaken(error: KafkaException) -> bool:
    """Whether another writer came between."""
    cause = error.args[0]
    return cause.name() in ("_FENCED", "INVALID_PRODUCER_EPOCH", "PRODUCER_FENCED") or bool(cause.fatal())
