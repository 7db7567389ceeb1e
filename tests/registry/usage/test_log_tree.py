"""The tree kept in bundles is the same tree."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.merkle import (
    EMPTY_FRONTIER,
    inclusion_proof,
    leaf_hash,
    root_from_inclusion,
    root_of,
)
from protocol.packing import packed_entries
from registry.usage.log_tree import (
    SubtreeRoot,
    bundle_bytes,
    frontier_at,
    grown,
    read_bundle,
    sealed,
    subtrees,
    unpacked,
    unsealed,
)

SIZE = 70_000
ENTRIES = [f'{{"n":{at}}}'.encode() for at in range(SIZE)]
HASHES = [leaf_hash(entry) for entry in ENTRIES]


@pytest.fixture(scope="module")
def kept() -> list[SubtreeRoot]:
    return list(grown(EMPTY_FRONTIER, ENTRIES)[1])


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(0, 1500), max_size=8))
def test_growing_in_parts_gives_the_root_by_definition(cuts: list[int]) -> None:
    frontier, at = EMPTY_FRONTIER, 0
    kept: list[SubtreeRoot] = []
    for width in cuts:
        frontier, roots = grown(frontier, ENTRIES[at : at + width])
        kept.extend(roots)
        at += width

    assert frontier == EMPTY_FRONTIER.extended(ENTRIES[:at])
    assert frontier.root() == root_of(HASHES[:at])
    assert [root.number for root in kept] == list(range(at // 256))
    for root in kept:
        begin = root.number << root.level
        assert root.root == root_of(HASHES[begin : begin + 256])


def test_roots_are_kept_at_every_eighth_level(kept: list[SubtreeRoot]) -> None:
    assert {root.level for root in kept} == {8, 16}
    (upper,) = [root for root in kept if root.level == 16]
    assert upper.number == 0
    assert upper.root == root_of(HASHES[: 1 << 16])


@settings(max_examples=25, deadline=None)
@given(size=st.integers(1, SIZE), at=st.integers(0, SIZE - 1))
def test_proofs_come_from_what_is_kept(kept: list[SubtreeRoot], size: int, at: int) -> None:
    index = at % size

    proof = inclusion_proof(index, size, subtrees(_Roots(kept), _bundle))

    root = EMPTY_FRONTIER.extended(ENTRIES[:size]).root()
    assert root_from_inclusion(index, size, HASHES[index], proof) == root


@settings(max_examples=25, deadline=None)
@given(size=st.integers(0, SIZE))
def test_the_frontier_of_an_earlier_size_is_found_again(kept: list[SubtreeRoot], size: int) -> None:
    found = frontier_at(size, subtrees(_Roots(kept), _bundle))

    assert found == EMPTY_FRONTIER.extended(ENTRIES[:size])


@given(st.lists(st.binary(max_size=1024), max_size=256))
def test_a_bundle_gives_its_entries_back(entries: list[bytes]) -> None:
    assert read_bundle(bundle_bytes(entries)) == entries


@settings(max_examples=25)
@given(bundles=st.integers(1, 4), begin=st.integers(0, 5_000), cut=st.integers(0, 256))
def test_bundles_that_were_sealed_together_come_back(bundles: int, begin: int, cut: int) -> None:
    entries = ENTRIES[begin : begin + 256 * bundles]
    pieces = [packed_entries(entries[:cut]), packed_entries(entries[cut:])]

    found = [unpacked(piece) for piece in unsealed(sealed(pieces))]

    assert [entry for piece in found for entry in piece.entries] == entries


def test_a_bundle_begins_each_entry_with_its_length() -> None:
    assert bundle_bytes([b"ab", b"c"]) == b"\x00\x02ab\x00\x01c"


@pytest.mark.parametrize("cut", [1, 3, 5, 6])
def test_a_bundle_that_is_cut_off_is_no_bundle(cut: int) -> None:
    with pytest.raises(ValueError, match="cut off"):
        read_bundle(bundle_bytes([b"ab", b"c"])[:cut])


@pytest.mark.parametrize("at", [5, 10, 200])
def test_a_damaged_bundle_is_no_bundle(at: int) -> None:
    stored = bytearray(sealed([packed_entries(ENTRIES[:256])]))
    stored[at] ^= 1

    with pytest.raises(ValueError, match="damaged"):
        unsealed(bytes(stored))


@pytest.mark.parametrize("cut", [1, 7, 30])
def test_a_sealed_bundle_that_is_cut_off_is_no_bundle(cut: int) -> None:
    stored = sealed([packed_entries(ENTRIES[:512])])

    with pytest.raises(ValueError, match="damaged"):
        unsealed(stored[:-cut])


class _Roots:
    """The kept roots, asked for by level and range."""

    def __init__(self, kept: list[SubtreeRoot]) -> None:
        self._roots = {(one.level, one.number): one.root for one in kept}

    def __call__(self, level: int, first: int, last: int) -> list[bytes]:
        return [self._roots[level, number] for number in range(first, last)]


def _bundle(number: int) -> list[bytes]:
    return ENTRIES[number * 256 : (number + 1) * 256]
