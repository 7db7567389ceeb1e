"""However a log is cut, repeated and overlapped on its way, the books come out the same."""

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from protocol.usage import Use
from registry.leases.operations import grant_first
from registry.leases.queries import open_by_tenant
from registry.ledger.operations import verify
from registry.store.database import Db
from tests.registry.books import give
from tests.registry.recording import (
    NOW_MS,
    OWNERS,
    START_MS,
    Desk,
    Recorder,
    closed,
    desk,
    lease_closed,
    opened,
    time_use,
    tokens,
)
from tests.registry.verifying import check
from tests.services.databases import Databases

UNIT = 1_000_000
SUMS = {
    "account": "SELECT name, balance, held FROM account WHERE name <> 'X:late'",
    "late": "SELECT name, balance FROM account WHERE name = 'X:late'",
    "lease": "SELECT id, settled, state FROM lease",
    "stream": "SELECT owner_id, meter, cumulative, rated, charged, shared FROM stream",
    "hours": "SELECT owner_id, meter, hour_ms, quantity, rated, charged FROM usage_hour",
    "openings": "SELECT allocation_id, opened_at_ms, closed_at_ms FROM opening",
    "accelerators": "SELECT uuid, held_by, since_ms FROM accelerator_use",
    "log": "SELECT size, frontier, checkpoint FROM node_log",
    "roots": "SELECT level, number, root FROM log_subtree",
}


@pytest.fixture(scope="module")
def sqlite(run_folder: Path) -> Iterator[Databases]:
    made = Databases(run_folder, None)
    yield made
    made.drop_all()


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32), way=st.integers(0, 2**32))
def test_every_way_of_delivery_gives_the_same_books(sqlite: Databases, seed: int, way: int) -> None:
    node = recorded(random.Random(seed))

    with desk(sqlite) as whole, desk(sqlite) as cut:
        for here in (whole, cut):
            here.owners["a_3"] = replace(OWNERS["a_3"], released_at_ms=START_MS + 1_000_000)
            here.within(_fund)
        answer = whole.take(node.batch())
        assert answer.problem is None
        deliver(cut, node, random.Random(way))

        assert _sums(cut) == _sums(whole)
        for here in (whole, cut):
            assert here.within(verify).problems == ()
            assert check(here).problems == ()


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32))
def test_nothing_is_charged_beyond_leases_and_nothing_recorded_is_lost(
    sqlite: Databases, seed: int
) -> None:
    node = recorded(random.Random(seed))

    with desk(sqlite) as here:
        here.within(_fund)
        deliver(here, node, random.Random(seed))

        def check(db: Db) -> None:
            names = {row.name: row.balance for row in db.rows(text("SELECT * FROM account"))}
            income = -sum(micros for name, micros in names.items() if name.startswith("I:usage:"))
            ours = names.get("X:overrun", 0) + names.get("X:late", 0)
            rated, charged = _sum(db, "rated", "stream"), _sum(db, "charged", "stream")
            assert income == rated == charged + ours
            assert charged == _sum(db, "settled", "lease") == _sum(db, "charged", "usage_hour")
            held = db.rows(text("SELECT tenant_id, held FROM account WHERE held > 0"))
            assert {row.tenant_id: row.held for row in held} == {
                tenant_id: micros for tenant_id, micros in open_by_tenant(db).items() if micros
            }

        here.within(check)


def recorded(chance: random.Random) -> Recorder:
    """A log of what an honest node might see: two allocations, one after another on a card, and
    an API key, under leases some of which run out or close on the way."""
    node = Recorder()
    node.record(opened("a_1", "GPU-1"), opened("a_2", "GPU-2", "GPU-3"))
    ends = {"a_1": START_MS, "a_2": START_MS}
    counts: dict[tuple[str, str], int] = {}
    lease_of = {"t_1": [1, 3, 4], "t_2": [2]}
    for _ in range(chance.randrange(400)):
        match chance.random():
            case draw if draw < 0.6:
                owner = chance.choice(sorted(ends))
                node.record(_time(chance, owner, ends, counts, lease_of))
            case draw if draw < 0.95:
                meter = chance.choice(["tok.in", "tok.out", "req"])
                quantity, before = chance.randrange(5000), counts.get(("k_1", meter), 0)
                lease_id = chance.choice(lease_of["t_1"])
                node.record(tokens(quantity, before=before, lease_id=lease_id, meter=meter))
                counts["k_1", meter] = before + quantity
            case draw if draw < 0.97 and "a_1" in ends:
                at_ms = ends.pop("a_1")
                node.record(closed(at_ms=at_ms), opened("a_3", "GPU-1", at_ms=at_ms))
                ends["a_3"] = at_ms
            case draw if draw < 0.975:
                node.record(lease_closed(chance.choice(lease_of["t_1"]), "t_1"))
            case _:
                pass
    return node


def deliver(here: Desk, node: Recorder, chance: random.Random) -> None:
    """Send the log in random parts, some twice, some overlapping, some too early."""
    while (size := _size(here)) < len(node.entries):
        begin = max(0, size - chance.choice([0, 0, 1, 7, 300]) + chance.choice([0, 0, 0, 5]))
        end = min(begin + chance.randrange(1, 200), len(node.entries))
        answer = here.take(node.batch(min(begin, end), end))
        assert answer.problem is None


def _sum(db: Db, column: str, table: str) -> int:
    return int(db.value(text(f"SELECT COALESCE(SUM({column}), 0) FROM {table}")))


def _size(here: Desk) -> int:
    return int(here.within(lambda db: db.value(text("SELECT MAX(size) FROM node_log"))) or 0)


def _time(
    chance: random.Random,
    owner: str,
    ends: dict[str, int],
    counts: dict[tuple[str, str], int],
    lease_of: dict[str, list[int]],
) -> Use:
    begin_ms = ends[owner]
    hour_end_ms = begin_ms - begin_ms % 3_600_000 + 3_600_000
    end_ms = min(begin_ms + chance.randrange(1, 60_000), hour_end_ms, NOW_MS)
    if end_ms <= begin_ms:
        end_ms = begin_ms + 1
    before = counts.get((owner, "gpu.ms"), 0)
    lease_id = chance.choice(lease_of[OWNERS[owner].tenant_id])
    use = time_use(begin_ms, end_ms, before=before, lease_id=lease_id, allocation_id=owner)
    ends[owner], counts[owner, "gpu.ms"] = end_ms, use.cumulative
    return use


def _fund(db: Db) -> None:
    give(db, "t_1", 4 * UNIT)
    give(db, "t_2", 1 * UNIT, src="bank:2")
    for tenant_id, hourly in (
        ("t_1", 100_000),
        ("t_2", 500_000),
        ("t_1", 300_000),
        ("t_1", 900_000),
    ):
        assert grant_first(db, tenant_id, "n_1", hourly_micros=hourly, now_ms=START_MS)


def _sums(here: Desk) -> dict[str, list[str]]:
    return here.within(
        lambda db: {
            name: sorted(repr(tuple(row)) for row in db.rows(text(query)))
            for name, query in SUMS.items()
        }
    )
