"""Holds follow leases, and leases follow money."""

from collections.abc import Collection
from dataclasses import replace

from msgspec import structs

from protocol.lease import LEASES_MAX, Lease
from protocol.usage import Heartbeat
from registry.leases.operations import (
    UNHEARD_MS,
    close,
    give_back_unheard,
    grant_first,
    grant_for_node,
    idle_by_node,
    release_overdue,
    settle,
)
from registry.leases.queries import exposure_by_node, find_lease, list_open
from registry.leases.terms import TERMS
from registry.ledger.queries import change_credit_limit, change_held, get_balance
from registry.store.database import Db
from tests.registry.books import books, give
from tests.registry.recording import START_MS, Recorder, desk
from tests.services.databases import Databases

UNIT = 1_000_000
LIFE_MS = TERMS["standard"].life_ms
HOLD_MS = TERMS["standard"].hold_ms


def test_a_node_is_answered_all_its_live_leases(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 40 * UNIT)
        give(db, "t_2", 40 * UNIT, src="bank:2")

        leases = grant_for_node(db, "n_1", burn={"t_1": 2 * UNIT}, serving={"t_2"}, now_ms=5)
        again = grant_for_node(db, "n_1", burn={"t_1": 2 * UNIT}, serving={"t_2"}, now_ms=8)

        assert [(one.tenant_id, one.amount, one.expires_in_ms) for one in leases] == [
            ("t_1", 8 * UNIT, LIFE_MS),
            ("t_2", 1 * UNIT, LIFE_MS),
        ]
        assert [(one.lease_id, one.expires_in_ms) for one in again] == [
            (one.lease_id, LIFE_MS - 3) for one in leases
        ]
        assert get_balance(db, "t_1").held == 8 * UNIT


def test_a_tenant_without_money_gets_no_lease(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        assert grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=0) == []
        assert grant_first(db, "t_1", "n_1", hourly_micros=UNIT, now_ms=0) is None


def test_credit_can_be_leased_too(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        change_credit_limit(db, "t_1", 100 * UNIT)

        (lease,) = grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=0)

        assert lease.amount == 4 * UNIT


def test_a_suspended_tenant_s_leases_are_left_out_and_stay_held(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 40 * UNIT)
        grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=0)

        assert grant_for_node(db, "n_1", burn={}, serving=(), now_ms=5) == []

        assert get_balance(db, "t_1").held == 4 * UNIT


def test_a_node_with_a_frozen_log_gets_no_lease(databases: Databases) -> None:
    with desk(databases) as here:
        node = Recorder(entries=[])
        node.record(Heartbeat(at_ms=START_MS, boottime_ms=1, skew_ms=0))
        here.take(node.batch())
        other = replace(node, entries=[])
        other.record(Heartbeat(at_ms=START_MS, boottime_ms=2, skew_ms=0))
        here.take(other.batch())

        def work(db: Db) -> None:
            give(db, "t_1", 40 * UNIT)
            assert grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=5) == []

        here.within(work)


def test_settling_takes_from_the_hold_and_never_beyond_the_lease(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        lease_id = _leased(db)

        assert settle(db, lease_id, 3 * UNIT) == 3 * UNIT
        assert get_balance(db, "t_1").held == 1 * UNIT
        assert settle(db, lease_id, 3 * UNIT) == 1 * UNIT
        assert settle(db, lease_id, 3 * UNIT) == 0

        assert get_balance(db, "t_1").held == 0


def test_closing_gives_the_rest_back_once(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        lease_id = _leased(db)
        settle(db, lease_id, UNIT)

        assert close(db, lease_id, 5)
        assert not close(db, lease_id, 6)

        assert get_balance(db, "t_1").held == 0
        assert settle(db, lease_id, UNIT) == 0
        lease = find_lease(db, lease_id)
        assert lease is not None
        assert (lease.state, lease.settled) == ("closed", UNIT)


def test_an_expired_lease_keeps_its_hold_until_the_longest_absence_is_over(
    databases: Databases,
) -> None:
    with books(databases) as database, database.unit() as db:
        lease_id = _leased(db)

        assert grant_for_node(db, "n_1", burn={}, serving=(), now_ms=LIFE_MS) == []
        assert release_overdue(db, now_ms=HOLD_MS - 1) == 0
        assert get_balance(db, "t_1").held == 4 * UNIT
        assert release_overdue(db, now_ms=HOLD_MS) == 1

        assert get_balance(db, "t_1").held == 0
        lease = find_lease(db, lease_id)
        assert lease is not None
        assert lease.state == "released"


def test_exposure_is_told_by_node(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 40 * UNIT)
        for node_id in ("n_1", "n_2"):
            grant_for_node(db, node_id, burn={"t_1": UNIT}, serving=(), now_ms=0)
        settle(db, list_open(db, "n_2")[0].lease_id, UNIT)

        assert exposure_by_node(db, "t_1") == {"n_1": 4 * UNIT, "n_2": 3 * UNIT}


def _leased(db: Db) -> int:
    """A lease of four units on node n_1."""
    give(db, "t_1", 40 * UNIT)
    (lease,) = grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=0)
    assert lease.amount == 4 * UNIT
    return lease.lease_id


def test_money_that_a_released_workload_left_at_a_node_is_recalled_for_a_smaller_lease(
    databases: Databases,
) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 40 * UNIT)
        (big,) = grant_for_node(db, "n_1", burn={"t_1": 5 * UNIT}, serving={"t_1"}, now_ms=0)

        (small,) = grant_for_node(db, "n_1", burn={}, serving={"t_1"}, now_ms=5)
        again = grant_for_node(db, "n_1", burn={}, serving={"t_1"}, now_ms=6)
        assert close(db, big.lease_id, 7)

        assert (big.amount, small.amount) == (20 * UNIT, UNIT)
        assert [one.lease_id for one in again] == [small.lease_id]
        assert get_balance(db, "t_1").held == UNIT


def test_the_last_money_of_a_tenant_is_recalled_once_nothing_runs(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 4 * UNIT)
        first = grant_for_node(db, "n_1", burn={"t_1": 4 * UNIT}, serving={"t_1"}, now_ms=0)

        assert [one.amount for one in first] == [4 * UNIT]
        assert grant_for_node(db, "n_1", burn={}, serving={"t_1"}, now_ms=5) == []
        assert close(db, first[0].lease_id, 6)
        (small,) = grant_for_node(db, "n_1", burn={}, serving={"t_1"}, now_ms=7)
        assert small.amount == UNIT


def test_running_work_keeps_a_large_lease_while_no_smaller_one_can_be_granted(
    databases: Databases,
) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 40 * UNIT)
        (big,) = grant_for_node(db, "n_1", burn={"t_1": 5 * UNIT}, serving=(), now_ms=0)
        change_held(db, "t_1", 20 * UNIT)

        assert grant_for_node(db, "n_1", burn={"t_1": UNIT}, serving=(), now_ms=5) == [
            replace_life(big, -5)
        ]


def test_what_a_node_needs_for_nothing_else_is_told_beyond_an_hour_of_its_work(
    databases: Databases,
) -> None:
    with books(databases) as database, database.unit() as db:
        give(db, "t_1", 40 * UNIT)
        grant_for_node(db, "n_1", burn={"t_1": 2 * UNIT}, serving=(), now_ms=0)
        grant_for_node(db, "n_2", burn={"t_1": 1 * UNIT}, serving=(), now_ms=0)

        idle = idle_by_node(
            db, "t_1", hourly_on=lambda _db, node: {"t_1": 3 * UNIT} if node == "n_1" else {}
        )

        assert idle == {"n_1": 5 * UNIT, "n_2": 4 * UNIT}


def replace_life(lease: Lease, by_ms: int) -> Lease:
    """The lease, its life changed by so much."""
    return structs.replace(lease, expires_in_ms=lease.expires_in_ms + by_ms)


def test_a_lease_that_never_reached_its_node_is_given_back(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        lease_id = _leased(db)

        assert _unheard(db, now_ms=UNHEARD_MS) == 0
        assert get_balance(db, "t_1").held == 4 * UNIT
        assert _unheard(db, now_ms=UNHEARD_MS + 1) == 1

        assert get_balance(db, "t_1").held == 0
        lease = find_lease(db, lease_id)
        assert lease is not None
        assert lease.state == "released"


def test_a_lease_that_its_node_once_spoke_of_waits_for_its_close(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        lease_id = _leased(db)

        assert _unheard(db, mentioned={lease_id}, now_ms=5) == 0
        assert _unheard(db, now_ms=HOLD_MS - 1) == 0

        assert get_balance(db, "t_1").held == 4 * UNIT


def test_a_lease_that_is_stated_again_may_still_reach_its_node(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        lease_id = _leased(db)

        assert _unheard(db, stated={lease_id}, now_ms=UNHEARD_MS + 1) == 0
        assert _unheard(db, now_ms=UNHEARD_MS + 2) == 0
        assert _unheard(db, now_ms=2 * UNHEARD_MS + 2) == 1


def test_a_node_that_speaks_of_as_many_leases_as_fit_may_know_more(databases: Databases) -> None:
    with books(databases) as database, database.unit() as db:
        _leased(db)

        assert _unheard(db, mentioned=range(100, 100 + LEASES_MAX), now_ms=HOLD_MS) == 0


def _unheard(
    db: Db, *, mentioned: Collection[int] = (), stated: Collection[int] = (), now_ms: int
) -> int:
    """How many leases a call gives back."""
    return give_back_unheard(db, "n_1", mentioned=mentioned, stated=stated, now_ms=now_ms)
