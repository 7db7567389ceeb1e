"""Tiles are named, cut and read as C2SP tlog-tiles says, and proofs can be made of them alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from protocol.merkle import (
    consistency_proof,
    inclusion_proof,
    is_consistent,
    leaf_hash,
    root_from_inclusion,
    root_of,
)
from protocol.tiles import (
    TILE_WIDTH,
    TileName,
    bundle_bytes,
    hashes_of,
    read_bundle,
    read_tile_name,
    subtrees_of_tiles,
    tiles_of,
)

ENTRIES = [b"entry %d" % at for at in range(70_000)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
LEVELS = [LEAVES]
while len(LEVELS[-1]) >= TILE_WIDTH:
    below = LEVELS[-1]
    LEVELS.append(
        [
            root_of(below[at : at + TILE_WIDTH])
            for at in range(0, len(below) - TILE_WIDTH + 1, TILE_WIDTH)
        ]
    )


def test_the_number_of_a_tile_is_spelled_in_threes() -> None:
    assert TileName(0, 1_234_067).path() == "0/x001/x234/067"
    assert TileName(0, 0, 112).path() == "0/000.p/112"
    assert TileName(3, 999).path() == "3/999"
    assert TileName(None, 1_000, 1).path() == "entries/x001/000.p/1"


@given(st.one_of(st.none(), st.integers(0, 63)), st.integers(0, 10**9), st.integers(1, 256))
def test_a_name_is_read_back_as_it_was_spelled(level: int | None, number: int, width: int) -> None:
    name = TileName(level, number, width)

    assert read_tile_name(name.path()) == name


@pytest.mark.parametrize(
    "path",
    [
        "", "0", "0/0", "0/00", "0/0000", "00/000", "64/000", "-1/000", "0/x000/000",
        "0/000/000", "0/x01/000", "0/000.p/0", "0/000.p/256", "0/000.p/012", "0/000.p/",
        "0/000.p", "0/000/", "/0/000", "Entries/000", "0/٠٠٠", "0/000.p/1\n", "0/../000",
        "0/" + "x001/" * 20 + "000",
    ],
)  # fmt: skip
def test_any_other_spelling_is_no_tile(path: str) -> None:
    assert read_tile_name(path) is None


def test_a_log_of_70000_has_the_tiles_of_the_published_example() -> None:
    names = tiles_of(70_000)

    widths = {level: [name.width for name in names if name.level == level] for level in range(3)}
    assert (len(widths[0]), widths[0][-1]) == (274, 112)
    assert widths[1] == [256, 17]
    assert widths[2] == [1]
    assert [name.width for name in tiles_of(256)] == [256, 256, 1]
    assert tiles_of(0) == []


@given(st.integers(1, 70_000), st.data())
def test_proofs_are_made_of_tiles_alone(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    index = data.draw(st.integers(0, size - 1))
    published = set(tiles_of(size))

    def fetch(name: TileName) -> bytes:
        assert name in published
        hashes = LEVELS[name.level or 0][name.number * TILE_WIDTH :][: name.width]
        return b"".join(hashes)

    subtree = subtrees_of_tiles(size, fetch)
    root, old_root = (_root(size), _root(old))

    inclusion = inclusion_proof(index, size, subtree)
    assert root_from_inclusion(index, size, LEAVES[index], inclusion) == root
    assert is_consistent(old, old_root, size, root, consistency_proof(old, size, subtree))


def test_roots_of_tiles_are_those_of_another_implementation() -> None:
    tree = InmemoryTree(algorithm="sha256")
    for entry in ENTRIES[:700]:
        tree.append_entry(entry)

    for size in (1, 255, 256, 257, 511, 512, 700):
        assert _root(size) == tree.get_root(size)


@given(st.lists(st.binary(max_size=1024), max_size=20), st.integers(0, 50))
def test_a_bundle_is_read_back_and_a_cut_one_is_not_one(entries: list[bytes], cut: int) -> None:
    bundle = bundle_bytes(entries)

    assert read_bundle(bundle) == entries
    if entries and 0 < cut <= 1 + len(entries[-1]):
        with pytest.raises(ValueError, match="cut off"):
            read_bundle(bundle[:-cut])


def test_a_tile_that_is_cut_off_is_named() -> None:
    with pytest.raises(ValueError, match="cut off"):
        hashes_of(bytes(31))


def _root(size: int) -> bytes:
    """The root from the kept levels, by the definition of RFC 6962."""
    hashes: list[bytes] = []
    level, count = 0, size
    roots: list[tuple[int, list[bytes]]] = []
    while count:
        whole, part = divmod(count, TILE_WIDTH)
        roots.append((level, LEVELS[level][whole * TILE_WIDTH :][:part]))
        level, count = level + 1, whole
    for _, part_hashes in roots:
        hashes = [*part_hashes, root_of(hashes)] if hashes else list(part_hashes)
    return root_of(hashes)
