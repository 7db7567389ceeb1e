"""Rounds: a change of what the registry has long cosigned is found too, part by part."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.store.database import Db
from agent.store.thread import Store
from agent.usage_log import queries
from agent.usage_log.log_state import BROKEN
from agent.usage_log.loop import PART_PERIOD_MS, ROUND_PERIOD_MS, LogRounds
from agent.usage_log.operations import (
    append,
    begin_log,
    find_log_fault,
    next_batch,
    verify_part,
)
from protocol.merkle import EMPTY_FRONTIER, leaf_hash
from tests.agent.usage_log.rig import accept_all, fill, next_piece
from tests.fakes.agent_store import DOMAIN, NODE_ID, migrated, sign, use

FLIPPED = "UPDATE usage_entry SET entry = CAST('{}' AS BLOB) WHERE idx = :idx"


@given(size=st.integers(0, 30), accepted=st.integers(0, 30), part=st.integers(1, 12))
@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_a_round_over_an_intact_log_ends_at_its_root_whatever_the_parts(
    tmp_path_factory: pytest.TempPathFactory, size: int, accepted: int, part: int
) -> None:
    with migrated(tmp_path_factory.mktemp("round")) as db:
        fill_and_accept(db, size, min(accepted, size))

        root, fault = round_of(db, part)

        assert fault is None
        assert root == queries.get_log(db).frontier.root().hex()
        assert queries.get_log(db).parked is None


@given(
    index=st.integers(0, 29),
    accepted=st.integers(0, 30),
    part=st.integers(1, 12),
    how=st.sampled_from(["entry", "both", "gone"]),
)
@settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_any_changed_entry_is_found_and_parks_the_log(
    tmp_path_factory: pytest.TempPathFactory, index: int, accepted: int, part: int, how: str
) -> None:
    with migrated(tmp_path_factory.mktemp("round")) as db:
        fill_and_accept(db, 30, accepted)
        damage(db, index, how)

        _, fault = round_of(db, part)

        assert fault is not None
        if how != "both":
            assert f"Entry {index} " in fault
        parked = queries.get_log(db).parked
        assert parked is not None
        assert (parked.code, parked.why) == (BROKEN, fault)
        assert next_piece(db) is None


def test_a_log_that_grows_and_is_cosigned_during_a_round_stays_intact(db: Db) -> None:
    fill(db, 10)
    audited, report = EMPTY_FRONTIER, None
    for at in range(10, 60):
        with db.unit():
            audited, report = verify_part(db, audited, entries_max=3)
        if report is not None:
            break
        fill(db, at + 1, begin=at)
        if at % 4 == 0:
            accept_all(db)

    assert report is not None
    assert report.fault is None
    assert report.size == queries.get_log(db).frontier.size


def test_the_rounds_begin_at_once_tell_what_they_found_and_begin_again_after_a_day(
    tmp_path: Path,
) -> None:
    told: list[str] = []

    async def days(store: Store) -> None:
        rounds = LogRounds(store, on_broken=lambda: told.append("broken"))
        assert await rounds() == "4096 entries audited so far"
        assert rounds.period_ms() == PART_PERIOD_MS
        assert await rounds() == "4200 entries intact"
        assert rounds.period_ms() == ROUND_PERIOD_MS
        assert told == []
        await store.run(damage_in_unit, 17, "entry")
        assert await rounds() == "Entry 17 was changed after it was written."
        assert told == ["broken"]
        assert rounds.period_ms() == ROUND_PERIOD_MS

    with Store(tmp_path / "agent.db") as store:
        store.run_now(lambda db: begin_log(db, registry_domain=DOMAIN, node_id=NODE_ID, epoch=0))
        store.run_now(lambda db: append(db, [use(at) for at in range(4_200)]))
        asyncio.run(days(store))
        assert "Entry 17" in str(store.run_now(find_log_fault))
        assert store.run_now(lambda db: next_batch(db, sign)) is None


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Db]:
    with migrated(tmp_path) as opened:
        yield opened


def fill_and_accept(db: Db, size: int, accepted: int) -> None:
    fill(db, accepted)
    if accepted:
        accept_all(db)
    fill(db, size, begin=accepted)


def round_of(db: Db, part: int) -> tuple[str, str | None]:
    audited, report = EMPTY_FRONTIER, None
    while report is None:
        with db.unit():
            audited, report = verify_part(db, audited, entries_max=part)
    return report.root, report.fault


def damage(db: Db, index: int, how: str) -> None:
    with db.unit():
        damage_in_unit(db, index, how)


def damage_in_unit(db: Db, index: int, how: str) -> None:
    """What a bad disk or a person with a tool does: no trigger stops it."""
    db.write("DROP TRIGGER usage_entry_is_only_added", {})
    db.write("DROP TRIGGER usage_entry_is_kept", {})
    if how == "gone":
        db.write("DELETE FROM usage_entry WHERE idx = :idx", {"idx": index})
        return
    db.write(FLIPPED, {"idx": index})
    if how == "both":
        leaf = leaf_hash(b"{}")
        sql = "UPDATE usage_entry SET leaf = :leaf WHERE idx = :idx"
        db.write(sql, {"leaf": leaf, "idx": index})
