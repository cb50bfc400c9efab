"""The policy as a document: read with every mistake named, written whole, compared field by field, and its JSON Schema.

A document is what a TOML or JSON file holds: chapters of fields, and under `by_zone` the same for some zones. What it
leaves out has its default.
"""

import difflib
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from dispatch.contract.errors import ContractError
from dispatch.core.policy import Policy

Path = tuple[str, ...]
BY_ZONE: dict[str, frozenset[str]] = {
    "offer": frozenset(),
    "search": frozenset(),
    "reassignment": frozenset({"moving_away_m", "no_progress_s"}),
    "escalation": frozenset(),
    "ranking": frozenset(),
    "pay": frozenset(),
    "pricing": frozenset(),
    "cost": frozenset(),
    "notices": frozenset({"send_attempts", "send_retry_first_s", "send_retry_max_s", "send_claim_s"}),
}
"""Chapters that may differ by zone, each without the fields that are judged where no delivery's zone is known.

A chapter belongs here only if whoever reads it asks `Rules.policy_for(zone)` or a decision's own facts.
"""
_ZONE = re.compile(r"[A-Za-z0-9_.:@|-]{1,128}")
_WANTED = re.compile(r" - at `\$.*`$")


class Problem(msgspec.Struct, frozen=True):
    """One mistake: where, the value seen, the value wanted."""

    path: Path
    seen: str
    wanted: str

    def __str__(self) -> str:
        return f"{'.'.join(self.path) or 'the document'} is {self.seen}: {self.wanted}"


class PolicyRefused(ContractError):
    """A document that is no policy, with all that is wrong with it."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(str(problem) for problem in problems), ".".join(problems[0].path))
        self.problems = problems


class Change(msgspec.Struct, frozen=True):
    """A field that differs between two policies; None: it is not there."""

    path: Path
    old: Any
    new: Any


def parse(document: Any) -> Policy:
    """The policy in a document. Raises PolicyRefused with every mistake in it."""
    if not isinstance(document, dict):
        raise PolicyRefused((Problem((), _shown(document), "a table of chapters is wanted"),))
    problems = (*_typed(document, Policy, ()), *_overrides(document.get("by_zone", {})))
    if problems:
        raise PolicyRefused(problems)
    policy = msgspec.convert(document, Policy)
    problems = tuple(contradictions(policy))
    if problems:
        raise PolicyRefused(problems)
    return policy


def contradictions(policy: Policy) -> Iterator[Problem]:
    """What does not fit together, in the document and in each zone's version of it."""
    found = set()
    for problem in _contradictions(policy, ()):
        found.add(problem.path)
        yield problem
    for zone in policy.by_zone:
        for problem in _contradictions(policy.for_zone(zone), ("by_zone", zone)):
            if problem.path[2:] not in found:
                yield problem
    currencies = {value: path for path, value in flat(whole(policy)).items() if path[-1].endswith("currency") and value}
    if len(currencies) > 1:
        (first, place), (second, other) = list(currencies.items())[:2]
        yield Problem(other, _shown(second), f"one currency in all is wanted, and {'.'.join(place)} is {_shown(first)}")


def whole(policy: Policy) -> dict[str, Any]:
    """The document with every field, those that have their default too."""
    return _whole(policy)


def flat(document: dict[str, Any], path: Path = ()) -> dict[Path, Any]:
    """Path -> value of every field of a document."""
    found: dict[Path, Any] = {}
    for name, value in document.items():
        if isinstance(value, dict):
            found |= flat(value, (*path, name))
        else:
            found[*path, name] = value
    return found


def differences(old: Policy, new: Policy) -> tuple[Change, ...]:
    """Every field that differs, but for the version."""
    before, after = flat(whole(old)), flat(whole(new))
    paths = [*before, *(path for path in after if path not in before)]
    return tuple(
        Change(path, before.get(path), after.get(path))
        for path in paths
        if path != ("version",) and before.get(path) != after.get(path)
    )


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of a document. What fields must be to each other it cannot say; `parse` does."""
    made = msgspec.json.schema(Policy)
    definitions = made["$defs"]
    chapters = definitions["Policy"]["properties"]
    for chapter, without in BY_ZONE.items():
        base = definitions[chapters[chapter]["$ref"].rsplit("/", 1)[-1]]
        fields = {
            name: {key: value for key, value in field.items() if key != "default"}
            for name, field in base["properties"].items()
            if name not in without
        }
        definitions[f"{base['title']}InAZone"] = {**base, "title": f"{base['title']}InAZone", "properties": fields}
    zone = {chapter: {"$ref": chapters[chapter]["$ref"] + "InAZone"} for chapter in BY_ZONE}
    chapters["by_zone"] = {
        "type": "object",
        "description": "What is otherwise in some zones: zone -> chapter -> field.",
        "default": {},
        "propertyNames": {"pattern": f"^{_ZONE.pattern}$"},
        "additionalProperties": {"type": "object", "properties": zone, "additionalProperties": False},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A policy of Baton",
        "$ref": made["$ref"],
        "$defs": dict(sorted(definitions.items())),
    }


def _typed(document: dict[str, Any], kind: Any, path: Path) -> Iterator[Problem]:
    """Each field by itself, so that all mistakes are told at once."""
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for name, value in document.items():
        place = (*path, _word(name))
        if name not in fields:
            near = difflib.get_close_matches(str(name), list(fields), 1)
            meant = f"; {near[0]} is" if near else f"; known here: {', '.join(fields)}"
            yield Problem(place, _shown(value), f"no such field{meant}")
        elif isinstance(fields[name], type) and issubclass(fields[name], msgspec.Struct):
            if isinstance(value, dict):
                yield from _typed(value, fields[name], place)
            else:
                yield Problem(place, _shown(value), "a chapter of fields is wanted")
        elif name != "by_zone":
            yield from _value(value, fields[name], place)


def _value(value: Any, kind: Any, place: Path) -> Iterator[Problem]:
    if isinstance(value, float) and not math.isfinite(value):
        yield Problem(place, _shown(value), "a finite number is wanted")
        return
    try:
        msgspec.convert(value, kind)
    except UnicodeEncodeError:  # half a character, as JSON may spell it
        yield Problem(place, _shown(value), "text is wanted")
    except msgspec.ValidationError as error:
        wanted = _WANTED.sub("", str(error)).replace("`", "")
        if "enum" in wanted:
            wanted = f"one of {', '.join(kind.__args__)} is wanted"
        yield Problem(place, _shown(value), wanted)


def _overrides(by_zone: Any) -> Iterator[Problem]:
    if not isinstance(by_zone, dict):
        yield Problem(("by_zone",), _shown(by_zone), "a table of zones is wanted")
        return
    for zone, chapters in by_zone.items():
        place: Path = ("by_zone", _word(zone))
        if not _ZONE.fullmatch(str(zone)):
            yield Problem(place, _shown(zone), "a zone's id has 1 to 128 letters, digits or _.:@|-")
        elif not isinstance(chapters, dict):
            yield Problem(place, _shown(chapters), "a table of chapters is wanted")
        else:
            for chapter, fields in chapters.items():
                yield from _override(place, _word(chapter), fields)


def _override(place: Path, chapter: str, fields: Any) -> Iterator[Problem]:
    if chapter not in BY_ZONE:
        known = ", ".join(BY_ZONE)
        yield Problem((*place, chapter), _shown(fields), f"only these chapters differ by zone: {known}")
    elif not isinstance(fields, dict):
        yield Problem((*place, chapter), _shown(fields), "a chapter of fields is wanted")
    else:
        kind = next(field.type for field in msgspec.structs.fields(Policy) if field.name == chapter)
        yield from _typed(fields, kind, (*place, chapter))
        for name in BY_ZONE[chapter].intersection(fields):
            yield Problem((*place, chapter, name), _shown(fields[name]), "this one is the same in every zone")


_Rule = tuple[str, str, Callable[[float, float], bool], str]
_PAIRS: tuple[_Rule, ...] = (
    ("availability.break_min_s", "availability.break_max_s", float.__le__, "at most"),
    ("availability.break_notice_s", "availability.break_max_s", float.__lt__, "less than"),
    ("escalation.level_1_s", "escalation.level_2_s", float.__lt__, "less than"),
    ("escalation.level_2_s", "escalation.level_3_s", float.__lt__, "less than"),
    ("search.radius_m", "search.escalated_radius_m", float.__le__, "at most"),
    ("search.retry_first_s", "search.retry_max_s", float.__le__, "at most"),
    ("notices.send_retry_first_s", "notices.send_retry_max_s", float.__le__, "at most"),
)
_LEAST: tuple[tuple[str, float], ...] = (
    ("search.limit", 1),
    ("availability.capacity_max", 1),
    ("travel.detour_factor", 1),
)


def _contradictions(policy: Policy, path: Path) -> Iterator[Problem]:
    for low, high, holds, words in _PAIRS:
        less, more = _number(policy, low), _number(policy, high)
        if not holds(float(less), float(more)):
            yield Problem((*path, *low.split(".")), _shown(less), f"{words} {high} is wanted, which is {_shown(more)}")
    for name, least in _LEAST:
        if _number(policy, name) < least:
            yield Problem((*path, *name.split(".")), _shown(_number(policy, name)), f"at least {least:g} is wanted")


def _number(policy: Policy, name: str) -> float:
    chapter, field = name.split(".")
    value: float = getattr(getattr(policy, chapter), field)
    return value


def _whole(part: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in part.__struct_fields__:
        value = getattr(part, name)
        found[name] = _whole(value) if isinstance(value, msgspec.Struct) else msgspec.to_builtins(value)
    return found


def _word(name: Any) -> str:
    """A name as it can be told: JSON may spell half a character."""
    return str(name).encode(errors="backslashreplace").decode()


def _shown(value: Any) -> str:
    """A value as it is written, not longer than a line can take."""
    text = value if isinstance(value, float) else repr(value) if not isinstance(value, bool) else str(value).lower()
    return f"{text:g}" if isinstance(text, float) else text if len(text) <= 60 else text[:57] + "..."
