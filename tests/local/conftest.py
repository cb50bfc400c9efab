"""A folder for a stack, stopped at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.stack import down


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "stack"
    down(tmp_path / "stack")
