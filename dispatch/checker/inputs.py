"""What came in, beside what became of it: every record is decided, refused (a decision too) or set aside, and once."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from dispatch.checker.report import NOWHERE, Findings, Place
from dispatch.contract import identity, topics
from dispatch.contract.records import inbound
from dispatch.contract.records.system import DeadLetter, Decision

Source = tuple[str, int, int]
_INPUTS = (topics.ORDERS_INBOUND.name, topics.DELIVERY_COMMANDS.name, topics.DRIVER_COMMANDS.name)
_BAD = "BadRecord"
"""What a dead letter names as its error when the record itself is to blame; else it is an exception's name."""


class Inputs:
    """Takes commands, orders, dead letters and the ids of what was decided, in any order."""

    def __init__(self, findings: Findings) -> None:
        self.waiting: dict[str, Place] = {}
        """Commands and orders whose decision was not read yet, by command id."""
        self.unsent: dict[str, tuple[Place, str, int]] = {}
        """Decided commands whose record was not read yet: where, by which aggregate, when."""
        self.letters: set[Source] = set()
        self.timer_letters: set[tuple[bytes, bytes]] = set()
        """Aggregate and timer of those set aside."""
        self._unreadable: list[Place] = []
        self._reached: dict[tuple[str, int], int] = {}
        self._said: dict[tuple[str, str, int], dict[str, int]] = {}
        """By aggregate, topic and partition: ids and offsets of the commands that came from outside, in their order."""
        self._early: dict[str, tuple[Place, Place, int, str]] = {}
        """Decided before what was read of it was sent; what it came by may be read yet, for a repeat has its id."""
        self._findings = findings

    def arrived(self, command_id: str, place: Place, decided: Any) -> None:
        """One record that is to be decided; `decided`: the ids of what was."""
        if command_id in decided:
            if (early := self._early.get(command_id)) is not None and place.at_ms <= early[2]:
                del self._early[command_id]
            if (unsent := self.unsent.pop(command_id, None)) is not None:
                self._decided(command_id, place, *unsent)
        elif command_id not in self.waiting or place.at_ms < self.waiting[command_id].at_ms:
            self.waiting[command_id] = place

    def order(self, order: Any, place: Place, decided: Any) -> None:
        """One record of the inbound topic: the command that it becomes has an id that follows from it."""
        if not isinstance(order, inbound.Inbound):
            self._unreadable.append(place)
            return
        name = identity.delivery_id(order.seller_id, order.seller_order_id)
        purpose = f"inbound {type(order).__name__} {order.seller_id} {order.message_id}"
        command_id = identity.command_id(name, purpose)
        self.said(name, command_id, place)
        self.arrived(command_id, place, decided)

    def said(self, name: str, command_id: str, place: Place) -> None:
        """Somebody outside asks something of an aggregate; each partition's in order."""
        self._said.setdefault((name, place.topic, place.partition), {}).setdefault(command_id, place.offset)

    def decided(self, decision: Decision, place: Place, *, by_worker: bool) -> None:
        """A command had its decision; one that a worker gave to itself need not be in the log."""
        sent = self.waiting.pop(decision.command_id, None)
        if sent is not None:
            self._decided(decision.command_id, sent, place, decision.aggregate_id, decision.now_ms)
        elif not by_worker:
            self.unsent[decision.command_id] = (place, decision.aggregate_id, decision.now_ms)

    def unreadable(self, place: Place) -> None:
        """A record that cannot be read: it must be a dead letter."""
        self._unreadable.append(place)

    def letter(self, letter: DeadLetter, place: Place) -> None:
        """A record that was set aside."""
        source = (letter.source_topic, letter.partition, letter.offset)
        if letter.source_topic.endswith(_INPUTS) and letter.error != _BAD:
            what = f"{'/'.join(map(str, source))} is set aside for what went wrong in the engine"
            self._findings.add(13, place, f"{what}: {letter.error}: {letter.reason}, at {letter.place}")
        if letter.offset < 0:
            self.timer_letters.add((letter.key or b"", letter.value or b""))
        elif source in self.letters:
            self._findings.add(13, place, f"{'/'.join(map(str, source))} is set aside a second time")
        self.letters.add(source)

    def finish(self, *, quiescent: bool, cut: bool) -> None:
        """What only the whole log shows."""
        for place in self._unreadable:
            passed = place.offset < self._reached.get(place[:2], -1)
            if place[:3] not in self.letters and (quiescent or passed):
                self._findings.add(13, place, "cannot be read or is no such record, and is no dead letter")
        for command_id, place in self.waiting.items():
            passed = place.offset < self._reached.get(place[:2], -1)
            if place[:3] in self.letters or not (quiescent or passed):
                continue
            how = "and later ones were" if passed else "and all is quiet"
            self._findings.add(13, place, f"command {command_id} was not decided, {how}")
        for command_id, (place, sent, now_ms, name) in self._early.items():
            late = f"what was sent {sent.at_ms - now_ms} ms later, at {sent}"
            self._findings.add(12, place, f"{name} decided {command_id} at {now_ms}, {late}")
        if not cut:
            for command_id, (place, name, _) in self.unsent.items():
                self._findings.add(12, place, f"{name} decided {command_id}, which nobody sent")

    def in_order(self, decided: Mapping[str, tuple[int, Place]]) -> None:
        """What one partition says of one aggregate is decided in its order: by its records, or by detours that follow.

        What came by two partitions of a topic has two places, and is not asked for; nor is a detour by itself, nor what
        was set aside at first.
        """
        inbound_ids = {one for (_, topic, _), said in self._said.items() if topic.endswith(_INPUTS[0]) for one in said}
        times = Counter((topic, one) for (_, topic, _), said in self._said.items() for one in said)
        for (name, topic, partition), said in self._said.items():
            detours = frozenset[str]() if topic.endswith(_INPUTS[0]) else inbound_ids
            last, last_id = NOWHERE, ""
            for one, offset in said.items():
                passed_over = times[topic, one] > 1 or one in detours or (topic, partition, offset) in self.letters
                if one not in decided or passed_over:
                    continue
                place = decided[one][1]
                if last_id and place.offset < last.offset:
                    what = f"{one} of {name} was decided before {last_id}, which stands before it"
                    self._findings.add(22, place, f"{what} in {topic}/{partition}")
                last, last_id = place, one

    def _decided(self, command_id: str, sent: Place, place: Place, name: str, now_ms: int) -> None:
        key = (sent.topic, sent.partition)
        self._reached[key] = max(self._reached.get(key, -1), sent.offset)
        if now_ms < sent.at_ms:
            self._early[command_id] = (place, sent, now_ms, name)
