"""Do holds follow from leases, and leases from what the logs say?"""

from collections.abc import Iterable, Mapping

from registry.ledger.audit import Problem


def hold_problems(held: Mapping[str, int], leased: Mapping[str, int]) -> list[Problem]:
    """Return whose hold is not the rest of its open leases.

    held    what the row of each tenant's wallet says is held
    leased  what its open leases may still cost
    """
    return [
        Problem(
            "held_wrong",
            tenant_id,
            f"{held.get(tenant_id, 0)} micros are held, its open leases leave "
            f"{leased.get(tenant_id, 0)}.",
        )
        for tenant_id in sorted(held.keys() | leased.keys())
        if held.get(tenant_id, 0) != leased.get(tenant_id, 0)
    ]


def unsaid_problems(lease_ids: Iterable[int]) -> list[Problem]:
    """Return the leases that were closed or settled although no log speaks of them."""
    return [
        Problem("lease_unsaid", f"lease {lease_id}", "It was closed or settled, no log says so.")
        for lease_id in lease_ids
    ]
