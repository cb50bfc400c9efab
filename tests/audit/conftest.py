"""Makes `filled` importable by its name, and a table that proves itself."""

import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.insert(0, str(Path(__file__).parent))

import filled

from projections.audit.keys import Signer
from projections.migrate import down, up


@pytest.fixture(scope="session")
def signer() -> Signer:
    """A key."""
    return Signer(Ed25519PrivateKey.generate())


@pytest.fixture(scope="module")
def table(database: str, signer: Signer) -> Iterator[str]:
    """120 rows in three partitions, anchored by stretches of twenty, but for the last rows."""
    up(database)
    given = filled.records(30)
    ends = {place: [record for record in given if (record.topic, record.partition) == place] for place in filled.PLACES}
    with psycopg.connect(database) as connection:
        filled.project(connection, [record for rows in ends.values() for record in rows[:-5]])
    filled.anchor(database, signer, 20)
    with psycopg.connect(database) as connection:
        filled.project(connection, [record for rows in ends.values() for record in rows[-5:]])
    filled.save(database)
    yield database
    down(database)


@pytest.fixture
def audit(table: str) -> Iterator[str]:
    """The table, put right afterwards."""
    yield table
    filled.restore(table)
