"""The demonstration makes room for itself, and only where an earlier one was."""

from pathlib import Path

import pytest

from deploy.demo.main_job import clear
from deploy.local import StartFailed


def test_what_an_earlier_demonstration_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    clear(folder)
    (folder / "logs").mkdir(parents=True)
    (folder / "up.lock").touch()
    clear(folder)
    assert not folder.exists()


def test_a_folder_of_somebody_else_is_left_alone_and_an_empty_one_taken(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    clear(folder)
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(StartFailed, match="holds something else than a demonstration; BATON_HOME names another place"):
        clear(folder)
    assert (folder / "thesis.txt").read_text() == "years of work"
