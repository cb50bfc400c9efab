"""Finding a decision whose aggregate is not known, by the command's id."""

from dispatch.contract import topics
from dispatch.replay.history import Entry, history_of
from dispatch.replay.record import Unreadable, decision_in
from dispatch.replay.source import KafkaLog


def by_command(log: KafkaLog, command_id: str) -> Entry | None:
    """Reads the decisions of every partition until it is found; the id stands in the record's bytes as it is."""
    wanted = command_id.encode()
    for partition in range(log.partitions()):
        for record in log.whole(topics.DECISIONS, partition):
            if wanted not in (record.value or b""):
                continue
            try:
                decision = decision_in(record)
            except Unreadable:
                continue
            if decision.command_id == command_id:
                return history_of(log, decision.aggregate, decision.aggregate_id).decision(command_id)
    return None
