"""Which tables are written: all of them by a projector, some of them by a rebuild."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from dispatch.contract import topics
from projections.models import AUDIT, BASES, FOLDED, LATEST, NOTED
from projections.models.model import Events, Latest, Summed
from projections.models.noted import Noted

EVENT_TOPICS = {"delivery": topics.DELIVERY_EVENTS, "driver": topics.DRIVER_EVENTS}
_LATEST: dict[str, Latest] = {model.table: model for models in LATEST.values() for model in models}
_NOTED: dict[str, Noted] = {model.table: model for model in NOTED}
_FOLDED: dict[str, Events] = {model.table: model for model in FOLDED}
TABLES: tuple[str, ...] = (*_FOLDED, AUDIT.table, *_LATEST, *_NOTED)
"""Every read model's name."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Models that are folded from events in the order of their steps; whether the audit is written; others by table."""

    folded: tuple[Events, ...] = FOLDED
    audit: bool = True
    others: frozenset[str] = field(default_factory=lambda: frozenset((*_LATEST, *_NOTED)))

    @property
    def tables(self) -> tuple[str, ...]:
        """All that is written."""
        audit = (AUDIT.table,) if self.audit else ()
        return (*(model.table for model in self.folded), *audit, *sorted(self.others))

    @property
    def topics(self) -> tuple[topics.Topic, ...]:
        """What must be read, but for pings, which are not kept."""
        families = {"delivery", "driver"} if self.audit else {model.family for model in self.folded}
        names = {name for name, models in LATEST.items() if any(model.table in self.others for model in models)}
        noted = {model.topic.name for model in NOTED if model.table in self.others}
        wanted = {EVENT_TOPICS[family].name for family in families} | names | noted
        return tuple(topic for topic in topics.CATALOGUE if topic.name in wanted)


def with_what_they_need(names: Iterable[str]) -> Chosen:
    """These tables, and those that they cannot be folded without. Raises KeyError for a name that is none."""
    wanted = set(names)
    if unknown := wanted - set(TABLES):
        raise KeyError(min(unknown))
    folded = {name for name in wanted if name in _FOLDED}
    for name in tuple(folded):
        model = _FOLDED[name]
        folded.add(BASES[model.family].table)
        if isinstance(model, Summed):
            folded.add(model.beside.table)
    return Chosen(
        tuple(model for model in FOLDED if model.table in folded),
        AUDIT.table in wanted,
        frozenset(name for name in wanted if name in _LATEST or name in _NOTED),
    )


def why_not_again(name: str) -> str:
    """Why a table cannot be made again from the log; empty: it can."""
    noted = _NOTED.get(name)
    return noted.not_again if noted is not None else ""


def carried(name: str) -> tuple[str, ...]:
    """Columns of a table that the log does not hold."""
    model = _FOLDED.get(name)
    return model.carried if model is not None else ()


def month_of(name: str) -> str:
    """The column by whose month a table is parted; empty: none."""
    if name == AUDIT.table:
        return AUDIT.month
    model = _FOLDED.get(name) or _NOTED.get(name)
    return model.month if model is not None else ""
