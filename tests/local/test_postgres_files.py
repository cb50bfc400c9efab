"""Postgres' binaries where its user can read them."""

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from deploy.local import postgres_files


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a copy")
def test_a_copy_that_a_full_disk_broke_off_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = shutil.copytree

    def breaks_off(source: Path, target: Path, **_more: Any) -> None:
        place = target / "pginstall18" / "bin"
        place.mkdir(parents=True)
        (place / "postgres").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device", str(source))

    monkeypatch.setattr(postgres_files, "SHARED", tmp_path / "shared")
    monkeypatch.setattr(postgres_files, "open_to_all", lambda _path: False)
    monkeypatch.setattr(postgres_files.shutil, "copytree", breaks_off)
    with pytest.raises(OSError, match="No space left"):
        postgres_files.postgres_binaries()
    assert list((tmp_path / "shared").iterdir()) == []
    monkeypatch.setattr(postgres_files.shutil, "copytree", whole)
    assert (postgres_files.postgres_binaries() / "postgres").stat().st_size > 1_000_000
    assert [place.stat().st_mode & 0o005 for place in (tmp_path / "shared").iterdir()] == [0o005]
