"""Mistakes with zones and bonuses: one sentence, exit code 2, nothing changed; and what a good file gives."""

import json
import re
import time
from pathlib import Path

import pytest
from test_mistakes import Terminal, nowhere, terminal

__all__ = ["nowhere", "terminal"]
SAMPLE = Path(__file__).parents[2] / "deploy/demo/data/freiburg-zones.geojson"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["zones", "at", "91", "7"], r"the latitude is 91; -90 to 90 is allowed"),
        (["zones", "at", "-33", "-200"], r"the longitude is -200; -180 to 180 is allowed"),
        (["zones", "at", "nan", "7"], r"the latitude is nan; -90 to 90 is allowed"),
        (["zones", "check", "missing.geojson"], r"missing\.geojson cannot be read: No such file or directory"),
        (["zones", "check", "."], r"\. cannot be read: Is a directory"),
        (["zones", "import"], r"Missing argument 'FILE'; `baton zones import --help` .*"),
        (["incentives", "set", "z", "--bonus", "0", "--currency", "EUR"], r"Invalid value for '--bonus': .*"),
        (["incentives", "set", "z", "--bonus", "5", "--currency", "euro"], r"--currency is 'euro'; three capital .*"),
        (
            ["incentives", "set", "z", "--bonus", "5", "--currency", "EUR", "--hours", "nan"],
            r"--hours is nan; more than 0 and at most 744 is wanted",
        ),
        (
            ["incentives", "set", "z", "--bonus", "5", "--currency", "EUR", "--start", "soon"],
            r"--start is 'soon'; a moment such as 2026-11-21T18:00 is wanted",
        ),
        (
            ["incentives", "set", "z", "--bonus", "5", "--currency", "EUR", "--start", "2020-01-01T00:00"],
            r"it would have ended at 2020-01-01 01:00:00 already",
        ),
        (
            ["incentives", "set", "z", "--bonus", "5", "--currency", "EUR", "--start", "9999-12-31T23:59"],
            r"--start is '9999-12-31T23:59'; within a year from now is wanted",
        ),
        (["incentives", "set", "z", "--bonus", "5", "--currency", "EUR", "--id", "a b"], r"--id is 'a b'; 1 to 128 .*"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_word_is_told(terminal: Terminal, arguments: list[str], sentence: str) -> None:
    assert re.fullmatch(sentence, terminal.mistake(*arguments))


def test_a_file_of_50_mb_and_one_of_a_single_point_are_refused_at_once(
    terminal: Terminal,
    tmp_path: Path,
) -> None:
    with (tmp_path / "big.geojson").open("wb") as big:
        big.truncate(50_000_000)
    point = {"type": "Feature", "id": "one", "geometry": {"type": "Point", "coordinates": [7.8, 48.0]}}
    (tmp_path / "point.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [point]}))
    began = time.monotonic()
    for command in ("check", "import"):
        assert terminal.mistake("zones", command, "big.geojson") == (
            "big.geojson has 50.0 MB; at most 10 MB are read. Nothing was changed"
        )
        assert terminal.mistake("zones", command, "point.geojson") == (
            "point.geojson: feature 1 (one): its geometry is 'Point'; a Polygon or MultiPolygon is wanted. "
            "Nothing was changed"
        )
    assert time.monotonic() - began < 20


def test_the_sample_is_good(terminal: Terminal) -> None:
    said = terminal.baton("zones", "check", str(SAMPLE))
    assert (said.code, said.error) == (0, "")
    assert said.out.startswith("freiburg-zones.geojson is good: 6 zones")


@pytest.mark.parametrize(
    "arguments",
    [["zones", "list"], ["zones", "export"], ["zones", "at", "48", "7.8"], ["zones", "request", "z"],
     ["zones", "import", str(SAMPLE)], ["incentives", "list"], ["incentives", "end", "x"]],
    ids=lambda value: " ".join(value[:2]),
)  # fmt: skip
def test_servers_that_do_not_answer_are_told(
    terminal: Terminal,
    nowhere: dict[str, str],
    arguments: list[str],
) -> None:
    assert re.match(r"Kafka at 127\.0\.0\.1:\d+ does not answer: ", terminal.mistake(*arguments, **nowhere))
