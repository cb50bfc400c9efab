"""Trees as RFC 6962 defines them, against the definition itself."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from projections.audit.merkle import Tree, leaf, path, root_by

SIZES = range(1, 70)


def by_the_definition(leaves: list[bytes]) -> bytes:
    """MTH of section 2.1."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256().digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + by_the_definition(leaves[:split]) + by_the_definition(leaves[split:])).digest()


def some(count: int) -> list[bytes]:
    return [leaf(number, bytes([number] * 32)) for number in range(count)]


def test_a_tree_that_grew_has_the_root_of_the_definition() -> None:
    tree, leaves = Tree(), some(70)
    for size in range(70):
        assert tree.root() == by_the_definition(leaves[:size])
        tree.add(leaves[size])


def test_every_leaf_leads_to_the_root_by_its_path() -> None:
    for size in SIZES:
        leaves = some(size)
        root = by_the_definition(leaves)
        for index in range(size):
            assert root_by(leaves[index], index, size, path(leaves, index)) == root


def test_a_path_proves_one_leaf_at_one_place() -> None:
    for size in range(2, 20):
        leaves = some(size)
        root = by_the_definition(leaves)
        for index in range(size):
            siblings = path(leaves, index)
            assert root_by(leaves[index - 1], index, size, siblings) != root
            assert root_by(leaves[index], (index + 1) % size, size, siblings) != root
            assert root_by(leaves[index], index, size, siblings[1:]) != root
            assert root_by(leaves[index], index, size, [*siblings, root]) is None


@given(st.integers(-3, 80), st.integers(0, 70), st.lists(st.binary(min_size=32, max_size=32), max_size=9))
def test_nonsense_proves_nothing(index: int, size: int, siblings: list[bytes]) -> None:
    root = by_the_definition(some(70))
    assert root_by(hashlib.sha256(b"x").digest(), index, size, siblings) != root


def test_a_leaf_holds_the_offset_and_the_hash() -> None:
    assert leaf(7, b"h" * 32) == hashlib.sha256(b"\x00" + b"\0\0\0\0\0\0\0\x07" + b"h" * 32).digest()
    assert leaf(7, b"h" * 32) != leaf(8, b"h" * 32)
