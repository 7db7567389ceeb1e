"""What a node's clock does to the price of a record: as much as it can be right, and no more."""

from protocol.sync import LogAnswer, LogBatch
from registry.usage.operations import ingest
from registry.usage.queries import cost_by_owner, find_latest_log
from tests.registry.recording import (
    DOMAIN,
    HOUR_MS,
    IDENTITY,
    REGISTRY_KEY,
    START_MS,
    Desk,
    desk,
    node_with_lease,
    opened,
    time_use,
)
from tests.registry.verifying import check
from tests.services.databases import Databases

MINUTE_MS = 60_000
EDGE_MS = START_MS + HOUR_MS
"""From here on an hour costs 3.1 instead of 2.5."""

LAST = time_use(EDGE_MS - MINUTE_MS, EDGE_MS, before=0, lease_id=1)
NEXT = time_use(EDGE_MS, EDGE_MS + MINUTE_MS, before=MINUTE_MS, lease_id=1)
OPEN = opened("a_1", "GPU-1", at_ms=LAST.begin_ms)
CHEAP = 2 * MINUTE_MS * 2_500_000 // HOUR_MS
TRUE = MINUTE_MS * 2_500_000 // HOUR_MS + (
    2 * MINUTE_MS * 3_100_000 // HOUR_MS - MINUTE_MS * 3_100_000 // HOUR_MS
)


def test_a_clock_ahead_does_not_bring_a_dearer_price_forward(databases: Databases) -> None:
    assert _cost(databases, now_ms=EDGE_MS - 10_000, skew_ms=70_000) == CHEAP


def test_a_clock_that_is_right_by_two_seconds_counts_as_it_says(databases: Databases) -> None:
    assert _cost(databases, now_ms=EDGE_MS + MINUTE_MS, skew_ms=2_000) == TRUE
    assert _cost(databases, now_ms=EDGE_MS + MINUTE_MS, skew_ms=-2_000) == TRUE


def test_a_clock_behind_does_not_bring_a_cheaper_price_back(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(OPEN, LAST, NEXT)
        here.now_ms = EDGE_MS + MINUTE_MS
        assert _taken(here, node.batch(0, 2), skew_ms=0).problem is None
        here.now_ms += 30_000
        # Had it said 10:59 once more, and nothing was accepted later than it says.
        assert _taken(here, node.batch(2), skew_ms=-100_000).problem is None

        assert here.within(lambda db: cost_by_owner(db, ["a_1"])) == {"a_1": TRUE}
        assert check(here).problems == ()


def test_a_clock_beyond_use_parks_the_log_until_it_is_set(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(OPEN, LAST)
        here.now_ms = EDGE_MS

        problem = _taken(here, node.batch(), skew_ms=-300_001).problem

        assert problem is not None
        assert problem.code == "clock_wrong"
        log = here.within(lambda db: find_latest_log(db, "n_1"))
        assert log is not None
        assert (log.state, log.size) == ("parked", 0)
        assert _taken(here, node.batch(), skew_ms=0).problem is None


def _cost(databases: Databases, *, now_ms: int, skew_ms: int) -> int:
    with desk(databases) as here:
        node = node_with_lease(here)
        node.record(OPEN, LAST, NEXT)
        here.now_ms = now_ms

        answer = _taken(here, node.batch(), skew_ms=skew_ms)

        assert answer.problem is None
        assert check(here).problems == ()
        return here.within(lambda db: cost_by_owner(db, ["a_1"]))["a_1"]


def _taken(here: Desk, batch: LogBatch, *, skew_ms: int) -> LogAnswer:
    return here.within(
        lambda db: ingest(
            db,
            IDENTITY,
            batch,
            surroundings=here.surroundings(),
            now_ms=here.now_ms,
            registry_key=REGISTRY_KEY,
            domain=DOMAIN,
            skew_ms=skew_ms,
        )
    )
