"""One step under another version of the code: a revision unpacked beside, deciding in a process of its own.

What it is given: the state before, as its worker would restore it from the state topic; command and facts as recorded;
the policy's document as published. What it gives back is read with this version's codec and compared by value.
"""

import os
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from dispatch.contract import codec
from dispatch.contract.errors import ContractError
from dispatch.log.errors import Misconfigured
from dispatch.replay.changes import Came
from dispatch.replay.diffing import Seen, Tally, seen
from dispatch.replay.policies import Policies
from dispatch.replay.walking import Step

_LIMIT_S = 3_600
_HERE = Path(__file__).parent
_REVISION = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./~^@{}-]{0,200}")
_ENCODER = msgspec.msgpack.Encoder()


class _Logged(msgspec.Struct, array_like=True):
    """What the log says came of a step, kept until the other version has said its own."""

    seen: Seen
    outcome: str
    reason: str
    events: tuple[bytes, ...]


def under_code(steps: Iterable[Step], policies: Policies, revision: str, tally: Tally, zone: str = "") -> None:
    """Every step decided by that revision. Raises Misconfigured for one that there is not, or that does not run."""
    with tempfile.TemporaryDirectory(prefix="baton-replay-") as folder:
        room = Path(folder)
        tree = unpacked(revision, room)
        with (room / "steps").open("wb") as asked, (room / "logged").open("wb") as logged:
            for step in steps:
                where = seen(step)
                if zone and where.zone != zone:
                    continue
                tally.diff.decisions += 1
                _put(asked, _question(step, policies))
                events = tuple(codec.encode(event) for event in step.events)
                _put(logged, _Logged(where, step.one.decision.outcome, step.one.decision.reason, events))
        _run(tree, room, revision)
        _compare(room, revision, tally)


def unpacked(revision: str, room: Path) -> Path:
    """The revision's tree in a folder. Raises Misconfigured."""
    archive, tree = room / "tree.zip", room / "tree"
    if not _REVISION.fullmatch(revision):
        raise Misconfigured(f"{revision[:60]!r} is no name of a git revision")
    root = _git("-C", str(_HERE), "rev-parse", "--show-toplevel")
    _git("-C", root, "archive", "--format=zip", "-o", str(archive), f"{revision}^{{commit}}")
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tree)  # never beyond the folder, in every Python; a tar's filter came with 3.11.4
    if not (tree / "dispatch" / "core").is_dir():
        raise Misconfigured(f"revision {revision} has no core that could decide")
    return tree


def _git(*arguments: str) -> str:
    try:
        made = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False, timeout=120)
    except FileNotFoundError as error:
        raise Misconfigured("--code wants git, and the repository that this runs from") from error
    if made.returncode:
        raise Misconfigured(f"the revision cannot be unpacked: {' '.join(made.stderr.split())[:200]}")
    return made.stdout.strip()


def _question(step: Step, policies: Policies) -> dict[str, Any]:
    decision = step.one.decision
    published = policies.published(decision.policy_version)
    return {
        "kind": decision.aggregate,
        "before": _ENCODER.encode(step.before),
        "command": decision.command,
        "facts": decision.facts,
        "now_ms": decision.now_ms,
        "policy": published.document.encode() if published is not None else b"{}",
        "policy_version": decision.policy_version,
        "policy_zone": decision.policy_zone,
    }


def _run(tree: Path, room: Path, revision: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONSAFEPATH": "1"}
    command = [sys.executable, str(_HERE / "elsewhere.py"), str(room / "steps"), str(room / "answers")]
    made = subprocess.run(
        command, cwd=tree, env=environment, capture_output=True, text=True, check=False, timeout=_LIMIT_S
    )
    if made.returncode:
        last = made.stderr.strip().splitlines()[-1:] or ["it says nothing"]
        raise Misconfigured(f"revision {revision} does not run here: {last[0][:200]}")


def _compare(room: Path, revision: str, tally: Tally) -> None:
    with (room / "logged").open("rb") as logged, (room / "answers").open("rb") as answers:
        for was, said in zip(_got(logged), _got(answers), strict=True):
            known = msgspec.convert(was, _Logged)
            if "cannot" in said:
                tally.undecidable(f"{revision} cannot read it: {said['cannot']}")
                continue
            try:
                made: tuple[Any, ...] = tuple(codec.decode(value) for value in said["events"])
            except ContractError as error:
                tally.undecidable(f"this version cannot read what {revision} says: {error.reason[:120]}")
                continue
            then: Any = known.outcome
            old = Came(then, known.reason, tuple(codec.decode(value) for value in known.events))
            tally.add(known.seen, old, Came(said["outcome"], said["reason"], made))


def _put(stream: BinaryIO, value: Any) -> None:
    said = _ENCODER.encode(value)
    stream.write(len(said).to_bytes(4, "big") + said)


def _got(stream: BinaryIO) -> Iterator[Any]:
    while size := stream.read(4):
        yield msgspec.msgpack.decode(stream.read(int.from_bytes(size, "big")))
