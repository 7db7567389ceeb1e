"""A disk without room: nothing more is sold, no record is lost, and what is lost is not billed."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.drivers.ballast import BALLAST_BYTES, Ballast
from agent.health.checks import CHECKS
from agent.leases.operations import replace_leases
from agent.metering.loop import Metering
from agent.metering.timekeeper import NodeClock, TimeState
from agent.store.database import Db, StoreFull
from agent.store.thread import Store
from agent.usage_log.operations import begin_log, verify_log
from agent.usage_log.queries import each_entry
from protocol.lease import Lease
from protocol.log_events import Gap
from protocol.usage import Entry, Use, read_entry
from tests.agent.metering.rig import PRICE, TICK_MS, insert_run
from tests.fakes.agent_store import BEGIN_MS, DOMAIN, NODE_ID

LEASE = Lease(lease_id=1, tenant_id="t_1", amount=10**9, expires_in_ms=10**9)


@dataclass
class KeptRoom:
    """Speaks `agent.metering.loop.Room`: pages of the database instead of bytes of a disk."""

    node: "FullNode"
    held: bool = True
    there_is_room: bool = False

    def hold(self) -> bool:
        self.held = self.held or self.there_is_room
        return self.held

    def release(self) -> bool:
        if not self.held:
            return False
        self.held = False
        self.node.allow(pages=40)
        return True


@dataclass
class FullNode:
    """A node whose store SQLite itself refuses to let grow."""

    store: Store
    boot_ms: int = 0
    room: KeptRoom = field(init=False)
    work: Metering = field(init=False)

    def __post_init__(self) -> None:
        self.room = KeptRoom(self)
        self.work = Metering(
            self.store,
            NodeClock(
                TimeState("boot1", BEGIN_MS, 0, 0, True),
                boottime=lambda: self.boot_ms,
                floor_ms=0,
            ),
            running=lambda: self.boot_ms,
            period_ms=TICK_MS,
            heartbeat_ms=5 * TICK_MS,
            prices=lambda _: [PRICE],
            skew=lambda: 0,
            on_uncovered=lambda: None,
            room=self.room,
        )
        self.store.run_now(_prepare)

    def allow(self, *, pages: int | None) -> None:
        """Let the database grow by so many pages and no more, or without bound."""

        def limit(db: Db) -> None:
            row = db.row("PRAGMA page_count", {})
            assert row is not None
            most = 10**6 if pages is None else row[0] + pages
            db.rows(f"PRAGMA max_page_count = {most}", {})

        self.store.run_now(limit)

    def passes(self, minutes: int = 1) -> None:
        for _ in range(minutes):
            self.boot_ms += TICK_MS
            self.store.run_now(
                lambda db: db.write(
                    "UPDATE run SET seen_at_ms = :now", {"now": BEGIN_MS + self.boot_ms}
                )
            )

    def ticks(self) -> str:
        return asyncio.run(self.work())

    def fills_up(self) -> None:
        """Have ticks until one finds no room."""
        self.allow(pages=0)
        for _ in range(2_000):
            self.passes()
            try:
                self.ticks()
            except StoreFull:
                return
        raise AssertionError("the store never filled up")

    def entries(self) -> list[Entry]:
        stored = self.store.run_now(lambda db: list(each_entry(db, 0)))
        return [read_entry(one.entry) for one in stored]

    def billed_ms(self) -> int:
        return sum(one.quantity for one in self.entries() if isinstance(one, Use))


def test_with_room_given_up_nothing_is_lost(node: FullNode) -> None:
    node.fills_up()

    node.passes()
    node.ticks()

    assert not node.room.held
    assert node.billed_ms() == node.boot_ms
    assert not any(isinstance(one, Gap) for one in node.entries())
    assert "no room for usage" in str(node.work.unwritten())


def test_without_any_room_what_is_used_is_a_gap_and_billed_to_nobody(node: FullNode) -> None:
    node.fills_up()
    node.room.held = False
    node.allow(pages=0)
    billed_ms = node.billed_ms()
    for _ in range(5):
        node.passes()
        with pytest.raises(StoreFull):
            node.ticks()
    assert "not billed" in str(node.work.unwritten())

    node.allow(pages=None)
    node.room.there_is_room = True
    node.passes()
    node.ticks()

    (gap,) = [one for one in node.entries() if isinstance(one, Gap)]
    assert (gap.allocation_id, gap.reason, gap.end_ms) == (
        "a_1", "disk_full", BEGIN_MS + node.boot_ms,
    )  # fmt: skip
    assert node.billed_ms() == billed_ms == gap.begin_ms - BEGIN_MS
    assert node.work.unwritten() is None
    node.passes(3)
    node.ticks()
    assert node.billed_ms() == billed_ms + 3 * TICK_MS
    assert node.store.run_now(verify_log, None).fault is None


def test_the_finding_stands_until_there_is_room_to_keep_again(node: FullNode) -> None:
    node.fills_up()
    node.passes()
    node.ticks()
    assert node.work.unwritten() is not None

    node.allow(pages=None)
    node.room.there_is_room = True
    node.passes()
    node.ticks()

    assert node.work.unwritten() is None
    assert node.room.held
    (check,) = (check for check in CHECKS if check.code == "usage_unwritten")
    assert check.stops_sales


def test_the_room_is_a_file_that_is_taken_and_given_up(tmp_path: Path) -> None:
    ballast = Ballast(tmp_path / "ballast")

    assert ballast.hold()
    assert (tmp_path / "ballast").stat().st_size == BALLAST_BYTES
    assert ballast.hold()
    assert ballast.release()
    assert not ballast.release()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_has_no_room(tmp_path: Path) -> None:
    assert not Ballast(tmp_path / "nowhere" / "ballast").hold()


def _prepare(db: Db) -> None:
    begin_log(db, registry_domain=DOMAIN, node_id=NODE_ID, epoch=0)
    replace_leases(db, [LEASE], sent_boot_ms=0, boot_id="boot1")
    insert_run(db, "a_1", gpus='["GPU-1"]', boot_id="boot1", ready_at_ms=BEGIN_MS)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[FullNode]:
    with Store(tmp_path / "agent.db") as store:
        yield FullNode(store)
