"""Wrong versions of the shipped code, each as the words that are changed in it.

Nothing of this is ever in the tree: a mutant exists only in a process of its own.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """In one module, `old` (which stands there once) is read as `new`."""

    module: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong version.

    seeds   those that showed it, tried first
    faults  under which it shows; None for all of them together
    """

    edits: tuple[Edit, ...]
    seeds: tuple[int, ...] = ()
    faults: tuple[str, ...] | None = None


def one(module: str, old: str, new: str, *seeds: int) -> Mutant:
    """A mutant of one edit."""
    return Mutant((Edit(module, old, new),), seeds)


MUTANTS: dict[str, Mutant] = {
    "a batch that overlaps is taken as if all of it were new": one(
        "registry.usage.extension",
        "if not known:\n        return Extension",
        "if batch:\n        return Extension",
    ),
    "a charge is not clamped to its lease": one(
        "registry.rating.charge",
        "charged = min(due, max(remaining, 0))",
        "charged = due",
        2,
    ),
    "work under an ended lease is charged": one(
        "registry.usage.tally",
        'if lease.state == "open" else 0',
        "if lease.state else 0",
        2,
    ),
    "a charge is taken off a hold twice": one(
        "registry.leases.operations",
        "freed = change_held(db, lease.tenant_id, -charged)",
        "freed = change_held(db, lease.tenant_id, -2 * charged)",
    ),
    "a grant is not checked against the funds": Mutant(
        (
            Edit(
                "registry.leases.operations",
                "amount = grant_amount(want, live, terms=terms, available=available,",
                "amount = grant_amount(want, live, terms=terms, available=10**12,",
            ),
            Edit("registry.ledger.queries", "AND (:delta <= 0 OR", "AND (1 = 1 OR"),
        )
    ),
    "a hold is given back when its lease ends": one(
        "registry.leases.queries",
        'lease.c.state == "open", lease.c.hold_until_ms <= now_ms',
        'lease.c.state == "open", lease.c.expires_at_ms <= now_ms',
        2,
    ),
    "a hold is given back after a short silence": one(
        "registry.leases.terms",
        "return self.life_ms + self.absence_ms",
        "return self.life_ms // 2",
    ),
    "a lease that never arrived is held for ever": one(
        "registry.leases.operations",
        "    if not unheard:\n",
        "    if unheard is not None:\n",
        16,
    ),
    "a suspended tenant's leases are stated": one(
        "registry.leases.terms", 'return "suspended"', 'return ""'
    ),
    "money that is gone is still leased": one(
        "registry.leases.terms", 'return "frozen" if available < 0 else ""', 'return ""'
    ),
    "a lease of another tenant is accepted": one(
        "registry.usage.acceptance",
        "if lease.tenant_id != tenant_id:",
        "if not lease.tenant_id:",
        3,
    ),
    "a lease of another node is accepted": one(
        "registry.usage.acceptance",
        "if lease.node_id != self._node_id:",
        "if not lease.node_id:",
        5,
    ),
    "a charge is rounded record by record": one(
        "protocol.price",
        "Micros(after * price.num // price.den - before * price.num // price.den)",
        "Micros((after - before) * price.num // price.den)",
    ),
    "a lease's life is counted from the answer": one(
        "agent.sync.operations",
        "sent_boot_ms=heard.sent_boot_ms",
        "sent_boot_ms=heard.received_boot_ms",
    ),
    "a lease's life is not shortened by the drift": one(
        "agent.leases.gate", "DRIFT_PER_MILLE = 2\n", "DRIFT_PER_MILLE = 0\n"
    ),
    "a lease is spent beyond its life": one(
        "protocol.lease",
        "return not lease.closed and boot_ms < lease.expires_at_boot_ms",
        "return not lease.closed",
    ),
    "a lease of an earlier boot is trusted": one(
        "agent.leases.gate",
        "confirmed = lease.boot_id == boot_id and not lease.recalled",
        "confirmed = not lease.recalled",
        2,
    ),
    "a lease that is left out is kept": one(
        "agent.leases.queries",
        "UPDATE lease SET listed = 0, recalled = 1 WHERE",
        "UPDATE lease SET listed = 0, recalled = 0 WHERE",
        2,
    ),
    "a lease is never closed": one(
        "agent.leases.operations",
        "for lease in queries.list_unreferenced_leases(db):",
        "for lease in queries.list_unreferenced_leases(db)[:0]:",
    ),
    "work that its leases do not allow goes on": one(
        "agent.allocations.plan",
        "if run.known and verdict.must_stop:",
        'if run.known and verdict.must_stop and run.phase == "absent":',
    ),
    "nothing is set aside for work under way": Mutant(
        (
            Edit(
                "agent.metering.run_usage",
                "return max((worst_case(price, quantity) for price in found if price), default=0)",
                "return 0 * len([price for price in found if price])",
            ),
        ),
        faults=("loss", "partition"),
    ),
    "an older generation is taken for a newer": Mutant(
        (
            Edit(
                "agent.sync.exchange",
                "return (state, answer.desired) if state.generation > before else None",
                "return (state, answer.desired)",
            ),
            Edit("agent.sync.queries", "WHERE excluded.version >= version", "WHERE 1 = 1"),
        )
    ),
    "an answer to another call is taken": one(
        "simulation.network",
        "return reply.nonce == nonce",
        "return reply.nonce is not None",
        9,
    ),
    "sleep is billed": one(
        "agent.metering.intervals",
        "Gap(last_ms, last_ms + asleep_ms if asleep_ms > JITTER_MS else last_ms)",
        "Gap(last_ms, last_ms)",
    ),
    "sleep is billed to those that were not looked at": one(
        "agent.metering.intervals",
        "if seen_ms >= gap.end_ms:",
        "if seen_ms >= 0:",
        6,
    ),
    "time is billed in which nobody saw the container": one(
        "agent.metering.run_usage",
        "return min(min(ends, default=seen_ms), now_ms)",
        "return min(min(ends, default=max(seen_ms, now_ms)), now_ms)",
        3,
    ),
    "a GPU is handed on before its bill is closed": one(
        "agent.allocations.run",
        'return run.phase in ("exited", "absent") and (run.closed or run.ready_at_ms is None)',
        'return run.phase in ("exited", "absent")',
        3,
    ),
}
