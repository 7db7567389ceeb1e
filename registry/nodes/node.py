"""A node and its GPUs, as they are known here."""

from dataclasses import dataclass

from protocol.observed import HostFacts
from registry.nodes.enrolment import NodeFacts


@dataclass(frozen=True, slots=True)
class Node:
    """A machine, and what was last heard of it.

    tenant_id        of the site's owner
    public_key       None before enrolment and after its key was revoked
    generation       of the desired state; `generation_held` is what the node last said it has
    simulated        whether its GPUs are
    market_since_ms  when its site was first opened to other organizations, None if never
    is_open          whether it serves them now
    earlier_boots    ids of boots before the present one, newest last
    fenced_at_ms     since when two machines are known to hold its key; None if none are
    """

    node_id: str
    name: str
    site_id: str
    site_name: str
    city: str
    country: str
    site_power_w: int
    tenant_id: str
    facts: NodeFacts
    created_at_ms: int
    retired_at_ms: int | None
    public_key: bytes | None
    key_id: str | None
    enrolled_at_ms: int | None
    gateway_url: str
    agent_version: str
    boot_id: str
    sequence: int
    log_epoch: int
    generation: int
    desired_at_ms: int | None
    generation_held: int | None
    held_at_ms: int | None
    key_set_held: int
    last_contact_at_ms: int | None
    skew_ms: int | None
    simulated: bool
    host: HostFacts | None
    market_since_ms: int | None
    is_open: bool
    earlier_boots: tuple[str, ...]
    fenced_at_ms: int | None

    def serves(self, tenant_id: str) -> bool:
        """Whether work, keys and money of this organization may reach it."""
        return self.is_open or tenant_id == self.tenant_id

    @property
    def revoked(self) -> bool:
        """Whether the node was retired."""
        return self.retired_at_ms is not None


@dataclass(frozen=True, slots=True)
class NodeAccelerator:
    """A GPU of a node as last reported.  present: whether the last report named it"""

    uuid: str
    node_id: str
    position: int
    model: str
    memory_mib: int
    simulated: bool
    healthy: bool
    present: bool
    held_by: str | None
    utilization_percent: int | None
    memory_used_mib: int | None
    temperature_c: int | None
    power_mw: int | None
