"""A check of every log against everything that was made of it finds what was changed."""

import random
import zlib
from dataclasses import replace

import pytest
from sqlalchemy import text

from protocol.usage import Heartbeat
from registry.store.database import Db
from registry.usage.operations import UsageReport
from tests.registry.books import unlock
from tests.registry.recording import (
    NOW_MS,
    START_MS,
    Desk,
    Recorder,
    closed,
    desk,
    lease_closed,
    minutes,
    node_with_lease,
    opened,
    tokens,
)
from tests.registry.verifying import check
from tests.services.databases import Databases

BUNDLED = 300


def test_true_books_have_no_problem(databases: Databases) -> None:
    with desk(databases) as here:
        node = _busy(here)

        report = check(here)

    assert report == UsageReport(logs=1, entries=len(node.entries), problems=())


def test_a_registry_without_logs_has_no_problem(databases: Databases) -> None:
    with desk(databases) as here:
        assert check(here) == UsageReport(logs=0, entries=0, problems=())


def test_a_release_that_came_after_the_usage_was_posted_changes_nothing(
    databases: Databases,
) -> None:
    with desk(databases) as here:
        _busy(here)
        here.owners["a_1"] = replace(here.owners["a_1"], released_at_ms=NOW_MS + 10)

        assert check(here).problems == ()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE stream SET charged = charged - 1 WHERE owner_id = 'a_1'", "stream_wrong"),
        ("DELETE FROM stream WHERE meter = 'tok.in'", "stream_wrong"),
        ("UPDATE stream_hour SET charged = charged + 1", "hour_wrong"),
        ("DELETE FROM stream_hour WHERE stream_id = 2", "hour_wrong"),
        ("UPDATE lease SET settled = settled - 1 WHERE id = 1", "lease_wrong"),
        (
            "INSERT INTO posting VALUES ((SELECT MAX(id) FROM journal), 'A:bank', 1)",
            "journal_wrong",
        ),
        (
            "INSERT INTO journal (id, src, kind, at_ms, ref, memo, meter)"
            " VALUES (99, 'log:cloud.example/log/n_9/0:0-1:t_1', 'usage', 1, '', '', '')",
            "journal_unfounded",
        ),
        ("DELETE FROM log_tail WHERE begin > 256", "entries_missing"),
        ("UPDATE node_log SET cosignature = ''", "cosignature_wrong"),
        ("UPDATE node_log SET public_key = '" + "11" * 32 + "'", "checkpoint_signature"),
        ("UPDATE node_log SET size = size - 1", "frontier_wrong"),
    ],
)
def test_what_was_changed_is_named(databases: Databases, change: str, code: str) -> None:
    with desk(databases) as here:
        _busy(here)
        here.within(lambda db: unlock(db, "posting"))
        here.within(lambda db: db.execute(text(change)))

        report = check(here)

    assert code in {problem.code for problem in report.problems}


def test_a_posting_changed_in_both_legs_is_found(databases: Databases) -> None:
    with desk(databases) as here:
        _busy(here)
        here.within(lambda db: unlock(db, "posting"))
        change = "UPDATE posting SET micros = micros {} 5 WHERE account = '{}'"
        for sign, account in (("-", "L:wallet:t_1"), ("+", "I:usage:gpu")):
            statement = text(change.format(sign, account) + " AND journal_id = 2")
            here.within(lambda db, one=statement: db.execute(one))

        report = check(here)

    assert [problem.code for problem in report.problems] == ["journal_wrong"]


@pytest.mark.parametrize("seed", range(6))
def test_a_byte_changed_in_a_sealed_bundle_is_found(databases: Databases, seed: int) -> None:
    chance = random.Random(seed)
    with desk(databases) as here:
        _busy(here)
        here.within(lambda db: unlock(db, "log_bundle"))

        def spoil(db: Db) -> None:
            stored = db.value(text("SELECT entries FROM log_bundle"))
            plain = bytearray(zlib.decompress(bytes(stored)))
            plain[chance.randrange(len(plain))] ^= 1 << chance.randrange(8)
            db.execute(text("UPDATE log_bundle SET entries = :e"), {"e": zlib.compress(plain)})

        here.within(spoil)

        report = check(here)

    assert report.problems


def _busy(here: Desk) -> Recorder:
    """A log with a bundle and a tail, taken in in several parts, the last without any charge."""
    node = node_with_lease(here)
    node.record(opened("a_1", "GPU-1"), *minutes(30, lease_id=1))
    here.take(node.batch())
    for at in range(BUNDLED):
        node.record(tokens(7, before=7 * at, lease_id=1))
    here.take(node.batch(31, 200))
    here.take(node.batch(200))
    node.record(lease_closed(1), *minutes(1, first=30, lease_id=1))
    here.take(node.batch(331))
    node.record(closed(at_ms=NOW_MS), Heartbeat(at_ms=START_MS, boottime_ms=1, skew_ms=0))
    assert here.take(node.batch(333)).problem is None
    return node
