"""The tree is the one of RFC 6962: by its own vectors, by an independent library, by its proofs."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from protocol.merkle import (
    EMPTY_FRONTIER,
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    is_consistent,
    leaf_hash,
    read_frontier,
    root_from_inclusion,
    root_of,
    subtrees_of,
)

# The eight leaves and roots with which Certificate Transparency logs test themselves.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    bytes.fromhex(root)
    for root in (
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    )
]
SIZES = range(1, 34)
HASHES = [leaf_hash(b"%d" % at) for at in range(SIZES[-1])]
entries = st.lists(st.binary(max_size=40), max_size=70)


@pytest.mark.parametrize("size", range(9))
def test_the_published_roots_come_out(size: int) -> None:
    assert root_of([leaf_hash(leaf) for leaf in LEAVES[:size]]) == ROOTS[size]
    assert EMPTY_FRONTIER.extended(LEAVES[:size]).root() == ROOTS[size]


def test_the_empty_tree_has_the_root_of_nothing() -> None:
    assert EMPTY_FRONTIER.root() == EMPTY_ROOT == root_of([])


@given(entries)
def test_an_independent_library_finds_the_same_root(leaves: list[bytes]) -> None:
    oracle = InmemoryTree(algorithm="sha256")
    for leaf in leaves:
        oracle.append_entry(leaf)

    assert EMPTY_FRONTIER.extended(leaves).root() == (oracle.get_root() if leaves else EMPTY_ROOT)


@given(entries, st.lists(st.integers(0, 70), max_size=6))
def test_a_frontier_grown_in_parts_and_stored_between_is_the_same(
    leaves: list[bytes], cuts: list[int]
) -> None:
    edges = [0, *sorted(min(cut, len(leaves)) for cut in cuts), len(leaves)]
    frontier = EMPTY_FRONTIER

    for begin, end in itertools.pairwise(edges):
        frontier = frontier.extended(leaves[begin:end])
        frontier = read_frontier(frontier.size, frontier.to_bytes())

    assert frontier.root() == root_of([leaf_hash(leaf) for leaf in leaves])
    assert len(frontier.roots) == len(leaves).bit_count()


def test_every_leaf_of_every_size_is_proved_and_nothing_else() -> None:
    for size in SIZES:
        root = root_of(HASHES[:size])
        for index in range(size):
            proof = inclusion_proof(index, size, subtrees_of(HASHES[:size]))

            assert root_from_inclusion(index, size, HASHES[index], proof) == root
            other = HASHES[(index + 1) % size]
            if size > 1:
                assert root_from_inclusion(index, size, other, proof) != root
                assert root_from_inclusion((index + 1) % size, size, HASHES[index], proof) != root


@given(size=st.sampled_from(SIZES), at=st.integers(0, 10**6), change=st.integers(0, 10**6))
def test_a_proof_with_a_hash_changed_missing_or_too_many_proves_nothing(
    size: int, at: int, change: int
) -> None:
    index = at % size
    root = root_of(HASHES[:size])
    proof = inclusion_proof(index, size, subtrees_of(HASHES[:size]))
    place = change % (len(proof) + 1)

    assert root_from_inclusion(index, size, HASHES[index], [*proof, bytes(32)]) != root
    if place < len(proof):
        changed = [*proof[:place], bytes(32), *proof[place + 1 :]]
        assert root_from_inclusion(index, size, HASHES[index], changed) != root
        missing = proof[:place] + proof[place + 1 :]
        assert root_from_inclusion(index, size, HASHES[index], missing) != root


@pytest.mark.parametrize(("index", "size"), [(-1, 4), (4, 4), (0, 0), (5, 4)])
def test_an_index_outside_the_tree_is_not_in_it(index: int, size: int) -> None:
    assert root_from_inclusion(index, size, HASHES[0], []) is None


def test_a_proof_longer_than_any_tree_is_not_looked_at() -> None:
    assert root_from_inclusion(0, 2**62, HASHES[0], [bytes(32)] * 64) is None
    assert not is_consistent(1, HASHES[0], 2**62, HASHES[0], [bytes(32)] * 64)


def test_every_growth_is_proved_and_no_other() -> None:
    for new in SIZES:
        lookup = subtrees_of(HASHES[:new])
        new_root = root_of(HASHES[:new])
        for old in range(1, new + 1):
            old_root = root_of(HASHES[:old])
            proof = consistency_proof(old, new, lookup)

            assert is_consistent(old, old_root, new, new_root, proof)
            assert not is_consistent(old, bytes(32), new, new_root, proof)
            assert not is_consistent(old, old_root, new, bytes(32), proof)
            assert not is_consistent(old, old_root, new, new_root, [*proof, bytes(32)])
            for place in range(len(proof)):
                changed = [*proof[:place], bytes(32), *proof[place + 1 :]]
                assert not is_consistent(old, old_root, new, new_root, changed)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (-1, 3)])
def test_sizes_out_of_order_are_not_consistent(old: int, new: int) -> None:
    assert not is_consistent(old, HASHES[0], new, HASHES[0], [])
