"""Which topic and key a record goes to."""

import msgspec

from dispatch.contract import codec, topics
from dispatch.contract.records import delivery_commands, delivery_events, driver_commands, driver_events, offers
from dispatch.contract.records.system import Contact, DeadLetter, Notice, Reply
from dispatch.contract.topics import Topic
from dispatch.core.effects import ReplyTo
from dispatch.log.application import Message

_KEYED_BY: dict[str, tuple[Topic, str]] = {
    delivery_commands.__name__: (topics.DELIVERY_COMMANDS, "delivery_id"),
    delivery_events.__name__: (topics.DELIVERY_EVENTS, "delivery_id"),
    driver_commands.__name__: (topics.DRIVER_COMMANDS, "driver_id"),
    driver_events.__name__: (topics.DRIVER_EVENTS, "driver_id"),
    offers.__name__: (topics.OFFERS, "driver_id"),
}


class Router:
    """Makes the message that carries a record, under one namespace."""

    def __init__(self, namespace: str) -> None:
        self._rooms = {room: (namespace + topic.name, key) for room, (topic, key) in _KEYED_BY.items()}
        self._replies = namespace + topics.REPLIES.name
        self._notices = namespace + topics.NOTICES.name
        self._contacts = namespace + topics.CONTACTS.name
        self._dead_letters = namespace + topics.DEAD_LETTERS.name
        own = (topics.DECISIONS, topics.DELIVERY_STATE, topics.DRIVER_STATE)
        self._own = tuple(namespace + topic.name for topic in own)

    def topics_written(self) -> tuple[str, ...]:
        """Every topic that a worker may write to: those of its messages, its states and its decisions."""
        written = {topic for topic, _ in self._rooms.values()}
        written |= {self._replies, self._notices, self._contacts, self._dead_letters, *self._own}
        return tuple(sorted(written))

    def message(self, record: msgspec.Struct | ReplyTo) -> Message:
        """Raises KeyError for a record that has no place of its own."""
        match record:
            case ReplyTo(slot=slot, reply=reply):
                return self.reply(slot, reply)
            case Notice():
                recipient = record.driver_id if record.audience == "driver" else record.delivery_id
                return Message(self._notices, recipient.encode(), codec.encode(record))
            case Contact():
                return Message(self._contacts, record.subject_id.encode(), codec.encode(record))
            case DeadLetter():
                return Message(self._dead_letters, record.source_topic.encode(), codec.encode(record))
        topic, key = self._rooms[type(record).__module__]
        return Message(topic, getattr(record, key).encode(), codec.encode(record))

    def reply(self, slot: int, reply: Reply) -> Message:
        """A reply goes to the partition that is the slot of the gateway that waits."""
        return Message(self._replies, reply.command_id.encode(), codec.encode(reply), partition=slot)
