"""The texts of notices: a TOML file a language, a title and a text for each kind, with named fields in braces."""

import string
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

LANGUAGES = ("en", "de", "es", "hi")
_FOLDER = Path(__file__).parent / "texts"


class Text(NamedTuple):
    """What is said."""

    title: str
    text: str


@cache
def texts(language: str) -> dict[str, Any]:
    """The file of a language: audience -> kind -> title and text, and `words` -> what a code is called."""
    return tomllib.loads((_FOLDER / f"{language}.toml").read_text("utf-8"))


def spoken(wanted: str, default: str) -> str:
    """The language wanted, if there are texts in it; else the default."""
    return wanted if wanted in LANGUAGES else default


def render(language: str, audience: str, kind: str, fields: Mapping[str, str]) -> Text:
    """The notice in words. Fields that are not there are empty. Raises KeyError for a kind without a text."""
    said = texts(language)[audience][kind]
    words = texts(language)["words"]
    values = _Fields(fields)
    if "why" in values:
        values["why"] = words.get(values["why"], values["why"].replace("_", " "))
    return Text(*(" ".join(said[part].format_map(values).split()) for part in ("title", "text")))


def fields_of(text: str) -> frozenset[str]:
    """The fields that a text names. Raises ValueError for one that reaches into a field."""
    named = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    for name in named:
        if not name.isidentifier():
            raise ValueError(f"{name!r} is no plain field")
    return frozenset(named)


class _Fields(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""
