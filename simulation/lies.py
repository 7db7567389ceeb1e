"""What a node may do that is not the program: sell more than it holds, write what is not so."""

from collections.abc import Callable, Mapping
from random import Random

import msgspec

from agent.store.database import Db
from agent.usage_log.operations import append
from agent.usage_log.queries import list_all_streams
from protocol.clock import DAY_MS, MINUTE_MS
from protocol.lease import Lease
from protocol.sync import SyncAnswer
from protocol.usage import TIME_METERS, Use
from simulation.agent import Agent
from simulation.timeline import Timeline
from simulation.truth import LeaseRow

TIMES = 3
FORGED_PER_MILLE = 150
FORGED_TOKENS = 500_000


class Liar:
    """A node whose operator changed it.

    Either it takes its leases for larger, longer and never recalled (most of them), or it writes
    records under leases that are not theirs as well.
    """

    def __init__(
        self, chance: Random, timeline: Timeline, granted: Callable[[], Mapping[int, LeaseRow]]
    ) -> None:
        """Lie by `chance`.  granted: every lease there is, which it found out somehow"""
        self._chance = chance
        self._timeline = timeline
        self._granted = granted
        self._leases: dict[int, Lease] = {}
        self._forges = chance.random() < 0.5

    def changed(self, answer: SyncAnswer) -> SyncAnswer:
        """Return the answer as this node wishes it were."""
        for lease in answer.leases:
            self._leases[lease.lease_id] = Lease(
                lease.lease_id, lease.tenant_id, lease.amount * TIMES, DAY_MS
            )
        return msgspec.structs.replace(answer, leases=tuple(self._leases.values()))

    def acts(self, agent: Agent) -> None:
        """Perhaps write a record that is not so."""
        forges = self._forges and self._chance.randrange(1_000) < FORGED_PER_MILLE
        if forges and agent.store.run_now(self._forged, agent.clock.now_ms()):
            self._timeline.tell("liar", "forges a record")

    def _forged(self, db: Db, now_ms: int) -> bool:
        """Append tokens nobody was given, under a lease that may be another's, spent or closed."""
        ends = {
            key: end for key, end in list_all_streams(db).items() if key.meter not in TIME_METERS
        }
        if not ends:
            return False
        key = self._chance.choice(sorted(ends, key=lambda one: (one.owner, one.meter, one.sku)))
        tenant = db.row(
            "SELECT tenant_id, project_id FROM call WHERE key_id = :key LIMIT 1", {"key": key.owner}
        )
        lease_id = None if tenant is None else self._lease(tenant["tenant_id"])
        if tenant is None or lease_id is None:
            return False
        end_ms = max(ends[key].last_end_ms, now_ms - now_ms % MINUTE_MS)
        quantity = self._chance.randrange(1, FORGED_TOKENS)
        forged = Use(
            allocation_id=key.owner,
            tenant_id=tenant["tenant_id"],
            project_id=tenant["project_id"],
            sku=key.sku,
            meter=key.meter,
            lease_id=lease_id,
            begin_ms=(end_ms - 1) - (end_ms - 1) % MINUTE_MS,
            end_ms=end_ms,
            quantity=quantity,
            cumulative=ends[key].cumulative + quantity,
        )
        append(db, [forged])
        return True

    def _lease(self, tenant_id: str) -> int | None:
        """Return a lease: another node's of this tenant, another tenant's, or whichever."""
        leases = self._granted()
        mine = {lease.node_id for lease in leases.values() if lease.lease_id in self._leases}
        groups = (
            [
                one.lease_id
                for one in leases.values()
                if one.tenant_id == tenant_id and one.node_id not in mine
            ],
            [one.lease_id for one in leases.values() if one.tenant_id != tenant_id],
            list(leases),
        )
        found = self._chance.choice(groups)
        return self._chance.choice(found) if found else None
