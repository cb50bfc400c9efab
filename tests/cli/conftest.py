"""Makes `command` importable by its name; a folder that a newcomer works in."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from command import baton


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A folder with nothing in it; what is started in it is stopped at the end."""
    folder = Path(tempfile.mkdtemp(prefix="baton-newcomer-"))
    folder.chmod(0o755)  # for root: Postgres runs as another user; pytest's own folders are closed to others
    yield folder
    stopped = baton(folder, "down", within_s=90)
    assert stopped.code == 0, stopped
    shutil.rmtree(folder, ignore_errors=True)
