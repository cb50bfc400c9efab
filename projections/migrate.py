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


def _config(dsn: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("sqlalchemy.url", dsn.replace("postgresql://", "postgresql+psycopg://").replace("%", "%%"))
    return config


def up(dsn: str) -> None:
    """Makes the tables and views as this release wants them. Raises SQLAlchemyError, psycopg.Error."""
    config = _config(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        if _revision(connection) != ScriptDirectory.from_config(config).get_current_head():
            take_away(connection)
            command.upgrade(config, "head")
        put_in_place(connection)


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
