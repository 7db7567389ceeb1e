"""The metering work: ticks by the node's clock, signs of life in time, a call when cover ends."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.metering.loop import Metering
from agent.metering.queries import find_time
from agent.metering.timekeeper import NodeClock, TimeState
from agent.store.thread import Store
from agent.usage_log.operations import begin_log
from agent.usage_log.queries import each_entry
from protocol.usage import Heartbeat, read_entry
from tests.agent.metering.rig import PRICE, TICK_MS, insert_run
from tests.fakes.agent_store import BEGIN_MS, DOMAIN, NODE_ID


@dataclass
class Works:
    """A store under the metering work, with a clock that a test turns."""

    store: Store
    boot_ms: int = 0
    calls: list[str] = field(default_factory=list)
    work: Metering = field(init=False)

    def __post_init__(self) -> None:
        self.store.run_now(begin_log, registry_domain=DOMAIN, node_id=NODE_ID, epoch=0)
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
            skew=lambda: -7,
            on_uncovered=lambda: self.calls.append("uncovered"),
        )

    def pass_(self, ms: int = 0) -> str:
        self.boot_ms += ms
        return asyncio.run(self.work())

    def beats(self) -> list[Heartbeat]:
        stored = self.store.run_now(lambda db: list(each_entry(db, 0)))
        entries = [read_entry(one.entry) for one in stored]
        return [entry for entry in entries if isinstance(entry, Heartbeat)]


def test_signs_of_life_are_never_further_apart_than_asked_for(works: Works) -> None:
    for _ in range(30):
        works.pass_(TICK_MS)

    moments = [beat.at_ms for beat in works.beats()]
    apart = [after - before for before, after in itertools.pairwise(moments)]
    assert max(apart) <= 5 * TICK_MS
    assert len(moments) == 6
    assert works.beats()[0].skew_ms == -7


def test_passes_between_ticks_add_no_sign_of_life(works: Works) -> None:
    for _ in range(20):
        works.pass_(100)

    assert len(works.beats()) == 1


def test_a_run_without_cover_is_called_out_each_time(works: Works) -> None:
    works.store.run_now(insert_run, "a_1", gpus='["GPU-1"]', boot_id="boot1", ready_at_ms=BEGIN_MS)

    report = works.pass_(1_000)

    assert works.calls == ["uncovered"]
    assert "1 runs without cover" in report


def test_where_time_stands_is_kept_with_every_tick(works: Works) -> None:
    works.pass_(90_000)

    kept = works.store.run_now(find_time)
    assert kept is not None
    assert kept[1:] == (BEGIN_MS + 90_000, 90_000, 90_000)


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    with Store(tmp_path / "agent.db") as store:
        yield Works(store)
