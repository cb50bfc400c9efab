"""zone_health_metrics: how each zone did, a row a zone and minute; the last count of the minute, and its peaks."""

from datetime import UTC, datetime

from dispatch.contract import codec, topics
from dispatch.contract.errors import ContractError
from dispatch.contract.records.system import ZoneHealth
from dispatch.log.application import Record
from projections.models.model import Row, moment
from projections.models.noted import Noted

_COUNTS = (
    "zone_version", "drivers_available", "drivers_busy", "drivers_on_break", "drivers_paused", "drivers_shift_ended",
    "drivers_offline", "drivers_online", "min_drivers_online", "open_searches", "oldest_search_s", "pressure", "trend",
    "waits", "wait_p50_ms", "wait_p95_ms", "target_wait_s", "window_s", "understaffed",
)  # fmt: skip
_PEAKS = {"pressure_max": "pressure", "open_searches_max": "open_searches"}


def _read(record: Record) -> Row | None:
    health = codec.decode_checked(record.value)
    if not isinstance(health, ZoneHealth):
        raise ContractError(f"a {type(health).__name__} is no health of a zone")
    row: Row = {name: getattr(health, name) for name in _COUNTS}
    row |= {name: getattr(health, of) for name, of in _PEAKS.items()}
    minute = datetime.fromtimestamp(health.at_ms // 60_000 * 60, UTC)
    return row | {"zone": health.zone, "minute": minute, "at": moment(health.at_ms)}


ZONE_HEALTH_METRICS = Noted(
    topic=topics.ZONE_HEALTH,
    table="zone_health_metrics",
    columns=("zone", "minute", "at", *_COUNTS, *_PEAKS),
    read=_read,
    merge=(
        "(zone, minute) DO UPDATE SET at = excluded.at, zone_version = excluded.zone_version,"
        " drivers_available = excluded.drivers_available, drivers_busy = excluded.drivers_busy,"
        " drivers_on_break = excluded.drivers_on_break, drivers_paused = excluded.drivers_paused,"
        " drivers_shift_ended = excluded.drivers_shift_ended, drivers_offline = excluded.drivers_offline,"
        " drivers_online = excluded.drivers_online, min_drivers_online = excluded.min_drivers_online,"
        " open_searches = excluded.open_searches, oldest_search_s = excluded.oldest_search_s,"
        " pressure = excluded.pressure, trend = excluded.trend, waits = excluded.waits,"
        " wait_p50_ms = excluded.wait_p50_ms, wait_p95_ms = excluded.wait_p95_ms,"
        " target_wait_s = excluded.target_wait_s, window_s = excluded.window_s, understaffed = excluded.understaffed,"
        " pressure_max = greatest(zone_health_metrics.pressure_max, excluded.pressure_max),"
        " open_searches_max = greatest(zone_health_metrics.open_searches_max, excluded.open_searches_max)"
        " WHERE zone_health_metrics.at <= excluded.at"
    ),
    month="minute",
    not_again="its topic keeps an hour",
)
