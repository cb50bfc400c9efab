"""A schema beside the live one: the same tables, empty; later with their indexes; at last in place of the live ones.

The move is one transaction. Who reads a table before it sees the old one, who reads it after sees the new one: whole.
Rights, triggers, comments and the views that look at a table go with its name.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import sql

from projections.runtime import chosen
from projections.runtime.offsets import Connection

LIVE = "public"
_PLAIN = "INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING COMMENTS INCLUDING GENERATED INCLUDING STORAGE"
_INDEXES = (
    "SELECT c.relname, pg_get_indexdef(i.indexrelid) AS made, i.indisprimary FROM pg_index i"
    " JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = %s::regclass ORDER BY c.relname"
)
_GRANTS = (
    "SELECT grantee, string_agg(privilege_type, ', ') FROM information_schema.role_table_grants"
    " WHERE table_schema = %s AND table_name = %s AND grantee <> grantor GROUP BY grantee"
)
_TRIGGERS = (
    "SELECT pg_get_triggerdef(oid) FROM pg_trigger"
    " WHERE tgrelid = %s::regclass AND NOT tgisinternal AND tgparentid = 0 ORDER BY tgname"
)
_OF_VIEWS = (
    " FROM pg_depend d"
    " JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class"
    " WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = %s::regclass"
    " AND v.relkind = 'v' ORDER BY 1"
)
_NAMED = "SELECT DISTINCT format('%%I.%%I', v.relnamespace::regnamespace, v.relname)"
_VIEWS = _NAMED + ", pg_get_viewdef(v.oid), v.reloptions" + _OF_VIEWS
_OWNERS = _NAMED + ", v.relowner::regrole::text" + _OF_VIEWS
_PARTS = (
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = %s::regclass ORDER BY c.relname"
)


class Room:
    """The schema `name`, for these tables."""

    def __init__(self, connection: Connection, name: str, tables: Sequence[str]) -> None:
        self.name, self.tables = name, tables
        self._connection = connection

    def open(self) -> None:
        """Makes it anew, whatever an earlier one left. Raises psycopg.Error."""
        with self._connection.transaction():
            self._run("DROP SCHEMA IF EXISTS {} CASCADE", self.name)
            self._run("CREATE SCHEMA {}", self.name)
            self._run("CREATE TABLE {}.projection_offsets (LIKE public.projection_offsets INCLUDING ALL)", self.name)
            for table in self.tables:
                parted = f" PARTITION BY RANGE ({column})" if (column := chosen.month_of(table)) else ""
                self._run("CREATE TABLE {}.{} (LIKE public.{} " + _PLAIN + ")" + parted, self.name, table, table)
                for name, made, primary in self._rows(_INDEXES, f"{LIVE}.{table}"):
                    if primary:
                        key = made[made.rindex("(") :]
                        self._run("ALTER TABLE {}.{} ADD CONSTRAINT {} PRIMARY KEY " + key, self.name, table, name)

    def index(self) -> None:
        """Gives the tables the other indexes of the live ones, and figures for the planner."""
        with self._connection.transaction():
            for table in self.tables:
                for _name, made, primary in self._rows(_INDEXES, f"{LIVE}.{table}"):
                    if not primary:
                        self._connection.execute(_elsewhere(made, table, self.name).encode())
        for table in self.tables:
            self._run("ANALYZE {}.{}", self.name, table)
            self._connection.commit()

    def carry_over(self, table: str, key: str, columns: Sequence[str]) -> None:
        """Takes columns that the log does not hold from the live table."""
        changes = ", ".join(f"{column} = live.{column}" for column in columns)
        self._run(
            "UPDATE {}.{} AS made SET " + changes + " FROM public.{} AS live WHERE made.{} = live.{}",
            self.name, table, table, key, key,
        )  # fmt: skip

    def lock(self, tables: Sequence[str], within_ms: int) -> None:
        """Keeps readers of the live tables, and of views that look at them, out. Raises psycopg.Error: not in time.

        A reader of a view locks it first, then its tables. So do we, or both would wait for each other; LOCK TABLE on a
        view locks its tables with it, before the next view. To be given the owner that it has locks a view alone.
        """
        views = dict.fromkeys(row for table in tables for row in self._rows(_OWNERS, f"{LIVE}.{table}"))
        self._connection.execute(f"SET LOCAL statement_timeout = {within_ms}".encode())
        for view, owner in views:
            self._connection.execute(f"ALTER VIEW {view} OWNER TO {owner}".encode())
        self._connection.execute(f"LOCK TABLE {', '.join(f'{LIVE}.{table}' for table in tables)}".encode())
        self._connection.execute("SET LOCAL statement_timeout = 0")

    def move_in(self, tables: Iterable[str], old: str) -> None:
        """Puts its tables in place of the live ones, which go to the schema `old`. Within the caller's transaction."""
        self._run("DROP SCHEMA IF EXISTS {} CASCADE", old)
        self._run("CREATE SCHEMA {}", old)
        for table in tables:
            place = f"{LIVE}.{table}"
            self._connection.execute("SET LOCAL search_path = pg_catalog")  # so that definitions name schemas
            views, triggers = self._rows(_VIEWS, place), self._rows(_TRIGGERS, place)
            grants = self._rows(_GRANTS, LIVE, table)
            comment = self._rows("SELECT obj_description(%s::regclass)", place)[0][0]
            self._move(table, LIVE, old)
            self._move(table, self.name, LIVE)
            for grantee, rights in grants:
                self._run("GRANT " + rights + " ON public.{} TO {}", table, grantee)
            for (made,) in triggers:
                self._connection.execute(made.encode())
            if comment is not None:
                self._connection.execute(
                    sql.SQL("COMMENT ON TABLE public.{} IS {}").format(sql.Identifier(table), sql.Literal(comment))
                )
            for view, made, options in views:
                with_options = f" WITH ({', '.join(options)})" if options else ""
                self._connection.execute(f"CREATE OR REPLACE VIEW {view}{with_options} AS {made}".encode())

    def drop(self) -> None:
        """Takes it away with all that is in it."""
        with self._connection.transaction():
            self._run("DROP SCHEMA IF EXISTS {} CASCADE", self.name)

    def _move(self, table: str, here: str, there: str) -> None:
        parts = [name for (name,) in self._rows(_PARTS, f"{here}.{table}")]
        for name in (table, *parts):
            self._run("ALTER TABLE {}.{} SET SCHEMA {}", here, name, there)

    def _rows(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement.encode(), values).fetchall()

    def _run(self, statement: str, *names: str) -> None:
        self._connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _elsewhere(made: str, table: str, room: str) -> str:
    """The definition of an index, for the table of the same name in another schema."""
    for written in (f" ON ONLY {LIVE}.{table} ", f" ON {LIVE}.{table} "):  # the first: of a table that is parted
        made = made.replace(written, f" ON {room}.{table} ", 1)
    return made
