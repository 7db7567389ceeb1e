"""Recompute everything that money rests on, and name whatever does not follow."""

from dataclasses import dataclass

from protocol.checkpoint import witness_name
from registry.adjustments.operations import verify_founded
from registry.catalogue.queries import list_prices
from registry.leases.operations import surroundings, verify_holds
from registry.ledger.audit import Problem
from registry.ledger.operations import verify as verify_books
from registry.nodes.queries import get_node
from registry.payouts.operations import expected_journals
from registry.reconciliation.operations import expected_journals as payment_journals
from registry.store.database import Db
from registry.sync.operations import list_owners
from registry.usage.operations import verify as verify_usage


@dataclass(frozen=True, slots=True)
class Verified:
    """What a check of all money found: of the books themselves, and against the raw logs."""

    journals: int
    accounts: int
    logs: int
    entries: int
    problems: tuple[Problem, ...]


def verify_everything(
    db: Db, *, domain: str, registry_key: bytes, site_share_basis_points: int
) -> Verified:
    """Recompute every balance from its postings, and every usage posting from the raw logs."""

    def site_of(db: Db, node_id: str) -> tuple[str, int]:
        return get_node(db, node_id).site_id, site_share_basis_points

    books = verify_books(db)
    unfounded = verify_founded(db, {**expected_journals(db), **payment_journals(db)})
    usage = verify_usage(
        db,
        surroundings=surroundings(list_owners=list_owners, list_prices=list_prices),
        site_of=site_of,
        witness=witness_name(domain),
        witness_key=registry_key,
    )
    return Verified(
        journals=books.journals,
        accounts=books.accounts,
        logs=usage.logs,
        entries=usage.entries,
        problems=books.problems
        + unfounded
        + usage.problems
        + verify_holds(db, logged=usage.leases),
    )
