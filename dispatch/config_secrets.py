"""Secrets that the processes of a local stack share: a file in BATON_HOME, made by the first that wants it."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def secret_in(file: Path) -> bytes:
    """The file's secret, 64 characters. Raises OSError."""
    return kept_in(file, lambda: secrets.token_hex(32).encode()).strip()


def kept_in(file: Path, made: Callable[[], bytes]) -> bytes:
    """What the file holds, for its owner's eyes only; made if there is none. Raises OSError.

    Of several processes that start at once one makes it, whole before it has its name.
    """
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(made())
        try:
            os.link(draft, file)
        except FileExistsError:
            return kept_in(file, made)
        finally:
            draft.unlink()
    return file.read_bytes()
