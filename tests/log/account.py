"""A small aggregate for the host's tests: an account that adds up, arms timers, and misbehaves when told to."""

import hashlib
import json
import os
from typing import Any, NamedTuple

from dispatch.log.application import Context, DeadLetter, Deadline, Message, Record, Step
from dispatch.log.errors import BadRecord
from dispatch.log.worker import Application


class Account(NamedTuple):
    balance: int = 0
    version: int = 0
    armed: tuple[tuple[str, int], ...] = ()
    filling: int = 0


class Command(NamedTuple):
    account: str
    command_id: bytes
    op: str
    n: int = 0
    kind: str = ""
    to: str = ""
    """`pay` tells this account to do `then`; one that is told to `pay` pays back."""
    then: str = "add"
    by: str = ""
    """Who told it to, and in which version."""


def command_id(name: str) -> bytes:
    return hashlib.md5(name.encode()).digest()


def value(account: str, name: str, op: str = "add", n: int = 1, **more: str) -> bytes:
    return json.dumps({"account": account, "name": name, "op": op, "n": n, **more}).encode()


class Accounts:
    """The port, filled in. `add` and `deposit` (which wants a fact) are the sound ones."""

    name = "account"

    def __init__(self, namespace: str = "") -> None:
        self.commands_topic = f"{namespace}commands"
        self.state_topic = f"{namespace}state"
        self.events_topic = f"{namespace}events"

    def decode(self, record: Record) -> Command:
        try:
            said = json.loads(record.value or b"")
        except ValueError as error:
            raise BadRecord(f"not JSON: {error}", "value") from error
        more = {"to": said.get("to", ""), "then": said.get("then", "add"), "by": said.get("by", "")}
        return Command(said["account"], command_id(said["name"]), said["op"], said["n"], **more)

    def identity(self, command: Command) -> tuple[str, bytes]:
        return command.account, command.command_id

    def initial(self, _aggregate_id: str) -> Account:
        return Account()

    def needs(self, state: Account, command: Command, _now_ms: int) -> Any:
        if command.op == "needs_raises":
            raise ValueError("cannot say what it needs")
        if (command.op, command.kind) == ("fired", "unclear"):
            raise ValueError("cannot say what the timer needs")
        return ("rate", state.balance) if command.op == "deposit" else None

    def timer_command(self, aggregate_id: str, deadline: Deadline) -> Command:
        if deadline.kind == "broken":
            raise ValueError("no command for a broken deadline")
        return Command(aggregate_id, b"", "fired", deadline.at_ms, deadline.kind)

    def step(self, state: Account, command: Command, fact: Any, context: Context) -> Step[Account]:
        match command.op:
            case "add":
                state = state._replace(balance=state.balance + command.n)
            case "deposit":
                state = state._replace(balance=state.balance + fact)
            case "arm":
                state = state._replace(armed=(*state.armed, ("alarm", command.n)))
            case "arm_broken" | "arm_poison" | "arm_unclear" | "arm_deadly":
                state = state._replace(armed=(*state.armed, (command.op.removeprefix("arm_"), command.n)))
            case "fired" if command.kind == "poison":
                raise ArithmeticError("a timer asked to raise")
            case "fired" if command.kind == "deadly":
                os._exit(9)
            case "disarm" | "fired":
                state = state._replace(armed=())
            case "grow" | "unwritable":
                state = state._replace(filling=command.n if command.op == "grow" else -1)
            case "close":
                return Step(None, [self._event(command, state, context)], (), b"")
            case "raise":
                raise ArithmeticError("asked to raise")
            case "pay":
                state = state._replace(balance=state.balance - command.n)
        state = state._replace(version=state.version + 1)
        deadlines = tuple(Deadline(kind, at_ms) for kind, at_ms in state.armed)
        outcome = b"x" * command.n if command.op == "outcome" else b"done"
        messages = [self._event(command, state, context)]
        if command.op == "pay":
            by = f"{command.account} {state.version}"
            paid = value(command.to, by, command.then, command.n, to=command.account, then=command.then, by=by)
            messages.append(Message(self.commands_topic, command.to.encode(), paid))
        return Step(state, messages, deadlines, outcome)

    def repeat(self, command: Command, outcome: bytes) -> list[Message]:
        return [Message(self.events_topic, command.account.encode(), b'{"op": "repeat", "outcome": "%s"}' % outcome)]

    def dump(self, state: Account) -> bytes:
        if state.filling < 0:
            raise TypeError("this state has no form")
        return json.dumps(state).encode() + b" " * state.filling

    def load(self, _aggregate_id: str, data: bytes) -> Account:
        balance, version, armed, filling = json.loads(data)
        return Account(balance, version, tuple((kind, at_ms) for kind, at_ms in armed), filling)

    def _event(self, command: Command, state: Account, context: Context) -> Message:
        said = {"account": command.account, "op": command.op, "balance": state.balance, "version": state.version,
                "now_ms": context.now_ms, "by": command.by}  # fmt: skip
        return Message(self.events_topic, command.account.encode(), json.dumps(said).encode())


def letter_of(letter: DeadLetter) -> Message:
    said = {"error": letter.error, "reason": letter.reason, "offset": letter.record.offset}
    return Message(letter.record.topic.replace("commands", "letters"), None, json.dumps(said).encode())


def rates(needs: Any) -> list[int]:
    """The fact of each need: the balance and one more."""
    return [balance + 1 for _, balance in needs]


def application(namespace: str, lookup: Any = rates) -> Application:
    outputs = tuple(f"{namespace}{name}" for name in ("events", "state", "letters"))
    return Application((Accounts(namespace),), (), lookup, letter_of, outputs)
