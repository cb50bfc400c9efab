"""Alembic's entry: the address comes from whoever calls `projections.migrate`.

All revisions are run in one transaction; of two that migrate at once one waits, and then finds nothing to do.
"""

from alembic import context
from sqlalchemy import create_engine, text

from projections.migrate import LOCK

engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "")
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None, transaction_per_migration=False)
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        context.run_migrations()
engine.dispose()
