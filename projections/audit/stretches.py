"""One partition's anchors beside its rows: does each still cover the rows that it was written over. Pure."""

from collections.abc import Iterator, Sequence

from projections.audit import merkle
from projections.audit.anchor import Anchor, following
from projections.audit.chain import Link
from projections.audit.findings import Finding
from projections.audit.keys import Known


class Stretches:
    """Takes the rows in order. `kept_from_ms`: rows of earlier times may have been dropped; None: none was."""

    def __init__(self, anchors: Sequence[Anchor], kept_from_ms: int | None, after: int = -1) -> None:
        self._left = [anchor for anchor in anchors if anchor.last_offset > after]
        self._kept_from_ms = kept_from_ms
        self._tree, self._last = merkle.Tree(), b""
        self._ragged: list[tuple[int, int]] = []
        """First offset of a stretch that retention cut into, and the first offset kept after it."""
        self.dropped = self.fitting = 0
        """Rows that retention took, and anchors that fit."""

    def add(self, link: Link) -> list[Finding]:
        """The next row; what is wrong with the stretches that it ends."""
        found = []
        while self._left and self._left[0].last_offset < link.offset:
            found += self._close(link.offset)
        if self._left and link.offset >= self._left[0].first_offset:
            self._tree.add(merkle.leaf(link.offset, link.hash))
            self._last = link.hash
        return found

    def end(self) -> list[Finding]:
        """No row follows."""
        found: list[Finding] = []
        while self._left:
            found += self._close(-1)
        return found

    def explains(self, finding: Finding) -> bool:
        """Whether rows are missing there because retention dropped a month that ends within the stretch."""
        if finding.kind not in ("missing", "inserted", "changed") or finding.columns or self._kept_from_ms is None:
            return False
        inside = [one for one in self._left[:1] if one.first_at_ms < self._kept_from_ms]
        return any(one.first_offset <= finding.offset for one in inside) or any(
            first <= finding.offset <= after for first, after in self._ragged
        )

    def _close(self, next_offset: int) -> list[Finding]:
        anchor, self._left = self._left[0], self._left[1:]
        tree, last = self._tree, self._last
        self._tree, self._last = merkle.Tree(), b""
        if (tree.size, tree.root(), last) == (anchor.rows, anchor.root, anchor.hash):
            self.fitting += 1
            return []
        early = anchor.first_at_ms if tree.size else anchor.last_at_ms
        if self._kept_from_ms is not None and early < self._kept_from_ms and tree.size < anchor.rows:
            self.dropped += anchor.rows - tree.size
            self._ragged.append((anchor.first_offset, next_offset))
            return []
        what = f"{tree.size} rows are there" if tree.size != anchor.rows else "the rows are not those"
        text = f"anchor {anchor.number} does not fit: {what}, it was written over {anchor.rows} rows"
        return [_finding(anchor, f"{text}, offsets {anchor.first_offset} to {anchor.last_offset}")]


def linked(anchors: Sequence[Anchor], known: Known) -> Iterator[Finding]:
    """What is wrong with the anchors themselves: numbers, each one's word about the one before, signatures."""
    before: Anchor | None = None
    for anchor in anchors:
        number = before.number + 1 if before else 1
        if anchor.number != number:
            gone = (
                f"anchors {number} to {anchor.number - 1} are" if anchor.number > number + 1 else f"anchor {number} is"
            )
            yield _finding(anchor, f"{gone} missing")
        elif anchor.previous != following(before) or (before and anchor.before != before.hash):
            yield _finding(anchor, f"anchor {anchor.number} does not go on from the one before it, or that was changed")
        if known and (wrong := anchor.wrong(known)):
            yield _finding(anchor, f"anchor {anchor.number} {wrong}")
        before = anchor


def kept_elsewhere(anchors: Sequence[Anchor], outside: Sequence[Anchor]) -> Iterator[Finding]:
    """Anchors that a file has and the table has not, or has otherwise."""
    there = {anchor.number: anchor for anchor in anchors}
    for anchor in outside:
        if (ours := there.get(anchor.number)) != anchor:
            how = "is not in the table" if ours is None else "is another in the table"
            yield _finding(anchor, f"anchor {anchor.number} of the file {how}")


def _finding(anchor: Anchor, text: str) -> Finding:
    topic, partition = anchor.place
    return Finding(kind="anchor", topic=topic, partition=partition, offset=anchor.last_offset, text=text)
