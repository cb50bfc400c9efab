"""What the threads of a running system log, while pytest reads what was captured."""

import sys

import pytest

from dispatch.log import logs


def test_what_is_logged_does_not_pass_through_the_file_that_pytest_empties(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    logs.get("tests").info("started", process="worker")
    assert "process=worker" in capfd.readouterr().out
