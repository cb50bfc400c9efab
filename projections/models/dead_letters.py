"""dead_letters: what was set aside, and where; dead_letter_acts: what people did with it.

Never what a record holds: whoever wants to see that asks Kafka, for which the place is enough. Of personal
data the reason is left out too, for it may quote what was seen.
"""

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import DeadLetter, DeadLetterHandled
from dispatch.log.application import Record
from projections.models.model import Row, moment
from projections.models.noted import Noted

_PERSONAL = (topics.ORDERS_INBOUND.name, topics.CONTACTS.name)


def letter_id(partition: int, offset: int) -> str:
    """A letter's name: its place in the topic of dead letters."""
    return f"{partition}-{offset}"


def _letter(record: Record) -> Row | None:
    letter = codec.decode_checked(record.value)
    if not isinstance(letter, DeadLetter):
        raise ContractError(f"a {type(letter).__name__} is no dead letter")
    personal = letter.source_topic.endswith(_PERSONAL)
    return {
        "letter_id": letter_id(record.partition, record.offset),
        "letter_partition": record.partition,
        "letter_offset": record.offset,
        "source_topic": letter.source_topic,
        "source_partition": letter.partition,
        "source_offset": letter.offset,
        "at": moment(letter.at_ms),
        "error": letter.error,
        "reason": None if personal else letter.reason.replace("\x00", ""),
        "place": letter.place.replace("\x00", ""),
        "worker": letter.worker,
        "value_bytes": letter.value_bytes,
        "kept_bytes": len(letter.value or b""),
        "subject": None if personal else codec.subject_in(letter.value),
    }


def _act(record: Record) -> Row | None:
    handled = codec.decode_checked(record.value)
    if not isinstance(handled, DeadLetterHandled):
        raise ContractError(f"a {type(handled).__name__} says nothing of a dead letter")
    names = ("letter_id", "act", "request_id", "actor_id", "reason")
    return {name: getattr(handled, name) for name in names} | {"at": moment(handled.at_ms)}


DEAD_LETTERS = Noted(
    topic=topics.DEAD_LETTERS,
    table="dead_letters",
    columns=(
        "letter_id", "letter_partition", "letter_offset", "source_topic", "source_partition", "source_offset", "at",
        "error", "reason", "place", "worker", "value_bytes", "kept_bytes", "subject",
    ),
    read=_letter,
    merge="(letter_id) DO NOTHING",
    not_again="its topic keeps 30 days",
)  # fmt: skip
DEAD_LETTER_ACTS = Noted(
    topic=topics.DEAD_LETTERS_HANDLED,
    table="dead_letter_acts",
    columns=("letter_id", "act", "request_id", "actor_id", "reason", "at"),
    read=_act,
    merge="(letter_id) DO NOTHING",
)
