"""Syncs over a whole life: outages, lost answers, restarts, restored disks; each entry once."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.leases.queries import list_lease_spend
from agent.metering.timekeeper import NodeClock, TimeState
from agent.store.thread import Store
from agent.sync import queries
from agent.sync.exchange import NotEnrolled, Observed, RegistrySilent
from agent.sync.loop import SyncLoop, Uplink, enrol
from agent.sync.operations import Taken, note_enrolled, stored_desired, stored_key_set
from agent.sync.signer import Signer
from agent.usage_log.operations import append, verify_log
from agent.usage_log.queries import get_log
from protocol.desired import DesiredState
from protocol.enrolment import EnrolRequest
from protocol.key_set import KeySet
from protocol.lease import Lease
from protocol.refusal import Fault
from protocol.sync import LogProblem
from tests.agent.sync.test_exchange import HOST, SECRET
from tests.fakes.agent_store import BEGIN_MS, NODE_ID, NODE_KEY, NODE_PUBLIC, use
from tests.fakes.node_keys import KeptKeys
from tests.fakes.registry_uplink import FakeRegistry, other_trust, refusal_at

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass
class Site:
    """One node and its registry, with clocks that a test turns."""

    path: Path
    registry: FakeRegistry = field(default_factory=FakeRegistry)
    boot_ms: int = 1_000
    wall_ms: int = BEGIN_MS
    boot_id: str = "boot1"
    store: Store = field(init=False)
    clock: NodeClock = field(init=False)
    loop: SyncLoop = field(init=False)
    taken: list[Taken] = field(default_factory=list)
    written: int = 0
    keys: KeptKeys = field(default_factory=lambda: KeptKeys(NODE_KEY))

    def __post_init__(self) -> None:
        self.store = Store(self.path)
        self.clock = NodeClock(
            TimeState(self.boot_id, self.wall_ms, self.boot_ms, 0, False),
            boottime=lambda: self.boot_ms,
            floor_ms=0,
        )
        self.begin()

    def begin(self) -> None:
        self.loop = SyncLoop(
            Uplink(
                store=self.store,
                registry=self.registry,
                clock=self.clock,
                wall=lambda: self.wall_ms,
                boot_id=self.boot_id,
                keys=Signer(self.keys),
                observe=self.observe,
                on_taken=self.taken.append,
                chance=lambda: 999_999,
                agent_version="1",
            )
        )

    def restart(self) -> None:
        self.store.close()
        self.store = Store(self.path)
        self.begin()

    async def observe(self) -> Observed:
        return Observed("http://10.0.0.1:8090", HOST, (), (), (), ())

    def enrolled(self) -> "Site":
        request = EnrolRequest(
            SECRET, NODE_PUBLIC.hex(), "1", 1, self.boot_id, "http://10.0.0.1:8090", HOST, ()
        )
        asyncio.run(enrol(self.store, self.registry, request, now_ms=self.wall_ms))
        return self

    def sync(self) -> str:
        return asyncio.run(self.loop())

    def write(self, count: int = 1) -> None:
        entries = [use(at) for at in range(self.written, self.written + count)]
        self.store.run_now(append, entries)
        self.written += count

    def unsent(self) -> int:
        return self.store.run_now(get_log).frontier.size - len(self.registry.entries)


def test_the_first_call_sends_nothing_of_the_log_and_the_next_follows_at_once(site: Site) -> None:
    site.write(3)

    assert site.sync() == "answered"

    assert [request.log is None for request in site.registry.requests] == [True, False]
    assert site.unsent() == 0
    assert [request.sequence for request in site.registry.requests] == [1, 2]


def test_a_long_backlog_goes_in_batches_without_waiting(site: Site) -> None:
    for _ in range(5):
        site.write(2_000)

    site.sync()

    assert site.registry.batches == [4_096, 4_096, 1_808]
    assert site.store.run_now(get_log).accepted.size == 10_000
    assert site.store.run_now(verify_log, None).fault is None


def test_an_answer_lost_after_the_registry_took_the_entries_costs_nothing(site: Site) -> None:
    site.sync()
    site.write(5)
    site.registry.deaf = True
    assert "silent" in site.sync()
    assert site.unsent() == 0

    site.registry.deaf = False
    site.write(2)
    site.sync()

    assert site.registry.batches == [5, 2]
    assert site.store.run_now(get_log).accepted.size == 7


def test_a_silent_registry_harms_nothing_and_waits_grow(site: Site) -> None:
    site.registry.leases = (Lease(7, "t_1", 100, HOUR_MS),)
    site.registry.desired = DesiredState(NODE_ID, 1, (), ())
    site.sync()
    site.registry.down = True
    waits = []
    for _ in range(8):
        assert "silent" in site.sync()
        waits.append(site.loop.period_ms())

    assert waits == [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]
    assert site.store.run_now(stored_desired) is not None
    assert [spend.lease_id for spend in site.store.run_now(list_lease_spend)] == [7]
    site.registry.down = False
    site.sync()
    assert site.loop.period_ms() == 15_000 + 15_000 // 4 - 1


def test_everything_is_there_after_a_restart_without_the_registry(site: Site) -> None:
    site.registry.desired = DesiredState(NODE_ID, 3, (), ())
    site.registry.key_set = KeySet(NODE_ID, 2, 1, 2, ())
    site.sync()
    site.registry.down = True

    site.restart()

    desired, keys = site.store.run_now(stored_desired), site.store.run_now(stored_key_set)
    assert desired is not None
    assert keys is not None
    assert (desired.generation, keys.version) == (3, 2)


def test_documents_changed_on_the_disk_do_not_count(site: Site) -> None:
    site.registry.key_set = KeySet(NODE_ID, 2, 1, 2, ())
    site.registry.desired = DesiredState(NODE_ID, 3, (), ())
    site.sync()

    site.store.run_now(
        lambda db: db.write(
            "UPDATE signed_document SET envelope = replace(envelope, ':2', ':9')", {}
        )
    )
    site.store.run_now(lambda db: db.write("DELETE FROM trust_key", {}))

    assert site.store.run_now(stored_key_set) is None
    assert site.store.run_now(stored_desired) is None


def test_a_refused_log_is_reported_and_offered_again(site: Site) -> None:
    site.sync()
    site.write(2)
    site.registry.problem = LogProblem(code="price_missing", message="No price.")

    assert "price_missing" in site.sync()
    assert len(site.registry.requests) == 2

    site.registry.problem = None
    assert site.sync() == "answered"
    assert site.unsent() == 0


def test_a_dead_clock_is_set_by_a_signed_refusal(tmp_path: Path) -> None:
    site = Site(tmp_path / "agent.db", wall_ms=1_577_836_800_000).enrolled()
    site.registry.refusal = refusal_at(BEGIN_MS)

    assert site.sync() == "answered"

    assert site.clock.trusted
    assert site.clock.now_ms() == BEGIN_MS
    assert site.registry.requests[0].sent_at_ms == BEGIN_MS
    contact = site.store.run_now(queries.find_contact)
    assert contact.skew_ms == 1_577_836_800_000 - BEGIN_MS
    site.store.close()


def test_an_unsigned_refusal_does_not_touch_the_clock(site: Site) -> None:
    site.registry.refusal = refusal_at(None)

    assert "refused" in site.sync()

    assert not site.clock.trusted
    assert site.clock.now_ms() == BEGIN_MS


def test_a_registry_that_jumps_does_not_jolt_the_time_that_is_billed(site: Site) -> None:
    site.sync()
    site.registry.now_ms += DAY_MS

    site.sync()
    site.sync()

    assert site.clock.now_ms() == BEGIN_MS
    assert site.registry.requests[-1].sent_at_ms == BEGIN_MS + DAY_MS


def test_the_call_counter_goes_on_over_a_restart_and_begins_anew_with_a_boot(site: Site) -> None:
    site.sync()
    site.restart()
    site.sync()
    site.boot_id = "boot2"
    site.restart()
    site.sync()

    assert [(request.boot_id, request.sequence) for request in site.registry.requests] == [
        ("boot1", 1),
        ("boot1", 2),
        ("boot2", 1),
    ]


def test_leases_are_counted_from_the_moment_the_request_left(site: Site) -> None:
    site.registry.leases = (Lease(7, "t_1", 100, 10_000),)
    site.boot_ms = 50_000

    site.sync()

    rows = site.store.run_now(lambda db: db.rows("SELECT expires_at_boot_ms FROM lease", {}))
    assert [row["expires_at_boot_ms"] for row in rows] == [50_000 + 9_980]


def test_rotated_keys_are_kept(site: Site) -> None:
    site.registry.trust_keys = (*site.registry.trust_keys, other_trust(5))

    site.sync()

    assert len(site.store.run_now(queries.list_trusted)) == 2


def test_enrolling_again_gives_the_same_node_and_another_node_is_refused(site: Site) -> None:
    site.enrolled()
    answer = asyncio.run(site.registry.enrol(_request(), now_ms=0))
    other = type(answer)(
        node_id="n_other",
        node_name="x",
        site_name="x",
        registry_domain=answer.registry_domain,
        log_epoch=0,
        trust_keys=answer.trust_keys,
    )

    with pytest.raises(Fault, match="empty data directory"):
        site.store.run_now(note_enrolled, other, public_key=NODE_PUBLIC, now_ms=0)


def test_enrolling_while_the_registry_is_away_keeps_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path / "agent.db")
    site.registry.down = True

    with pytest.raises(RegistrySilent):
        site.enrolled()

    assert site.store.run_now(queries.find_identity) is None
    with pytest.raises(NotEnrolled):
        site.sync()
    site.store.close()


@given(st.integers(0, 2**32))
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_goes_wrong_between_them_every_entry_arrives_once_and_in_order(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    chance = random.Random(seed)
    site = Site(tmp_path_factory.mktemp("life") / "agent.db").enrolled()
    for _ in range(12):
        site.write(chance.randint(0, 9))
        site.registry.down = chance.random() < 0.3
        site.registry.deaf = chance.random() < 0.3
        if chance.random() < 0.2:
            site.restart()
        if chance.random() < 0.1:
            site.registry.forget_after(chance.randint(0, len(site.registry.entries)))
        site.sync()
    site.registry.down = site.registry.deaf = False
    site.sync()
    site.sync()

    log = site.store.run_now(get_log)
    assert log.parked is None
    assert len(site.registry.entries) == site.written
    assert site.registry.frontier == log.frontier == log.accepted
    site.store.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "agent.db").enrolled()
    yield site
    site.store.close()


def _request() -> EnrolRequest:
    return EnrolRequest(SECRET, NODE_PUBLIC.hex(), "1", 1, "boot1", "http://h:1", HOST, ())
