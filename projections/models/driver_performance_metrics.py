"""driver_performance_metrics: each driver's score as last told, with its parts."""

import msgspec

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import DriverScored
from dispatch.log.application import Record
from projections.models.model import Row, moment
from projections.models.noted import Noted


def _read(record: Record) -> Row | None:
    if record.value is None:
        return None
    scored = codec.decode_checked(record.value)
    if not isinstance(scored, DriverScored):
        raise ContractError(f"a {type(scored).__name__} is no driver's score")
    parts = msgspec.json.encode(scored.parts).decode()
    row = {name: getattr(scored, name) for name in ("driver_id", "score", "mean", "acceptance_rate")}
    return row | {"scored_at": moment(scored.at_ms), "parts": parts}


DRIVER_PERFORMANCE_METRICS = Noted(
    topic=topics.DRIVER_SCORES,
    table="driver_performance_metrics",
    columns=("driver_id", "scored_at", "score", "mean", "acceptance_rate", "parts"),
    read=_read,
    merge=(
        "(driver_id) DO UPDATE SET scored_at = excluded.scored_at, score = excluded.score, mean = excluded.mean,"
        " acceptance_rate = excluded.acceptance_rate, parts = excluded.parts"
    ),
)
