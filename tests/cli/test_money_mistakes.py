"""Mistakes with money at the command line: one sentence, exit code 2, no server asked and no traceback."""

from pathlib import Path

import pytest
from command import baton

GOOD = ("--pickup", "47.995,7.849", "--dropoff", "48.003,7.861")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("quote", "--pickup", "north", "--dropoff", "48,7"), "'north' is no place; LAT,LNG is wanted"),
        (("quote", "--pickup", "48,nan", "--dropoff", "48,7"), "is no place on Earth"),
        (("quote", "--pickup", "48,7", "--dropoff", "91,7"), "'91,7' is no place on Earth"),
        (("quote", "--pickup", "48,7", "--dropoff", "52,13"), "km apart; at most 100 are"),
        (("quote", *GOOD, "--currency", "euro"), "'euro' is no currency; three capitals are wanted"),
        (("quote", "--pickup", "48,7"), "Missing option '--dropoff'"),
        (("money", "report", "--by", "driver"), "'driver' is not to be grouped by; zone, hour or seller is"),
        (("money", "report", "--since", "yesterday"), "'yesterday' is no time"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    said = baton(tmp_path, *arguments)
    assert (said.code, said.out) == (2, ""), said
    assert told in said.error
    assert said.error.count("\n") == 1


def test_a_server_that_is_not_there_is_told_in_one_sentence(tmp_path: Path) -> None:
    nowhere = {"BATON_KAFKA": "127.0.0.1:1", "BATON_VALKEY": "redis://127.0.0.1:1",
               "BATON_POSTGRES": "postgresql://nobody@127.0.0.1:1/none"}  # fmt: skip
    said = baton(tmp_path, "money", "report", **nowhere)
    assert (said.code, said.out) == (2, ""), said
    assert "Postgres does not answer" in said.error
    assert said.error.count("\n") == 1
