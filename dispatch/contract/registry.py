"""The registry in a file: `schemas/registry.lock.json` numbers every schema ever released.

Subjects follow Confluent's record-name strategy: the subject is the record's full name. An id, once given, means the
same schema for ever; a changed schema gets the next id and the next version of its subject.
`python -m dispatch.contract.registry` adds what is new, `--check` exits 1 when something is missing.
"""

import json
import sys
from dataclasses import dataclass
from functools import cache

from dispatch.contract import schema_files
from dispatch.contract.schema_files import Schema


@dataclass(frozen=True, slots=True)
class Registered:
    """One version of one subject."""

    id: int
    subject: str
    version: int
    schema: Schema


@cache
def registered() -> tuple[Registered, ...]:
    """Everything in the lock file, by id."""
    if not schema_files.LOCK_FILE.exists():
        return ()
    rows = json.loads(schema_files.LOCK_FILE.read_text())["schemas"]
    return tuple(Registered(row["id"], row["subject"], row["version"], row["schema"]) for row in rows)


@cache
def latest() -> dict[str, Registered]:
    """Subject -> its newest version: what is written now."""
    return {row.subject: row for row in registered()}


def unlocked() -> list[Schema]:
    """Schemas in `schemas/` whose present text has no id yet."""
    newest = {row.subject: row.schema for row in registered()}
    return [schema for schema in schema_files.load_all() if newest.get(schema_files.full_name(schema)) != schema]


def lock() -> int:
    """Gives ids to what is new; returns how many were given."""
    rows = list(registered())
    new = unlocked()
    for schema in new:
        subject = schema_files.full_name(schema)
        version = 1 + max((row.version for row in rows if row.subject == subject), default=0)
        rows.append(Registered(len(rows) + 1, subject, version, schema))
    entries = ",\n".join(
        json.dumps({"id": row.id, "subject": row.subject, "version": row.version, "schema": row.schema}) for row in rows
    )
    schema_files.LOCK_FILE.write_text(f'{{"schemas": [\n{entries}\n]}}\n')
    registered.cache_clear()
    latest.cache_clear()
    return len(new)


def main(arguments: list[str]) -> int:
    """Locks, or with --check tells what is not locked."""
    if "--check" in arguments:
        missing = [schema_files.full_name(schema) for schema in unlocked()]
        if missing:
            print(f"without an id: {', '.join(missing)}; run python -m dispatch.contract.registry")
        return 1 if missing else 0
    print(f"{lock()} new ids")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
