"""An allocation as people see it: with its shape, node, site, owner and what it came to so far."""

from dataclasses import dataclass

from protocol.clock import DAY_MS, HOUR_MS, MINUTE_MS
from protocol.health import Severity
from protocol.lifecycle import FINAL, HOLDING, State
from protocol.manifest import Manifest
from registry.nodes.standing import SILENT_MS

TABS = ("active", "attention", "history")

KEPT_IN_ACTIVE_MS = 10 * MINUTE_MS
"""So long a workload that ended stays in the list where it was seen last."""

FAILED_SHOWN_MS = DAY_MS
"""So long a workload that failed is said to need attention."""

HISTORY_MS = 90 * DAY_MS

ON_NODE = frozenset(set(State) - FINAL - {State.REQUESTED})
"""States in which the node's word counts, so that its silence matters."""

BLOCKING: frozenset[Severity] = frozenset({"critical"})
"""Findings of this severity take a node off the market, and what is on it needs attention."""

FINISHED = "finished"
"""How a state is shown that was reached by running to completion with exit code 0."""

STUCK = frozenset({State.RELEASE_FAILED, State.INSUFFICIENT_BALANCE})
"""States that a person must end."""

ENDED_BADLY = frozenset({State.FAILED, State.SKU_UNAVAILABLE})

UNSETTLED = frozenset({State.REQUESTED, State.PROVISIONING, State.STOPPING, State.RELEASING})
"""States that something is about to change."""


@dataclass(frozen=True, slots=True)
class SeenAllocation:
    """One allocation with everything a page says about it.

    owner           who launched it: an e-mail address, or the name of an API key
    charged_micros  what its verified usage came to
    verified_to_ms  until when its time on GPUs is verified
    last_fact       what the last step of its state path says
    node_trouble    the code of the worst thing wrong with its node; nothing while it works
    """

    allocation_id: str
    tenant_id: str
    project_id: str
    name: str
    state: State
    reason: str
    manifest: Manifest
    sku_id: str
    sku_name: str
    accelerator_model: str
    accelerator_count: int
    simulated: bool
    node_id: str
    node_name: str
    site_name: str
    site_tenant_id: str
    hourly_micros: int
    owner: str
    created_at_ms: int
    ready_at_ms: int | None
    release_at_ms: int | None
    ended_at_ms: int | None
    cleaned_at_ms: int | None
    phase: str
    phase_detail: str
    container_id: str
    accelerators: tuple[str, ...]
    exit_code: int | None
    last_contact_at_ms: int | None
    charged_micros: int
    verified_to_ms: int | None
    last_fact: str
    node_trouble: str = ""

    @property
    def is_charging(self) -> bool:
        """Whether it is charged for at present."""
        return self.state is State.ACTIVE

    @property
    def holds_accelerators(self) -> bool:
        """Whether accelerators of its node are taken by it."""
        return self.state in HOLDING

    @property
    def shown_state(self) -> str:
        """The state as a badge says it: what ran to completion has finished, not been released."""
        ended = self.state is State.RELEASED and self.release_at_ms is None
        return FINISHED if ended and self.exit_code == 0 else self.state.value

    @property
    def trouble(self) -> str:
        """What is wrong with its node, by code, while the node's word counts."""
        return self.node_trouble if self.state in ON_NODE else ""

    def silent_since_ms(self, now_ms: int) -> int | None:
        """Return when its node was last heard of, if that is too long ago to matter."""
        last = self.last_contact_at_ms
        if self.state not in ON_NODE or last is None or now_ms - last <= SILENT_MS:
            return None
        return last

    def held_micros(self, now_ms: int) -> int:
        """Return what its time on GPUs since the last verified record comes to at most."""
        if self.ready_at_ms is None or self.cleaned_at_ms is not None:
            return 0
        ends = [at for at in (self.release_at_ms, self.ended_at_ms) if at is not None]
        if self.state is not State.ACTIVE and not ends:
            return 0
        begin_ms = max(self.ready_at_ms, self.verified_to_ms or 0)
        return max(min([now_ms, *ends]) - begin_ms, 0) * self.hourly_micros // HOUR_MS


@dataclass(frozen=True, slots=True)
class SeenEvent:
    """One step of the state path.  actor: an e-mail address, a key's name, `node` or `registry`"""

    at_ms: int
    state: State
    fact: str
    actor: str
