"""What can go wrong with the local machine: always one sentence for the person who started it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class StartFailed(Exception):
    """Something did not come up; the message says what, why, and the way out."""


@contextmanager
def in_one_sentence(folder: Path) -> Iterator[None]:
    """A full disk or a closed folder is for the caller to put right: no traceback, but StartFailed."""
    try:
        yield
    except OSError as error:
        raise StartFailed(f"the stack in {folder} has trouble with its files: {why(error)}") from error


def why(error: OSError) -> str:
    """The system's reason and the file; of a folder that could not be copied, the first file's."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        return str(error.args[0][0][-1])
    place = f" ({error.filename})" if error.filename else ""
    return f"{error.strerror or error}{place}"
