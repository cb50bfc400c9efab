"""One adapter between a pure aggregate (six functions) and the host's port: delivery and driver differ in names only.

A step decides, folds, reacts, and lays everything out as messages: events, effects, the decision's record, the reply.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, cast

import msgspec

from dispatch import __version__
from dispatch.contract import codec, identity
from dispatch.contract.errors import ContractError
from dispatch.contract.records.delivery_commands import DeliveryTimerDue
from dispatch.contract.records.driver_commands import ReserveDriver
from dispatch.contract.records.shared import AggregateType, Outcome
from dispatch.contract.records.system import Decision, Reply
from dispatch.contract.topics import Topic
from dispatch.core.facts import Deadline as CoreDeadline
from dispatch.core.facts import Facts, Refusal, SearchNeed, SearchResult, ZoneFacts
from dispatch.inputs.prices import OrderPrices
from dispatch.inputs.rules import Rules
from dispatch.inputs.zones import ZoneBoard
from dispatch.log.application import Context, Deadline, Message, Record, Step
from dispatch.log.errors import BadRecord, Misconfigured
from dispatch.processors.hints import ReservedHints
from dispatch.processors.recorded import recorded
from dispatch.processors.routing import Router
from dispatch.processors.zone_facts import zone_facts

S = TypeVar("S", bound=msgspec.Struct)
_FORGET = "forget"


@dataclass(frozen=True, slots=True)
class Core(Generic[S]):
    """The six functions of an aggregate, with what the adapter must know of its types."""

    kind: Literal["delivery", "driver"]
    state_type: Any
    command_types: tuple[type, ...]
    never_repeated: tuple[type, ...]
    """Commands that only processors write, inside their transactions: they cannot come twice."""
    timer_due: Any
    initial: Callable[[str], S]
    needs: Callable[[S, Any, Any, Any, int, ZoneFacts | None], SearchNeed | None]
    decide: Callable[[S, Any, Facts], tuple[Any, ...] | Refusal]
    evolve: Callable[[S, Any], S]
    react: Callable[[S, S, Any], tuple[Any, ...]]
    deadlines: Callable[[S], tuple[CoreDeadline, ...]]
    version: Callable[[S], int]
    status: Callable[[S], str]


class _Outcome(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is remembered of a command, to answer its repeat."""

    outcome: Outcome
    reason: str
    detail: str
    version: int
    status: str


class CoreAggregate(Generic[S]):
    """The host's Aggregate over one core."""

    def __init__(
        self,
        core: Core[S],
        topics: tuple[Topic, Topic],
        rules: Rules,
        namespace: str,
        zones: ZoneBoard | None = None,
        prices: OrderPrices | None = None,
    ) -> None:
        commands, state = topics
        self.name: str = core.kind
        self.commands_topic = namespace + commands.name
        self.state_topic = namespace + state.name
        self._core = core
        self._rules = rules
        self._zones = zones or ZoneBoard()
        self._prices = prices or OrderPrices()
        self._router = Router(namespace)
        self._hints = ReservedHints()
        self._decisions = namespace + "decisions"
        self._id_of = f"{core.kind}_id"
        self._aggregate_type = cast(AggregateType, core.kind)
        self._decode_state = msgspec.msgpack.Decoder(core.state_type)
        self._encode_state = msgspec.msgpack.Encoder()

    def decode(self, record: Record) -> msgspec.Struct:
        """The command in a record. Raises BadRecord, naming the place."""
        try:
            command = codec.decode_checked(record.value)
        except ContractError as error:
            raise BadRecord(error.reason, error.place) from error
        if not isinstance(command, self._core.command_types):
            raise BadRecord(f"a {type(command).__name__} is no command for a {self.name}", "schema id")
        return command

    def identity(self, command: Any) -> tuple[str, bytes]:
        """The aggregate's id and the command's, 16 bytes."""
        return getattr(command, self._id_of), bytes.fromhex(command.command_id.replace("-", ""))

    def initial(self, aggregate_id: str) -> S:
        """The state before anything happened."""
        return self._core.initial(aggregate_id)

    def needs(self, state: S, command: Any, now_ms: int) -> SearchNeed | None:
        """Which candidates the decision wants to see, if any."""
        zone = zone_facts(self._zones, state, command, now_ms)
        policy = self._rules.policy_for(zone.zone) if zone is not None else self._rules.policy
        return self._core.needs(state, command, policy, self._rules.flags, now_ms, zone)

    def timer_command(self, aggregate_id: str, deadline: Deadline) -> msgspec.Struct:
        """The command of a deadline that has come; its id follows from the deadline."""
        name = f"timer {deadline.kind} {deadline.at_ms} {deadline.ref}"
        made = self._core.timer_due(
            command_id=identity.command_id(aggregate_id, name),
            at_ms=deadline.at_ms,
            actor_type="system",
            actor_id="timer",
            correlation_id=aggregate_id,
            timer=deadline.kind,
            due_at_ms=deadline.at_ms,
            ref=deadline.ref,
            **{self._id_of: aggregate_id},
        )
        return cast(msgspec.Struct, made)

    def step(self, state: S, command: Any, fact: SearchResult | None, context: Context) -> Step[S]:
        """Decides one command. Pure but for reading the rules in force."""
        rules = self._rules
        by = getattr(command, self._id_of)
        search = self._hints.applied(fact, by, context.wall_ms) if fact is not None else None
        zone = zone_facts(self._zones, state, command, context.wall_ms)
        policy = rules.policy_for(zone.zone) if zone is not None else rules.policy
        price, quote = self._prices.facts(state, command, zone.zone if zone is not None else "none")
        facts = Facts(
            now_ms=context.now_ms,
            wall_ms=context.wall_ms,
            policy=policy,
            flags=rules.flags,
            search=search,
            zone=zone,
            price=price,
            quote=quote,
        )
        if isinstance(command, DeliveryTimerDue) and command.timer == _FORGET:
            return Step(state=None, messages=[], deadlines=(), outcome=b"")
        core, before = self._core, self._core.version(state)
        result = core.decide(state, command, facts)
        messages: list[Message] = []
        if isinstance(result, Refusal):
            told = _Outcome("refused", result.code, result.detail, before, core.status(state))
            events: tuple[Any, ...] = ()
        else:
            events = result
            for event in events:
                was, state = state, core.evolve(state, event)
                messages.append(self._router.message(event))
                for effect in core.react(was, state, event):
                    if isinstance(effect, ReserveDriver):
                        self._hints.asked(effect.driver_id, by, context.wall_ms)
                    messages.append(self._router.message(effect))
            word: Outcome = "accepted" if events else "duplicate"
            told = _Outcome(word, "", "", core.version(state), core.status(state))
        messages.append(self._decision(command, facts, context, told, before, len(events)))
        if command.reply_to >= 0:
            messages.append(self._reply(command, told))
        deadlines = tuple(Deadline(due.kind, due.at_ms, due.ref) for due in core.deadlines(state))
        outcome = b"" if isinstance(command, core.never_repeated) else self._encode_state.encode(told)
        return Step(state=state, messages=messages, deadlines=deadlines, outcome=outcome)

    def repeat(self, command: Any, outcome: bytes) -> list[Message]:
        """The same reply again, to whoever asks now."""
        if command.reply_to < 0 or not outcome:
            return []
        return [self._reply(command, msgspec.msgpack.decode(outcome, type=_Outcome))]

    def dump(self, state: S) -> bytes:
        """The state as it is kept in the state topic."""
        return self._encode_state.encode(state)

    def load(self, aggregate_id: str, data: bytes) -> S:
        """The state kept. Raises Misconfigured for a form that this release does not read."""
        try:
            return cast(S, self._decode_state.decode(data))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise Misconfigured(f"the state of {self.name} {aggregate_id} cannot be read: {error}") from error

    def _reply(self, command: Any, told: _Outcome) -> Message:
        reply = Reply(
            command_id=command.command_id,
            aggregate_id=getattr(command, self._id_of),
            stage="decided",
            outcome=told.outcome,
            reason=told.reason,
            detail=told.detail,
            version=told.version,
            status=told.status,
            offer_id=getattr(command, "offer_id", None),
            driver_id=getattr(command, "driver_id", None),
        )
        return self._router.reply(command.reply_to, reply)

    def _decision(
        self, command: Any, facts: Facts, context: Context, told: _Outcome, before: int, events: int
    ) -> Message:
        aggregate_id = getattr(command, self._id_of)
        record = Decision(
            aggregate=self._aggregate_type,
            aggregate_id=aggregate_id,
            command_id=command.command_id,
            command=context.raw or codec.encode(command),
            facts=recorded(facts),
            now_ms=facts.now_ms,
            version_before=before,
            outcome=told.outcome,
            reason=told.reason,
            events=events,
            policy_version=facts.policy.version,
            policy_zone=facts.zone.zone if facts.zone and facts.zone.zone in facts.policy.by_zone else "",
            code_version=__version__,
        )
        return Message(self._decisions, aggregate_id.encode(), codec.encode(record))
