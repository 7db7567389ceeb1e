"""The check of all money sees what was done to holds, leases and logs behind its back."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from protocol.signing import public_bytes
from protocol.usage import LeaseClosed
from registry.server.settings import EXTENSION, Settings
from registry.store.database import Db
from registry.verification.operations import verify_everything
from tests.registry.marketplace import Marketplace

TAMPERED = {
    "a hold given back": ("UPDATE account SET held = 0 WHERE held > 0", "held_wrong"),
    "a lease made larger": (
        "UPDATE lease SET amount = amount + 1 WHERE state = 'open'",
        "held_wrong",
    ),
    "a lease reopened": ("UPDATE lease SET state = 'open'", "lease_state_wrong"),
    "a lease closed": ("UPDATE lease SET state = 'closed'", "lease_unsaid"),
    "a fork forgiven": ("UPDATE node_log SET evidence = 'a note'", "log_state_wrong"),
    "a log frozen": ("UPDATE node_log SET state = 'frozen'", "log_state_wrong"),
}


@pytest.mark.parametrize("name", sorted(TAMPERED))
def test_what_was_changed_behind_its_back_is_named(market: Marketplace, name: str) -> None:
    statement, code = TAMPERED[name]
    worked(market)
    assert codes(market) == set()

    with market.rig.database.unit() as db:
        db.execute(text(statement))

    assert code in codes(market)


def test_a_lease_that_no_log_speaks_of_cannot_have_been_closed(market: Marketplace) -> None:
    market.customer().launched()
    assert codes(market) == set()

    def close(db: Db) -> None:
        db.execute(text("UPDATE lease SET state = 'closed'"))
        db.execute(text("UPDATE account SET held = 0"))

    within(market, close)

    assert codes(market) == {"lease_unsaid"}


def worked(market: Marketplace) -> None:
    """A workload ran for a while; one of its leases was closed, another is open."""
    customer = market.customer()
    allocation_id = customer.launched()
    market.runs(allocation_id)
    market.uses(allocation_id, minutes=3)
    with market.rig.database.reading() as db:
        (lease,) = db.rows(text("SELECT id, settled FROM lease WHERE settled > 0"))
    closed = LeaseClosed(
        lease_id=lease.id,
        tenant_id=customer.tenant_id,
        spent=lease.settled,
        at_ms=market.rig.clock(),
        reason="recalled",
    )
    market.delivers([closed])
    customer.launched("second")
    with market.rig.database.reading() as db:
        states = [row.state for row in db.rows(text("SELECT state FROM lease"))]
    assert set(states) == {"open", "closed"}


def codes(market: Marketplace) -> set[str]:
    """What the check finds."""
    settings: Settings = market.rig.app.extensions[EXTENSION]
    with market.rig.database.reading() as db:
        report = verify_everything(
            db,
            domain=settings.domain,
            registry_key=public_bytes(settings.key),
            site_share_basis_points=7_000,
        )
    return {problem.code for problem in report.problems}


def within(market: Marketplace, work: Callable[[Db], None]) -> None:
    """Do something in a unit of work."""
    with market.rig.database.unit() as db:
        work(db)
