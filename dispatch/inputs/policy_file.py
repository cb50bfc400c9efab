"""A policy in a file, TOML or JSON: read with mistakes named by field and line, and written as TOML."""

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dispatch.core.policy import Policy
from dispatch.core.policy_document import PolicyRefused, flat, parse, whole
from dispatch.log.errors import Misconfigured

_LARGEST_BYTES = 1_000_000
_TOLD = 5
_HEADER = re.compile(r"\s*\[([^\[\]]+)\]")
_KEY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|[{}\[\]:,\n]|[^\s{}\[\]:,"]+')
_BARE = re.compile(r"[A-Za-z0-9_-]+")


class BadPolicyFile(Misconfigured):
    """The file holds no policy; the message names file, line, field, the value seen and the value wanted."""


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """What a file says. `version`: the one that it was made from, when it names one."""

    policy: Policy
    version: int | None


def read(path: Path) -> PolicyFile:
    """The policy in a file. Raises BadPolicyFile."""
    text = _text(path)
    is_json = path.suffix.lower() == ".json" or (path.suffix.lower() != ".toml" and text.lstrip().startswith("{"))
    try:
        document = json.loads(text, object_pairs_hook=_no_repeats) if is_json else tomllib.loads(text)
    except RecursionError as error:
        raise BadPolicyFile(f"{path.name} is nested too deeply to be a policy") from error
    except ValueError as error:
        raise BadPolicyFile(f"{path.name} is no {'JSON' if is_json else 'TOML'}: {error}") from error
    try:
        policy = parse(document)
    except PolicyRefused as error:
        lines = dict(_json_lines(text) if is_json else _toml_lines(text))
        told = [f"{_line(lines, problem.path)}{problem}" for problem in error.problems]
        more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
        raise BadPolicyFile(f"{path.name} is refused: {'; '.join(told[:_TOLD])}{more}") from error
    return PolicyFile(policy, document.get("version"))


def toml(policy: Policy, *, every_field: bool) -> str:
    """The policy as TOML: every field, or only those that differ from the defaults, and the version."""
    ordinary = {} if every_field else flat(whole(Policy()))
    chosen = {
        path: value
        for path, value in flat(whole(policy)).items()
        if value is not None and (path not in ordinary or ordinary[path] != value or path == ("version",))
    }
    lines: list[str] = []
    chapter: tuple[str, ...] = ()
    for path, value in sorted(chosen.items(), key=lambda entry: (len(entry[0]) > 1, entry[0][:1] == ("by_zone",))):
        if path[:-1] != chapter:
            chapter = path[:-1]
            lines += ["", f"[{'.'.join(part if _BARE.fullmatch(part) else json.dumps(part) for part in chapter)}]"]
        lines.append(f"{path[-1]} = {json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines) + "\n"


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise BadPolicyFile(f"{path.name} has {path.stat().st_size} bytes; a policy has at most {_LARGEST_BYTES}")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadPolicyFile(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadPolicyFile(f"{path.name} is not UTF-8: byte {error.start} is no text") from error


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"{name!r} stands there twice")
        found[name] = value
    return found


def _line(lines: dict[tuple[str, ...], int], path: tuple[str, ...]) -> str:
    while path and path not in lines:
        path = path[:-1]
    return f"line {lines[path]}, " if path else ""


def _toml_lines(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    chapter: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            chapter = _parts(header[1])
            yield chapter, number
        elif key := _KEY.match(line):
            yield (*chapter, *_parts(key[1])), number


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def _json_lines(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    line, open_names, name = 1, [""], ""
    tokens = [found[0] for found in _TOKEN.finditer(text)]
    for place, token in enumerate(tokens):
        if token == "\n":
            line += 1
        elif token in "{[":
            open_names.append(name)
        elif token in "}]":
            open_names.pop()
        elif token[0] == '"' and next((after for after in tokens[place + 1 :] if after != "\n"), "") == ":":
            name = json.loads(token)
            yield (*open_names[2:], name), line
