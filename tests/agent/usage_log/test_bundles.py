"""What the registry has cosigned is sealed in bundles; nobody who reads the log can tell."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.store.database import Db
from agent.usage_log import queries
from agent.usage_log.operations import read_tile, verify_log
from protocol.merkle import EMPTY_FRONTIER, leaf_hash
from protocol.tiles import TILE_WIDTH, TileName, subtrees_of_tiles, tiles_of
from protocol.usage import entry_bytes
from tests.agent.usage_log.rig import KEYS, accept, accept_all, fill, next_piece
from tests.fakes.agent_store import migrated, use

RAW = [entry_bytes(use(at)) for at in range(1_100)]


def test_whole_bundles_leave_their_rows_when_they_are_cosigned(db: Db) -> None:
    fill(db, 600)
    assert queries.count_bundles(db) == 0

    accept_all(db)

    assert queries.count_bundles(db) == 2
    assert _rows(db) == 600 - 512
    assert [stored.entry for stored in queries.each_entry(db, 0)] == RAW[:600]
    assert [stored.index for stored in queries.each_entry(db, 255)] == list(range(255, 600))
    for begin, end in ((0, 1), (0, 600), (255, 257), (300, 513), (512, 600), (511, 511)):
        assert queries.list_entries(db, begin, end) == RAW[begin:end]
    assert verify_log(db, KEYS).fault is None


def test_what_is_not_cosigned_stays_in_rows(db: Db) -> None:
    fill(db, 1_000)
    piece = next_piece(db, entries_max=300)
    assert piece is not None
    accept(db, piece)

    assert (queries.count_bundles(db), _rows(db)) == (1, 744)
    accept_all(db)
    assert queries.count_bundles(db) == 3
    fill(db, 1_100, begin=1_000)
    accept_all(db)
    assert [stored.entry for stored in queries.each_entry(db, 0)] == RAW


def test_an_entry_leaves_its_row_for_a_bundle_alone(db: Db) -> None:
    fill(db, 300)

    with pytest.raises(sqlite3.IntegrityError, match="never removed"), db.unit():
        db.write("DELETE FROM usage_entry WHERE idx = 299", {})

    accept_all(db)
    for verb in ("DELETE FROM usage_bundle", "UPDATE usage_bundle SET number = 7"):
        with pytest.raises(sqlite3.IntegrityError, match="never"), db.unit():
            db.write(verb, {})


@pytest.mark.parametrize("at", [0, 100, 700])
def test_a_damaged_bundle_is_found_and_the_place_named(db: Db, at: int) -> None:
    fill(db, 600)
    accept_all(db)
    packed = bytearray(queries.find_bundle(db, 1) or b"")
    packed[at % len(packed)] ^= 1
    with db.unit():
        db.write("DROP TRIGGER usage_bundle_is_only_added", {})
        db.write(
            "UPDATE usage_bundle SET entries = :entries WHERE number = 1",
            {"entries": bytes(packed)},
        )

    report = verify_log(db, KEYS)

    assert report.fault is not None
    assert report.first_wrong is not None
    assert 256 <= report.first_wrong < 512


def test_tiles_of_the_cosigned_part_prove_it_and_no_more_is_shown(db: Db) -> None:
    fill(db, 700)
    piece = next_piece(db, entries_max=600)
    assert piece is not None
    accept(db, piece)

    tiles = {name: read_tile(db, name) for name in tiles_of(600)}

    for name, tile in tiles.items():
        assert tile is not None
        if name.level == 0:
            begin = name.number * TILE_WIDTH
            assert tile == b"".join(map(leaf_hash, RAW[begin : begin + name.width]))
    subtree = subtrees_of_tiles(600, lambda name: tiles[name] or b"")
    assert subtree(9, 0) == EMPTY_FRONTIER.extended(RAW[:512]).root()
    assert read_tile(db, TileName(0, 0, 17)) == b"".join(map(leaf_hash, RAW[:17]))
    for beyond in (TileName(0, 2, 89), TileName(None, 2, 89), TileName(0, 2), TileName(1, 0, 3)):
        assert read_tile(db, beyond) is None


def _rows(db: Db) -> int:
    row = db.row("SELECT count(*) AS rows FROM usage_entry", {})
    assert row is not None
    return int(row["rows"])


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Db]:
    with migrated(tmp_path) as opened:
        yield opened
