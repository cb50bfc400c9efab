"""Merkle trees as RFC 6962, section 2.1, hashes them: a root over leaves in order, and the path from a leaf to it."""

import hashlib
from collections.abc import Sequence


def leaf(offset: int, chain_hash: bytes) -> bytes:
    """The hash of a row's leaf: 0x00, the row's offset (8 bytes, big endian) and its hash in the chain."""
    return hashlib.sha256(b"\x00" + offset.to_bytes(8, "big") + chain_hash).digest()


def node(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """Grows leaf by leaf; holds one hash for each full subtree, so a million leaves take twenty."""

    def __init__(self) -> None:
        self.size = 0
        self._full: list[bytes] = []

    def add(self, leaf_hash: bytes) -> None:
        """One leaf more, on the right."""
        size = self.size
        while size & 1:
            leaf_hash = node(self._full.pop(), leaf_hash)
            size >>= 1
        self._full.append(leaf_hash)
        self.size += 1

    def root(self) -> bytes:
        """The root as it is now; of no leaf: SHA-256 of nothing."""
        if not self._full:
            return hashlib.sha256(b"").digest()
        *rest, found = self._full
        for left in reversed(rest):
            found = node(left, found)
        return found


def path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The siblings from a leaf's hash up to the root, the nearest first (PATH in section 2.1.1)."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:split], leaves[split:]
    if index < split:
        return [*path(left, index), _root(right)]
    return [*path(right, index - split), _root(left)]


def root_by(leaf_hash: bytes, index: int, size: int, siblings: Sequence[bytes]) -> bytes | None:
    """The root that a leaf and its path lead to; None: no tree of this size has such a path (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return None
    place, last, found = index, size - 1, leaf_hash
    for sibling in siblings:
        if last == 0:
            return None
        if place & 1 or place == last:
            found = node(sibling, found)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = node(found, sibling)
        place, last = place >> 1, last >> 1
    return found if last == 0 else None


def _root(leaves: Sequence[bytes]) -> bytes:
    tree = Tree()
    for one in leaves:
        tree.add(one)
    return tree.root()
