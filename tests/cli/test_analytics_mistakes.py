"""Mistakes with reports and exports at the command line: one sentence, exit code 2, no traceback."""

from pathlib import Path

import pytest
from command import baton


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("export", "contacts"), "'contacts' is not exported"),
        (("export", "offer"), "'offer' is not exported; is offers meant?"),
        (("export", "offers", "--since", "yesterday"), "'yesterday' is no time"),
        (("export", "offers", "--since", "2026-11-02", "--until", "2026-11-01"), "is not before --until"),
        (("export", "offers", "--out", "nowhere/offers.parquet"), "there is no folder nowhere"),
        (("export", "offers", "deliveries", "--out", "one.csv"), "several are written into a folder"),
        (("export", "offers", "--format", "xlsx"), "Invalid value for '--format'"),
        (("report", "--since", "soon"), "'soon' is no time"),
        (("report", "--html", "nowhere/page.html"), "there is no folder nowhere"),
        (("report", "--speed", "0"), "Invalid value for '--speed'"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(tmp_path: Path, arguments: tuple[str, ...], told: str) -> None:
    said = baton(tmp_path, *arguments)
    assert (said.code, said.out) == (2, ""), said
    assert told in said.error
    assert said.error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [("report",), ("export", "offers")])
def test_a_server_that_is_not_there_is_told_in_one_sentence(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    nowhere = {"BATON_KAFKA": "127.0.0.1:1", "BATON_VALKEY": "redis://127.0.0.1:1",
               "BATON_POSTGRES": "postgresql://nobody@127.0.0.1:1/none"}  # fmt: skip
    said = baton(tmp_path, *arguments, **nowhere)
    assert (said.code, said.out) == (2, ""), said
    assert "Postgres does not answer" in said.error
    assert said.error.count("\n") == 1


def test_what_there_is_to_export_is_listed_without_any_server(tmp_path: Path) -> None:
    said = baton(tmp_path, "export", COLUMNS="200")
    assert said.code == 0, said
    for name in ("acceptance_by_zone", "success_criteria", "economics_rollup"):
        assert name in said.out
    assert "contacts" not in said.out
