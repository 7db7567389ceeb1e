"""A node whose disk was lost, or put back from an old copy, against the registry itself."""

from agent.store.database import Db
from agent.usage_log.audit import StoredEntry
from agent.usage_log.operations import audit_keys, verify_log
from agent.usage_log.queries import each_entry, get_log
from protocol.log_events import EVERYTHING, EpochBegun, Gap
from protocol.signing import public_bytes
from protocol.usage import Closed, read_entry
from registry.ledger.operations import verify
from registry.usage.queries import cost_by_owner, find_latest_log, find_log
from tests.contracts.edge import TICK_MS, Edge


def test_a_lost_disk_begins_an_epoch_that_names_the_log_before(edge: Edge) -> None:
    allocation_id = _running(edge)
    _works(edge, minutes=10)
    edge.syncs()
    _works(edge, minutes=5)
    edge.loses_its_disk()

    assert edge.syncs() == "answered"

    entries = [read_entry(stored.entry) for stored in edge.store.run_now(_entries)]
    begun, gap = entries[:2]
    with edge.rig.database.unit() as db:
        before = find_log(db, edge.node_id, 0)
    assert before is not None
    assert isinstance(begun, EpochBegun)
    assert (begun.epoch, begun.origin, begun.size) == (1, before.origin, before.size)
    assert gap == Gap(EVERYTHING, before.accepted_at_ms or 0, edge.rig.clock(), "disk_lost")
    assert _cost(edge, allocation_id) == 10 * TICK_MS


def test_what_was_not_sent_is_lost_and_what_comes_after_is_billed(edge: Edge) -> None:
    allocation_id = _running(edge)
    _works(edge, minutes=10)
    edge.syncs()
    _works(edge, minutes=5)
    edge.loses_its_disk()
    edge.syncs()
    edge.runs()
    edge.store.run_now(lambda db: db.write("UPDATE run SET ready_at_ms = ready_at_ms - 600000", {}))

    _works(edge, minutes=3)

    assert edge.syncs() == "answered"
    assert _cost(edge, allocation_id) == 13 * TICK_MS
    with edge.rig.database.unit() as db:
        log = find_latest_log(db, edge.node_id)
        assert log is not None
        assert (log.epoch, log.state) == (1, "open")
        assert verify(db).problems == ()


def test_an_old_copy_is_filled_up_again_and_nothing_is_billed_twice(edge: Edge) -> None:
    allocation_id = _running(edge)
    _works(edge, minutes=3)
    edge.syncs()
    copy = edge.copied()
    _works(edge, minutes=7)
    edge.syncs()
    edge.puts_back(copy)
    edge.ticks()

    assert "pulled back" in edge.syncs()

    _works(edge, minutes=2)
    assert edge.syncs() == "answered"
    assert _cost(edge, allocation_id) == 12 * TICK_MS
    with edge.rig.database.unit() as db:
        log = find_latest_log(db, edge.node_id)
        assert log is not None
        assert log.frontier == edge.store.run_now(get_log).frontier
        assert verify(db).problems == ()
    keys = audit_keys(registry_domain="x", node=public_bytes(edge.keys.current), witnesses=[])
    fault = edge.store.run_now(verify_log, keys).fault
    assert fault is None or "cosigned" in fault


def test_an_allocation_that_only_the_lost_part_knew_is_closed(edge: Edge) -> None:
    edge.syncs()
    copy = edge.copied()
    allocation_id = _running(edge)
    _works(edge, minutes=4)
    edge.syncs()
    edge.puts_back(copy)

    assert "pulled back" in edge.syncs()
    assert edge.syncs() == "answered"

    entries = [read_entry(stored.entry) for stored in edge.store.run_now(_entries)]
    closed = [entry for entry in entries if isinstance(entry, Closed)]
    assert [(entry.allocation_id, entry.reason) for entry in closed] == [
        (allocation_id, "record_lost")
    ]
    assert _cost(edge, allocation_id) == 4 * TICK_MS


def _running(edge: Edge) -> str:
    customer = edge.market.customer(micros=50_000_000)
    edge.syncs()
    allocation_id = customer.launched()
    edge.syncs()
    edge.runs()
    return allocation_id


def _works(edge: Edge, *, minutes: int) -> None:
    for _ in range(minutes):
        edge.passes(TICK_MS)
        edge.ticks()


def _cost(edge: Edge, allocation_id: str) -> int:
    with edge.rig.database.unit() as db:
        return cost_by_owner(db, [allocation_id]).get(allocation_id, 0)


def _entries(db: Db) -> list[StoredEntry]:
    return list(each_entry(db, 0))
