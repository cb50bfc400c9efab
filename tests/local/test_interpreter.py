"""Which Python `make setup` takes: asked as it is, by its path, of folders with Pythons made for the test."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from deploy import interpreter

ASKED = Path(interpreter.__file__)
PYTHON = Path(sys.executable).resolve()


def a_python(folder: Path, loop: str, name: str = "python3") -> Path:
    """This Python under another path; asked for the loop, it does what is said."""
    folder.mkdir()
    made = folder / name
    made.write_text(f'#!/bin/sh\ncase "$*" in *perf_counter*) {loop};; esac\nexec {PYTHON} "$@"\n')
    made.chmod(0o755)
    return made


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreter, "_BESIDE_PATH", ())


def asked(path: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment: Mapping[str, str] = {"PATH": path, **more}
    return subprocess.run([PYTHON, ASKED], capture_output=True, text=True, env=environment, check=False)


def test_one_that_is_faster_is_taken_and_told(tmp_path: Path) -> None:
    fast = a_python(tmp_path / "fast", "echo 0.000001; exit")
    broken = a_python(tmp_path / "broken", "exit 1")
    told = asked(os.pathsep.join(map(str, (broken.parent, tmp_path / "none", fast.parent))))
    assert told.stdout == f"{fast}\n"
    assert f"Python: {fast}, " in told.stderr


@pytest.mark.usefixtures("alone")
def test_one_that_is_as_fast_or_fails_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a_python(tmp_path / "slow", "echo 5; exit")
    a_python(tmp_path / "broken", "exit 1")
    for path in (os.pathsep.join(str(tmp_path / name) for name in ("slow", "broken")), str(tmp_path)):
        monkeypatch.setenv("PATH", path)
        monkeypatch.delenv(interpreter.VARIABLE, raising=False)
        assert interpreter.main() == 0
        said = capsys.readouterr()
        assert said.out == f"{sys.executable}\n"
        assert said.err == ""


@pytest.mark.usefixtures("alone")
def test_another_version_or_one_without_its_parts_is_not_looked_at(tmp_path: Path) -> None:
    kept = a_python(tmp_path / "kept", ":")
    for name, says in (("old", "echo 3 10 cpython; exit"), ("bare", "exit 1"), ("other", "echo 3 11 pypy; exit")):
        made = a_python(tmp_path / name, ":")
        made.write_text(f"#!/bin/sh\n{says}\n")
    folders = [str(tmp_path / name) for name in ("old", "bare", "other", "kept", "kept")]
    assert list(interpreter.alike(folders)) == [str(kept)]


def test_one_that_is_named_is_taken_and_what_is_none_is_refused(tmp_path: Path) -> None:
    named = a_python(tmp_path / "named", "echo 5; exit", "any-name")
    assert asked("/nowhere", BATON_PYTHON=str(named)).stdout == f"{named}\n"
    for wrong in ("/bin/ls", str(tmp_path / "none")):
        told = asked("/nowhere", BATON_PYTHON=wrong)
        assert (told.returncode, told.stdout) == (2, "")
        assert told.stderr == f"BATON_PYTHON: {wrong} is no CPython 3.11 or newer\n"
