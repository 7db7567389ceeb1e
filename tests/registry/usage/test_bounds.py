"""More time than went by here is not the tenant's to pay, whatever a node's clock says."""

from dataclasses import replace

from registry.ledger.queries import get_balance, list_accounts
from registry.usage.bounds import AHEAD_MS_CHARGED
from tests.registry.recording import HOUR_MS, START_MS, desk, minutes, node_with_lease, opened
from tests.services.databases import Databases

MINUTE_MS = 60_000
UNIT = 1_000_000


def test_more_time_than_went_by_since_the_launch_is_not_charged(databases: Databases) -> None:
    with desk(databases) as here:
        node = node_with_lease(here)
        here.now_ms = START_MS + 6 * MINUTE_MS
        here.owners["a_1"] = replace(here.owners["a_1"], since_ms=START_MS)
        node.record(opened("a_1", "GPU-1"), *minutes(10, lease_id=1))

        answer = here.take(node.batch())

        assert answer.problem is None
        counted_ms = 6 * MINUTE_MS + AHEAD_MS_CHARGED
        with here.database.reading() as db:
            paid = 50 * UNIT - get_balance(db, "t_1").total
            late = list_accounts(db)["X:late"].balance
        assert abs(paid - counted_ms * 2_500_000 // HOUR_MS) <= 1
        assert paid + late == 10 * MINUTE_MS * 2_500_000 // HOUR_MS
