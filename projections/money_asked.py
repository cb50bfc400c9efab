"""How settled money is asked for: whole hours or days from `economics_rollup`, the ragged ends of a time from the rows.

A ragged end is added, or taken off a whole step, whichever are fewer rows; of today so far nothing has to be. So a year
is as fast as a day, and the answer is the same to the unit as if every row had been added up. What the sums do not tell
apart (a seller within a zone, a zone within a seller) is added up from the rows alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

By = Literal["zone", "hour", "seller", "driver"]
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_FORM = '\'YYYY-MM-DD"T"HH24:00:00"Z"\''
_KEYS: dict[By, str] = {
    "zone": "c.zone",
    "seller": "c.seller_id",
    "hour": f"to_char(c.settled_at AT TIME ZONE 'UTC', {_FORM})",
    "driver": "coalesce(c.driver_id, '')",
}
_ROLLED: dict[By, tuple[str, str, timedelta]] = {
    "zone": ("zone", "key", _HOUR),
    "hour": ("zone", f"to_char(at AT TIME ZONE 'UTC', {_FORM})", _HOUR),
    "seller": ("seller", "key", _DAY),
    "driver": ("driver", "key", _DAY),
}
"""By what is asked: under which name it is summed, its key, and how finely."""
_SUMS = {
    "deliveries": "count(*)",
    "delivered": "count(*) FILTER (WHERE c.outcome = 'delivered')",
    "driver_pay_minor": "sum(c.driver_pay_minor)",
    "compensation_minor": "sum(c.compensation_minor)",
    "routing_minor": "sum(c.routing_minor)",
    "messages_minor": "sum(c.messages_minor)",
    "storage_minor": "sum(c.storage_minor)",
    "platform_minor": "sum(c.platform_minor)",
    "cost_minor": "sum(c.cost_minor)",
    "commission_minor": "sum(r.commission_minor)",
    "delivery_fee_minor": "sum(r.delivery_fee_minor)",
    "revenue_minor": "sum(r.revenue_minor)",
    "net_minor": "sum(r.net_minor)",
    "lost_cost_minor": "coalesce(sum(c.cost_minor) FILTER (WHERE c.outcome <> 'delivered'), 0)",
    "lost_revenue_minor": "coalesce(sum(r.revenue_minor) FILTER (WHERE c.outcome <> 'delivered'), 0)",
    "estimated": "count(r.estimated_net_minor)",
    "estimated_net_minor": "coalesce(sum(r.estimated_net_minor), 0)",
    "compared_net_minor": "coalesce(sum(r.net_minor) FILTER (WHERE r.estimated_net_minor IS NOT NULL), 0)",
}
_NAMES = ", ".join(_SUMS)
_ROWS = (
    "SELECT {key} AS key, c.currency, " + ", ".join(f"({how})::bigint AS {name}" for name, how in _SUMS.items()) +
    " FROM delivery_costs c JOIN delivery_revenue r USING (delivery_id) WHERE {where} GROUP BY 1, 2"
)  # fmt: skip
_ADDED = ", ".join(f"sum({name})::bigint AS {name}" for name in _SUMS)
_TAKEN_OFF = ", ".join(f"-{name}" for name in _SUMS)
_LATE = timedelta(minutes=5)
"""Nothing much was settled since."""
Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """Settled from `since` on and before `until`, by what, and of whom. None: no bound, of all."""

    by: By
    since: datetime | None = None
    until: datetime | None = None
    zone: str | None = None
    seller_id: str | None = None
    limit: int | None = None


def asking(asked: Asked) -> tuple[bytes, Values]:
    """The statement and its values; rows by key and currency, columns as the fields of `projections.money.Group`."""
    values: Values = {"zone": asked.zone, "seller_id": asked.seller_id, "limit": asked.limit}
    parts = list(_parts(asked, values))
    statement = (
        f"SELECT key, currency, {_ADDED} FROM ({' UNION ALL '.join(parts)}) parts GROUP BY 1, 2"
        " HAVING sum(deliveries) > 0 ORDER BY 1, 2" + (" LIMIT %(limit)s" if asked.limit is not None else "")
    )  # fmt: skip
    return statement.encode(), values


def whole(asked: Asked, step: timedelta) -> tuple[datetime | None, datetime | None] | None:
    """The whole steps nearest to the time asked for; None: there are none. A bound that is None is none."""
    begin = None if asked.since is None else _edge(asked.since, step)
    end = None if asked.until is None else _edge(asked.until, step)
    if asked.until is not None and asked.until >= datetime.now(UTC) - _LATE:
        end = _ceiling(asked.until, step)
    return None if begin is not None and end is not None and begin >= end else (begin, end)


def _edge(moment: datetime, step: timedelta) -> datetime:
    floor = _EPOCH + (moment - _EPOCH) // step * step
    return floor if 2 * (moment - floor) < step else floor + step


def _ceiling(moment: datetime, step: timedelta) -> datetime:
    return _EPOCH - (_EPOCH - moment) // step * step


def _parts(asked: Asked, values: Values) -> Iterator[str]:
    by, key, step = _ROLLED[asked.by]
    steps = whole(asked, step)
    if steps is None or not _summed(asked):
        yield _rows(asked, values, "all", (asked.since, asked.until))
        return
    begin, end = steps
    values |= {"begin": begin, "end": end}
    conditions = [f"by = '{by}'"]
    conditions += ["at >= %(begin)s"] if begin is not None else []
    conditions += ["at < %(end)s"] if end is not None else []
    conditions += ["key = %(zone)s"] if asked.zone is not None else []
    conditions += ["key = %(seller_id)s"] if asked.seller_id is not None else []
    yield f"SELECT {key} AS key, currency, {_NAMES} FROM economics_rollup WHERE {' AND '.join(conditions)}"
    if asked.since is not None and begin is not None:
        yield from _ragged(asked, values, "before", (asked.since, begin))
    if asked.until is not None and end is not None:
        yield from _ragged(asked, values, "after", (end, asked.until))


def _ragged(asked: Asked, values: Values, name: str, bounds: tuple[datetime, datetime]) -> Iterator[str]:
    """Added; or taken off, when they come the wrong way round."""
    since, until = bounds
    if since < until:
        yield _rows(asked, values, name, (since, until))
    elif since > until:
        rows = _rows(asked, values, name, (until, since))
        yield f"SELECT key, currency, {_TAKEN_OFF} FROM ({rows}) {name}"


def _summed(asked: Asked) -> bool:
    """Whether the sums tell apart what is asked for."""
    match asked.by:
        case "zone" | "hour":
            return asked.seller_id is None
        case "seller":
            return asked.zone is None
    return asked.zone is None and asked.seller_id is None


def _rows(asked: Asked, values: Values, name: str, bounds: tuple[datetime | None, datetime | None]) -> str:
    since, until = bounds
    values |= {f"{name}_since": since, f"{name}_until": until}
    conditions = ["c.settled_at IS NOT NULL"]
    for table in ("c", "r"):  # of both, though they are settled together: each is then found by its index
        conditions += [f"{table}.settled_at >= %({name}_since)s"] if since is not None else []
        conditions += [f"{table}.settled_at < %({name}_until)s"] if until is not None else []
    conditions += ["c.zone = %(zone)s"] if asked.zone is not None else []
    conditions += ["c.seller_id = %(seller_id)s"] if asked.seller_id is not None else []
    return _ROWS.format(key=_KEYS[asked.by], where=" AND ".join(conditions))
