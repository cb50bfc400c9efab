"""One pass over the records of all topics, then what only the whole log shows. Each rule has a book of its own."""

from collections.abc import Mapping
from statistics import median_low
from typing import Any, get_args

from dispatch.checker.decisions import INTERNAL, TIMERS, Decisions, Redecide, Told
from dispatch.checker.deliveries import Deliveries
from dispatch.checker.delivery import ENDED, HOLDING, RETURNING, Delivery
from dispatch.checker.drivers import Driver, Drivers
from dispatch.checker.inputs import Inputs
from dispatch.checker.matching import Messages, Once
from dispatch.checker.report import Findings, Place, Report
from dispatch.checker.states import Row, States, compare_tables
from dispatch.checker.timers import overdue
from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records import delivery_commands, driver_commands, offers
from dispatch.contract.records.system import DeadLetter, Notice, Reply
from dispatch.log.application import Record

LATE_MS = 10_000
"""A timer that is overdue by more when the log ends has been forgotten."""
EDGE_MS = 10_000
"""Of a log that goes on the partitions' ends are asked for one after the other, and a transaction may be seen in one
and not yet in another: it is open for 5 s at most, and marked in all partitions soon after."""
_KEPT = 20_000
"""Commands kept decoded until their decision is read."""
_OF_TOPIC = {
    topics.DELIVERY_COMMANDS.name: (get_args(delivery_commands.DeliveryCommand), "delivery_id"),
    topics.DRIVER_COMMANDS.name: (get_args(driver_commands.DriverCommand), "driver_id"),
}
READ = (
    topics.DEAD_LETTERS, topics.ORDERS_INBOUND, topics.DELIVERY_COMMANDS, topics.DRIVER_COMMANDS,
    topics.DELIVERY_EVENTS, topics.DRIVER_EVENTS, topics.DECISIONS, topics.REPLIES, topics.OFFERS, topics.NOTICES,
    topics.DELIVERY_STATE, topics.DRIVER_STATE,
)  # fmt: skip
"""What a check reads; records of other topics are passed over."""


class Checker:
    """Takes records, each partition's in order, of all topics in any order between them; `finish` gives the report."""

    def __init__(self, namespace: str = "", redecide: Redecide | None = None) -> None:
        self._findings = Findings()
        self._messages = Messages()
        self._told = Once()
        self._drivers = Drivers(self._findings, self._messages)
        self._deliveries = Deliveries(self._findings, self._messages, self._told, self._drivers.granted)
        self._decisions = Decisions(self._findings, self._messages, redecide)
        self._inputs = Inputs(self._findings)
        self._states = States(self._findings)
        self._asked: dict[str, list[Place]] = {}
        self._replies: dict[str, list[tuple[Told, Place]]] = {}
        self._set_aside: set[str] = set()
        self._commands: dict[bytes, Any] = {}
        self._starts: dict[tuple[str, int], int] = {}
        self._lived: dict[int, int] = {}
        self._first_ms, self._last_ms = 0, 0
        self._counts = dict.fromkeys(("records", "delivery events", "driver events", "decisions", "commands"), 0)
        takers = {
            topics.DELIVERY_EVENTS.name: self._delivery_event, topics.DRIVER_EVENTS.name: self._driver_event,
            topics.DECISIONS.name: self._decision, topics.DELIVERY_COMMANDS.name: self._command,
            topics.DRIVER_COMMANDS.name: self._command, topics.ORDERS_INBOUND.name: self._order,
            topics.DEAD_LETTERS.name: self._letter, topics.REPLIES.name: self._reply, topics.OFFERS.name: self._offer,
            topics.NOTICES.name: self._notice, topics.DELIVERY_STATE.name: self._state,
            topics.DRIVER_STATE.name: self._state,
        }  # fmt: skip
        self._takers = {namespace + name: taker for name, taker in takers.items()}
        self._kinds = {namespace + name: kinds for name, kinds in _OF_TOPIC.items()}

    def take(self, record: Record) -> None:
        """One record. Raises ContractError when a topic that only Baton writes holds what cannot be read."""
        taker = self._takers.get(record.topic)
        if taker is None:
            return
        place = Place(record.topic, record.partition, record.offset, record.timestamp_ms)
        self._starts.setdefault(place[:2], record.offset)
        self._first_ms = min(self._first_ms or record.timestamp_ms, record.timestamp_ms)
        self._last_ms = max(self._last_ms, record.timestamp_ms)
        self._counts["records"] += 1
        taker(record, place)

    def _delivery_event(self, record: Record, place: Place) -> None:
        event: Any = codec.decode(record.value)
        self._counts["delivery events"] += 1
        self._deliveries.take(event, place)
        self._decisions.event(event.delivery_id, event, record.value or b"", place)

    def _driver_event(self, record: Record, place: Place) -> None:
        event: Any = codec.decode(record.value)
        self._counts["driver events"] += 1
        self._drivers.take(event, place)
        self._decisions.event(event.driver_id, event, record.value or b"", place)

    def _decision(self, record: Record, place: Place) -> None:
        decision: Any = codec.decode(record.value)
        command = self._commands.pop(decision.command, None) or codec.decode(decision.command)
        self._counts["decisions"] += 1
        self._lived[place.partition] = max(self._lived.get(place.partition, 0), place.at_ms)
        first = self._decisions.decision(decision, command, place)
        if first and not isinstance(command, TIMERS):
            by_worker = isinstance(command, INTERNAL)
            self._inputs.decided(decision, place, by_worker=by_worker)

    def _command(self, record: Record, place: Place) -> None:
        kinds, key = self._kinds[record.topic]
        try:
            command: Any = codec.decode_checked(record.value)
        except ContractError:
            self._inputs.unreadable(place)
            return
        self._counts["commands"] += 1
        if not isinstance(command, kinds) or getattr(command, key).encode() != record.key:
            self._inputs.unreadable(place)
            return
        if record.value is not None and len(self._commands) < _KEPT:
            self._commands[record.value] = command
        if command.reply_to >= 0:
            self._asked.setdefault(command.command_id, []).append(place)
        if not isinstance(command, INTERNAL):
            self._inputs.said(getattr(command, key), command.command_id, place)
        self._inputs.arrived(command.command_id, place, self._decisions.decided)

    def _order(self, record: Record, place: Place) -> None:
        try:
            order = codec.decode_checked(record.value)
        except ContractError:
            self._inputs.unreadable(place)
            return
        self._counts["commands"] += 1
        self._inputs.order(order, place, self._decisions.decided)

    def _letter(self, record: Record, place: Place) -> None:
        letter = codec.decode(record.value)
        if not isinstance(letter, DeadLetter):
            return
        self._inputs.letter(letter, place)
        try:
            command = codec.decode(letter.value)
        except ContractError:
            return  # what was set aside because it cannot be read has no id
        self._set_aside.add(getattr(command, "command_id", ""))

    def _reply(self, record: Record, place: Place) -> None:
        reply = codec.decode(record.value)
        if not isinstance(reply, Reply):
            return
        if reply.stage == "first_offer":
            self._told.saw(("first_offer", reply.command_id), place)
        else:
            told = Told(reply.outcome, reply.reason, reply.version)
            self._replies.setdefault(reply.command_id, []).append((told, place))

    def _offer(self, record: Record, place: Place) -> None:
        offer: Any = codec.decode(record.value)
        key = (type(offer).__name__, offer.offer_id, offer.driver_id)
        self._told.saw((*key, offer.outcome) if isinstance(offer, offers.OfferEnded) else key, place)

    def _notice(self, record: Record, place: Place) -> None:
        notice = codec.decode(record.value)
        if isinstance(notice, Notice) and notice.delivery_id:
            self._told.saw(("notice", notice.notice_id), place)

    def _state(self, record: Record, place: Place) -> None:
        self._states.take(record.key, record.value, place)

    def finish(self, *, quiescent: bool, tables: Mapping[str, Row] | None = None, late_ms: int = LATE_MS) -> Report:
        """What only the whole log shows. Quiescent: nothing is under way; every order has ended or is escalated."""
        if not quiescent:
            self._findings.edge_ms = max(self._lived.values(), default=0) - EDGE_MS
        cut = self._cut(topics.DECISIONS) or self._cut(topics.DELIVERY_COMMANDS)
        self._decisions.cut = cut
        self._decisions.finish(quiescent=quiescent)
        if not cut:
            for rule, place, sentence in self._messages.faults(frozenset(self._set_aside), quiescent=quiescent):
                self._findings.add(rule, place, sentence)
        self._grants(quiescent=quiescent)
        self._second_lives()
        self._answers(quiescent=quiescent)
        self._inputs.finish(quiescent=quiescent, cut=cut)
        self._inputs.in_order(self._decisions.decided)
        if quiescent:
            self._agreement()
            self._overdue(late_ms)
            self._unheard()
            self._states.finish(self._deliveries.known, self._drivers.known)
            if tables is not None:
                compare_tables(tables, self._deliveries.known, self._drivers.known, self._findings)
        counts = self._counts | {"deliveries": len(self._deliveries.known), "drivers": len(self._drivers.known)}
        unasked = () if self._decisions.decides_again else (15,)
        return self._findings.report(counts, unasked)

    def _grants(self, *, quiescent: bool) -> None:
        """What deliveries relied on, and what drivers granted."""
        granted = self._drivers.granted
        for offer, driver, fence, place in self._deliveries.relied:
            if offer not in granted:
                self._findings.add(19, place, f"{driver} never granted {offer}")
            elif granted[offer] != fence:
                self._findings.add(19, place, f"{driver} granted {offer} fence {granted[offer]}, not {fence}")
        for offer, (place, driver) in self._deliveries.requested.items():
            if quiescent and offer not in granted:
                self._findings.add(10, place, f"reservation {offer} was neither granted nor refused by {driver}")

    def _second_lives(self) -> None:
        """A delivery may be unknown again only after its time to be remembered."""
        for name, decision, place in self._decisions.born_again:
            known = self._deliveries.known.get(name)
            if known is None or known.phase != ENDED or decision.now_ms < known.forget_ms:
                self._findings.add(5, place, f"{name} was known, and {decision.command_id} finds nothing of it")

    def _answers(self, *, quiescent: bool) -> None:
        """Replies against decisions."""
        since_ms = self._since_ms(topics.REPLIES)
        for command_id, replies in self._replies.items():
            told = self._decisions.tells.get(command_id, [])
            for reply, place in replies:
                if reply not in told and (told or not self._decisions.cut):
                    self._findings.add(8, place, f"the reply to {command_id} says {tuple(reply)}; decided was "
                                       f"{[tuple(one) for one in told] or 'nothing'}")  # fmt: skip
        for command_id, places in self._asked.items():
            wanted = [place for place in places if place[:3] not in self._inputs.letters]
            told_times = len(self._replies.get(command_id, []))
            if quiescent and told_times != len(wanted) and places[0].at_ms >= since_ms:
                times = f"asked {len(wanted)} times, and told {told_times} times"
                self._findings.add(8, places[-1], f"the outcome of {command_id} was {times}")

    def _agreement(self) -> None:
        """Nothing is under way: who holds and who is held agree, and whoever waits is known to people."""
        known, drivers = self._deliveries.known, self._drivers.known
        for name, delivery in known.items():
            holds = drivers[delivery.driver].holds if delivery.driver in drivers else {}
            if delivery.phase in (HOLDING, RETURNING) and holds.get(delivery.offer) != (name, True):
                self._findings.add(3, delivery.place, f"{name} believes that {delivery.driver} holds it, who does not")
            ended = delivery.phase == ENDED or delivery.escalated or delivery.review
            if delivery.ready and delivery.escalation and not ended:
                self._findings.add(9, delivery.place, f"{name} neither ended nor is escalated")
        for driver_id, driver in drivers.items():
            for offer, (name, confirmed) in driver.holds.items():
                delivery = known.get(name, Delivery())
                fits = delivery.phase in (HOLDING, RETURNING) if confirmed else delivery.phase != ENDED
                if delivery.offer != offer or not fits:
                    self._findings.add(10, driver.place, f"{driver_id} still holds {offer} of {name}, which let go")

    def _overdue(self, late_ms: int) -> None:
        """Timers that nothing fired, though decisions were made long after their time.

        Clocks of workers differ: a partition's own last decision counts, or the middle one of all partitions.
        """
        if not self._lived:
            return
        middle_ms, letters = median_low(self._lived.values()), self._inputs.timer_letters
        everybody: dict[str, Delivery | Driver] = {**self._deliveries.known, **self._drivers.known}
        for name, known in everybody.items():
            lived_ms = max(self._lived.get(known.place.partition, 0), middle_ms)
            for timer in overdue(known, name, lived_ms, late_ms, letters):
                if timer.kind != "forget":
                    rule = 9 if timer.kind == "escalation" else 11
                    over_ms = lived_ms - timer.at_ms
                    what = f"{timer.kind} {timer.ref} of {name} was due {over_ms} ms before the last decision"
                    self._findings.add(rule, known.place, f"{what}, and never came")

    def _unheard(self) -> None:
        """Offers, notices and first answers that are missing or too many."""
        since_ms = {
            "first_offer": self._since_ms(topics.REPLIES), "notice": self._since_ms(topics.NOTICES),
            "": self._since_ms(topics.OFFERS),
        }  # fmt: skip
        for key, place in self._told.missing.items():
            what: Any = key
            if place.at_ms >= since_ms.get(what[0], since_ms[""]):
                rule = 8 if what[0] == "first_offer" else 21
                self._findings.add(rule, place, f"nobody was told {' '.join(map(str, what))}")
        for key, place in self._told.extra.items():
            what = key
            if what[0] not in ("notice", "first_offer") and not self._decisions.cut:
                self._findings.add(21, place, f"{' '.join(map(str, what))} was told, and nothing led to it")

    def _cut(self, topic: topics.Topic) -> bool:
        """Whether the topic's oldest records may have been deleted: the log is older than they are kept."""
        if topic.keep_ms < 0 or self._last_ms - self._first_ms <= topic.keep_ms:
            return False
        starts = [offset for (name, _), offset in self._starts.items() if name.endswith(topic.name)]
        return not starts or max(starts) > 0

    def _since_ms(self, topic: topics.Topic) -> int:
        """From when on the topic is whole."""
        return self._last_ms - topic.keep_ms if self._cut(topic) else 0
