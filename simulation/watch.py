"""Looks at everything that happens and says at once when something does not hold."""

import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial

from agent.allocations.runtime import Container
from agent.leases.gate import NodeLease, is_usable
from agent.leases.queries import list_open_leases
from agent.sync.operations import Taken, stored_desired
from agent.usage_log.queries import list_entries
from protocol.sync import SyncAnswer
from simulation.node import Node, stop_ms
from simulation.people import Tenant
from simulation.setup import Setup
from simulation.timeline import Timeline
from simulation.truth import (
    LeaseRow,
    Ledger,
    Rater,
    check_journals,
    check_step,
    must,
    parsed,
    read_ledger,
)

LOOKS_MAX = 20
"""How often a stop is looked for again at a node that was not there to do it."""


class Watch:
    """Rules that hold at every step, and those that hold at a moment set when something began."""

    def __init__(self, aside: sqlite3.Connection, timeline: Timeline, setup: Setup) -> None:
        self.nodes: dict[str, Node] = {}
        self.tenants: Sequence[Tenant] = ()
        self.rater = Rater()
        self.checks = 0
        self._aside = aside
        self._timeline = timeline
        self._setup = setup
        self._ledger = Ledger()
        self._accepted: dict[str, int] = {}
        self._debited: set[str] = set()
        self._absent: dict[str, set[str]] = {}
        self._generation: dict[str, int] = {}

    def stepped(
        self, entries: Sequence[Mapping[str, object]] = (), node: Node | None = None
    ) -> None:
        """Check the registry's books after it wrote anything.

        entries  what it accepted of a node's log in this step
        """
        before = self._ledger
        for entry in entries:
            if entry["k"] == "use":
                self.rater.record(dict(entry))
        self._ledger = now = read_ledger(self._aside, before)
        now.journal_id = check_journals(self._aside, before.journal_id)
        paid = {tenant.tenant_id: tenant.paid for tenant in self.tenants}
        check_step(before, now, rated=self.rater.rated, paid=paid)
        self.checks += 1
        if node is not None and node.honest and not node.disturbed:
            must(
                now.overrun == before.overrun or bool(self._debited),
                "honest_work_stays_within_its_leases",
                f"{node.name} ran over by {now.overrun - before.overrun}",
            )
        for lease in now.leases.values():
            if lease.lease_id not in before.leases:
                self._timeline.at(lease.expires_at_ms, partial(self._lease_ended, lease))

    def answered(self, node_id: str, answer: SyncAnswer) -> None:
        """Check what the registry took in of one call, and what it says."""
        node = self.nodes[node_id]
        begin, end = self._accepted.get(node_id, 0), answer.log.size
        must(end >= begin, "accepted_never_falls", f"{node.name}: {begin} to {end}")
        raw = list_entries(node.machine.disk.db, begin, end)
        must(len(raw) == end - begin, "accepted_was_written", f"{node.name}: {begin} to {end}")
        entries = [parsed(one) for one in raw]
        for entry in entries:
            self._check_lease(node, entry)
        self._accepted[node_id] = end
        self._timeline.tell("registry", f"{node.name} has {end}, {len(answer.leases)} leases")
        problem = answer.log.problem
        must(
            problem is None or not node.honest,
            "an_honest_log_is_taken",
            f"{node.name}: {problem}",
        )
        self.stepped(entries, node)
        self._check_answer(node, answer)

    def hears(self, node: Node, answer: SyncAnswer) -> None:
        """A node hears an answer: work of whoever was suspended ends soon."""
        if not node.honest:
            return
        for tenant in self.tenants:
            since_ms = tenant.suspended_at_ms
            if since_ms is not None and since_ms < answer.now_ms:
                self._stops_by(node, tenant, since_ms, self._timeline.now_ms)

    def takes(self, node: Node, taken: Taken) -> None:
        """A node took an answer in: what it holds never goes back."""
        state = stored_desired(node.machine.disk.db)
        if state is None or not node.honest:
            return
        before = self._generation.get(node.node_id, 0)
        must(
            state.generation >= before,
            "generations_never_go_back",
            f"{node.name}: from {before} to {state.generation}",
        )
        self._generation[node.node_id] = state.generation
        # What stopped for want of money may be wanted again, by a newer word and no older one.
        absent = self._absent.setdefault(node.node_id, set())
        absent -= {one.allocation_id for one in state.allocations if one.phase != "absent"}
        absent |= {one.allocation_id for one in state.allocations if one.phase == "absent"}

    def starts(self, node: Node, container: Container) -> None:
        """A container is about to run."""
        if not node.honest:
            return
        must(
            container.allocation_id not in self._absent.get(node.node_id, ()),
            "nothing_released_runs_again",
            f"{node.name}: {container.allocation_id}",
        )
        for other in node.engine.running():
            both = set(other.accelerators) & set(container.accelerators)
            must(not both, "no_gpu_serves_two", f"{node.name}: {sorted(both)}")

    def suspended(self, tenant: Tenant) -> None:
        """A tenant was suspended: its work ends with its leases, wherever it runs."""
        since_ms = tenant.suspended_at_ms
        assert since_ms is not None
        for node in self.nodes.values():
            ends = [
                lease.expires_at_ms
                for lease in self._ledger.leases.values()
                if (lease.tenant_id, lease.node_id) == (tenant.tenant_id, node.node_id)
            ]
            if node.honest:
                self._stops_by(node, tenant, since_ms, max([*ends, since_ms]))

    def debited(self, tenant: Tenant) -> None:
        """Money is taken back from a tenant: what it used before may be ours to bear."""
        self._debited.add(tenant.tenant_id)

    @property
    def ledger(self) -> Ledger:
        """Return the books as they were at the last step."""
        return self._ledger

    def _check_lease(self, node: Node, entry: Mapping[str, object]) -> None:
        """Check under which lease a record was accepted: as the lease was before the call."""
        lease_id = entry.get("lse")
        if not isinstance(lease_id, int) or lease_id == 0 or entry["k"] != "use":
            return
        lease = self._ledger.leases.get(lease_id)
        must(lease is not None, "a_lease_was_granted", f"{node.name}: lease {lease_id}")
        assert lease is not None
        must(
            (lease.tenant_id, lease.node_id) == (entry["ten"], node.node_id),
            "a_lease_is_its_tenants_and_its_nodes",
            f"{node.name}: lease {lease_id}, record of {entry['ten']}",
        )
        must(
            not node.honest or lease.state == "open",
            "no_honest_work_on_a_released_lease",
            f"{node.name}: lease {lease_id} is {lease.state}",
        )

    def _check_answer(self, node: Node, answer: SyncAnswer) -> None:
        by_id = {tenant.tenant_id: tenant for tenant in self.tenants}
        for lease in answer.leases:
            tenant = by_id[lease.tenant_id]
            must(
                tenant.suspended_at_ms is None,
                "nothing_granted_to_the_suspended",
                f"{node.name}: lease {lease.lease_id} of {tenant.name}",
            )
            purse = self._ledger.purses[lease.tenant_id]
            must(
                purse.held <= purse.total + purse.credit,
                "frozen_money_is_recalled",
                f"{node.name}: {tenant.name} holds {purse.held}, has {purse.total}",
            )
            row = self._ledger.leases[lease.lease_id]
            life_ms = self._setup.terms[tenant.trust].life_ms
            must(
                row.state == "open"
                and row.node_id == node.node_id
                and 0 < lease.expires_in_ms <= life_ms
                and answer.now_ms + lease.expires_in_ms <= row.expires_at_ms,
                "a_stated_lease_lives",
                f"{node.name}: {lease}, {row}",
            )

    def _lease_ended(self, lease: LeaseRow) -> None:
        """At a lease's end by the registry's clock its node must take it for ended, by its own."""
        node = self.nodes[lease.node_id]
        if not node.honest:
            return
        self.checks += 1
        machine = node.machine
        held = next(
            (
                one
                for one in list_open_leases(machine.disk.db)
                if one.held.lease_id == lease.lease_id
            ),
            None,
        )
        must(
            held is None or not is_usable(held, boot_id=machine.boot_id, boot_ms=machine.boot_ms()),
            "no_lease_outlives_its_term",
            f"{node.name}: lease {lease.lease_id}",
        )
        self._outlived(node, held)

    def _outlived(self, node: Node, held: NodeLease | None) -> None:
        """The same by the figures alone: what was not recalled ended by the node's own clock."""
        machine = node.machine
        here = held is not None and held.boot_id == machine.boot_id
        must(
            held is None or not here or held.held.expires_at_boot_ms <= machine.boot_ms(),
            "no_lease_outlives_its_term",
            f"{node.name}: {held}",
        )

    def _stops_by(self, node: Node, tenant: Tenant, since_ms: int, end_ms: int) -> None:
        grace_ms = stop_ms(self._setup)
        look = partial(self._stopped, node, tenant, since_ms, LOOKS_MAX)
        self._timeline.at(end_ms + grace_ms, look)

    def _stopped(self, node: Node, tenant: Tenant, since_ms: int, looks: int) -> None:
        """Nothing of a suspended tenant runs any more, or its node was not there to stop it."""
        if tenant.suspended_at_ms != since_ms:
            return
        grace_ms = stop_ms(self._setup)
        if node.is_disturbed(since_ms=self._timeline.now_ms - grace_ms):
            if looks:
                again = partial(self._stopped, node, tenant, since_ms, looks - 1)
                self._timeline.after(grace_ms, again)
            return
        self.checks += 1
        left = [one for one in node.engine.running() if one.tenant_id == tenant.tenant_id]
        must(
            not left,
            "work_stops_after_a_suspension",
            f"{node.name}: {[one.allocation_id for one in left]} of {tenant.name}",
        )
