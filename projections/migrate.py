"""Alembic, called from code: up to the newest, or down to nothing.

Analysts' views are taken away before tables change, and put back after.
"""

from pathlib import Path
from typing import Any

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from projections.analytics.placing import put_in_place, take_away
from projections.keeping.settling import LOCK, settle

__all__ = ["LOCK", "down", "revisions", "up"]


def _config(dsn: str = "") -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("sqlalchemy.url", dsn.replace("postgresql://", "postgresql+psycopg://").replace("%", "%%"))
    return config


def revisions() -> list[str]:
    """All of them, the oldest first."""
    return [script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()][::-1]


def up(dsn: str, to: str = "head") -> list[str]:
    """Makes tables and views as this release wants them; gives what people should know, in sentences.

    All revisions that are missing are run in one transaction: whatever ends it, all or none are there. `to`: an older
    revision, for tests; then there are no views, and nothing is settled. Raises SQLAlchemyError, psycopg.Error.
    """
    newest = to == "head"
    with psycopg.connect(dsn, autocommit=True) as connection:
        if not newest or _revision(connection) != revisions()[-1]:
            take_away(connection)
            command.upgrade(_config(dsn), to)
        if newest:
            put_in_place(connection)
    return settle(dsn) if newest else []


def down(dsn: str, to: str = "base") -> None:
    """Takes away what came after a revision, and the views; all, if none is named."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        take_away(connection)
    command.downgrade(_config(dsn), to)


def _revision(connection: psycopg.Connection[Any]) -> str | None:
    if connection.execute("SELECT to_regclass('public.alembic_version')").fetchone() == (None,):
        return None
    row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return row[0] if row else None
