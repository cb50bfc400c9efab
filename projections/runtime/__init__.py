"""Folds batches of events into tables, with the offsets and the audit chain in the same transaction.

`reading` decodes a batch and chains it, `memory` keeps the rows of what is under way, `tables` folds events into them,
`writing` copies what changed into Postgres, `offsets` says where each partition stands and sees to it that of two
projectors one writes. The same code folds the live tables and, with another schema first in the search path, those
of a rebuild.
"""

from projections.runtime.batch import Projection
from projections.runtime.chosen import Chosen
from projections.runtime.offsets import OffsetsMoved, Place, Position, positions
from projections.runtime.reading import Folding, Poison, Taken, fold
from projections.runtime.tables import Spoilt

__all__ = [
    "Chosen", "Folding", "OffsetsMoved", "Place", "Poison", "Position", "Projection", "Spoilt", "Taken", "fold",
    "positions",
]  # fmt: skip
