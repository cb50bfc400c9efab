"""Walks one partition's rows in order, and says where the chain does not hold and what that comes from. Pure.

Offsets alone tell nothing: a log with transactions has holes, where their ends are marked. What tells is that each row
names the hash of the row before. Where a row does not, the rows round it are looked at together: which of them lead to
one another, which belong nowhere, and between which two a row is missing.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from projections.audit.findings import Finding, Kind
from projections.models.audit import chained

HOLDS = 8
"""So many rows in line, and what was before them is settled."""
_REMEMBERED = 64
_ZONE = 512
_EITHER = ("hash", "value")


class Link(NamedTuple):
    """What the chain needs of a row. `bytes`: None when they are not known, and the hash is taken as it is."""

    offset: int
    previous: bytes
    hash: bytes
    value: bytes | None
    delivery_id: str

    @property
    def proper(self) -> bytes:
        """The hash that the row should have."""
        return self.hash if self.value is None else chained(self.previous, self.value)


class Chain:
    """One partition, from its first row or from an anchor."""

    def __init__(self, place: tuple[str, int], before: bytes, offset: int = -1) -> None:
        start = Link(offset, b"", before, None, "")
        self._place, self._good = place, deque([start], _REMEMBERED)
        self._zone: list[Link] = []
        self._in_line = 0
        self._unsound: Link | None = None

    @property
    def broken(self) -> bool:
        """Whether something is not settled yet."""
        return bool(self._zone or self._unsound)

    def add(self, link: Link) -> list[Finding]:
        """The next row by its offset; what is settled now."""
        found = self._judge_last(link)
        last = self._zone[-1] if self._zone else self._good[-1]
        if link.proper != link.hash:
            if link.value is not None and chained(last.hash, link.value) == link.hash:
                found.append(self._changed(link, ("prev_hash",)))
                link = link._replace(previous=last.hash)
            else:
                self._unsound = link
        fits = link.previous == last.hash
        if not self._zone and fits:
            self._good.append(link)
            return found
        if not self._zone:
            self._take_back(link.previous)
        self._zone.append(link)
        self._in_line = self._in_line + 1 if fits else 0
        if self._in_line >= HOLDS or len(self._zone) >= _ZONE:
            found += self._settle()
        return found

    def end(self, wanted: bytes | None) -> list[Finding]:
        """No row follows. `wanted`: the hash that the last one has, as the projector noted it; None: not known."""
        found: list[Finding] = []
        if (unsound := self._unsound) is not None:
            self._unsound = None
            if wanted == unsound.proper:
                self._mend(unsound)
            columns = ("value",) if wanted == unsound.hash else ("hash",) if wanted == unsound.proper else _EITHER
            found.append(self._changed(unsound, columns))
        found += self._settle()
        known = [link.hash for link in self._good]
        if wanted is None or wanted == known[-1]:
            return found
        if wanted in known:
            extra = list(self._good)[known.index(wanted) + 1 :]
            text = "the projector never wrote it: by what it noted the chain ends before"
            return [*found, *(self._finding("inserted", one, text) for one in extra)]
        text = (
            "the projector wrote another last row: those after this one are missing, or it was changed and hashed anew"
        )
        return [*found, self._finding("cut", self._good[-1], text)]

    def _judge_last(self, link: Link) -> list[Finding]:
        """What the row before turns out to be, now that one follows it."""
        unsound, self._unsound = self._unsound, None
        if unsound is None:
            return []
        if link.previous == unsound.proper:
            self._mend(unsound)
            return [self._changed(unsound, ("hash",))]
        return [self._changed(unsound, ("value",) if link.previous == unsound.hash else _EITHER)]

    def _mend(self, last: Link) -> None:
        """The last row has its proper hash from now on."""
        (self._zone or self._good)[-1] = last._replace(hash=last.proper)

    def _take_back(self, previous: bytes) -> None:
        """If the row goes on from an earlier one, those since are doubtful."""
        known = [link.hash for link in self._good]
        if previous in known:
            while self._good[-1].hash != previous:
                self._zone.insert(0, self._good.pop())

    def _settle(self) -> list[Finding]:
        zone, self._zone, self._in_line = self._zone, [], 0
        if not zone:
            return []
        tail = self._good[-1]
        main = _back_from(zone, tail.hash)
        rest = [link for link in zone if link not in main]
        found, order = [], main
        if main[0].previous != tail.hash:
            doubled = {link.hash for link in (*self._good, *main)}
            remains = [link for link in rest if link.offset < main[0].offset and link.hash not in doubled]
            order = [*remains, *main]
            pairs = zip([tail, *remains], [*remains, main[0]], strict=True)
            found = [self._gap(one, other) for one, other in pairs if other.previous != one.hash]
        found += [self._foreign(link, [*self._good, *order]) for link in rest if link not in order]
        found += self._disorder(order)
        self._good.extend(order)
        return sorted(found, key=lambda finding: finding.offset)

    def _foreign(self, link: Link, others: Sequence[Link]) -> Finding:
        twin = next((one for one in others if one.hash == link.hash and one is not link), None)
        if twin is not None:
            return self._finding("doubled", link, f"the same row stands at offset {twin.offset}")
        return self._finding("inserted", link, "no row leads on from it: the chain goes past it")

    def _gap(self, one: Link, other: Link) -> Finding:
        if one.offset < 0:
            return self._finding("missing", other, f"the rows before offset {other.offset} are missing")
        if other.offset == one.offset + 1:
            return self._finding("changed", one, f"it was changed and hashed anew: {other.offset} is after another")
        text = f"rows between {one.offset} and {other.offset} are missing, or {one.offset} was changed and hashed anew"
        return self._finding("missing", other, text)

    def _disorder(self, order: Sequence[Link]) -> Iterable[Finding]:
        offsets = sorted(link.offset for link in order)
        for link, offset in zip(order, offsets, strict=True):
            if link.offset != offset:
                yield self._finding("out of order", link, f"by the chain it stands at offset {offset}")

    def _changed(self, link: Link, columns: tuple[str, ...]) -> Finding:
        text = f"{' or '.join(columns)} was changed: SHA-256 of prev_hash and value is not the hash"
        return self._finding("changed", link, text, columns)

    def _finding(self, kind: Kind, link: Link, text: str, columns: tuple[str, ...] = ()) -> Finding:
        topic, partition = self._place
        return Finding(
            kind=kind, topic=topic, partition=partition, offset=link.offset, text=text,
            delivery_id=link.delivery_id, columns=columns,
        )  # fmt: skip


def _back_from(zone: Sequence[Link], start: bytes) -> list[Link]:
    """The rows that lead to the last one, in the chain's order, back to one that goes on from `start` at most."""
    by_hash = {link.hash: link for link in reversed(zone)}
    order = [zone[-1]]
    while order[0].previous != start and (before := by_hash.get(order[0].previous)) is not None:
        if before in order:
            break
        order.insert(0, before)
    return order
