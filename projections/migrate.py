"""Alembic, called from code: up to the newest, or down to nothing."""

from pathlib import Path

from alembic import command
from alembic.config import Config


def _config(dsn: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("sqlalchemy.url", dsn.replace("postgresql://", "postgresql+psycopg://").replace("%", "%%"))
    return config


def up(dsn: str) -> None:
    """Makes the tables as this release wants them."""
    command.upgrade(_config(dsn), "head")


def down(dsn: str, to: str = "base") -> None:
    """Takes away what came after a revision; all, if none is named."""
    command.downgrade(_config(dsn), to)
