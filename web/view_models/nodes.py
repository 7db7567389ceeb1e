"""Nodes: the list, one of them, adding one, and node keys."""

from dataclasses import dataclass, field

from web.view_models.allocations import WorkloadRow
from web.view_models.parts import Activity, Choice, Fact, Form, GpuRow, NewSecret, Paging, PathStep


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node in a list.

    state                  online degraded offline retired, or waiting before the first contact
    usage_verified_to_ms   every record up to this moment is proven
    usage_waiting          records reported or known of and not yet verified
    """

    node_id: str
    name: str
    href: str
    state: str
    site: str
    place: str
    gpus_used: int
    gpus_total: int
    accelerator: str
    simulated: bool
    agent_version: str
    today_micros: int
    hottest_c: int | None = None
    power_w: int | None = None
    last_contact_at_ms: int | None = None
    usage_verified_to_ms: int | None = None
    usage_waiting: int = 0


@dataclass(frozen=True, slots=True)
class NodesPage:
    """GET /nodes?filter=; live part nodes/_rows.html."""

    now_ms: int
    live_url: str
    rows: tuple[NodeRow, ...]
    nodes_total: int
    nodes_online: int
    nodes_degraded: int
    nodes_offline: int
    gpus_used: int
    gpus_total: int
    power_w: int | None
    unverified_nodes: int
    unverified_since_at_ms: int | None
    today_micros: int
    filter: str = ""
    paging: Paging = field(default_factory=Paging)
    csv_url: str | None = None
    simulated_gpus: int = 0

    @property
    def nodes_troubled(self) -> int:
        """How many nodes are degraded or not heard from."""
        return self.nodes_degraded + self.nodes_offline


@dataclass(frozen=True, slots=True)
class FindingRow:
    """Something wrong on a node and what to do.  severity: info warning critical"""

    code: str
    severity: str
    title: str
    remedy: str
    since_at_ms: int


@dataclass(frozen=True, slots=True)
class UsageLogHead:
    """The right end of the node's usage log as last verified."""

    origin: str
    size: int
    root: str
    verified_to_ms: int | None
    checkpoint_at_ms: int | None
    cosigned: bool
    waiting: int


@dataclass(frozen=True, slots=True)
class NodePage:
    """GET /nodes/{id}; live part nodes/_live.html.

    desired_generation, desired_at_ms    what the registry states should be, and since when
    observed_generation, observed_at_ms  what the node last said it holds
    """

    now_ms: int
    live_url: str
    node_id: str
    name: str
    state: str
    site: str
    site_href: str
    place: str
    simulated: bool
    desired_generation: int
    desired_at_ms: int | None
    desired_workloads: int
    observed_generation: int | None
    observed_at_ms: int | None
    observed_workloads: int
    last_contact_at_ms: int | None
    log: UsageLogHead | None
    gpus: tuple[GpuRow, ...]
    findings: tuple[FindingRow, ...]
    workloads: tuple[WorkloadRow, ...]
    facts: tuple[Fact, ...]
    activity: tuple[Activity, ...] = ()
    skew_ms: int | None = None
    idempotency_key: str = ""
    can_operate: bool = False


@dataclass(frozen=True, slots=True)
class NewNodePage:
    """GET, POST /nodes/new; a good POST answers nodes/new_key.html with the secret.

    fields  site, name, external_id, accelerator, gpu_count, power_w, latency_ms,
            idempotency_key
    """

    sites: tuple[Choice, ...]
    accelerators: tuple[Choice, ...]
    idempotency_key: str
    form: Form = field(default_factory=Form)


@dataclass(frozen=True, slots=True)
class NewNodeKeyPage:
    """Answer to POST /nodes/new and POST /nodes/{id}/keys; live part nodes/_waiting.html.

    secret    None after a reload: it was shown once
    steps     key used, agent connected, GPUs detected, test container ran, first checkpoint
              verified
    quiet_ms  how long nothing was heard; help unfolds at 60 s and at 180 s
    """

    now_ms: int
    live_url: str
    node_id: str
    node_name: str
    node_href: str
    online: bool
    steps: tuple[PathStep, ...]
    quiet_ms: int
    registry_host: str
    secret: NewSecret | None = None
    mismatch: str = ""


@dataclass(frozen=True, slots=True)
class NodeKeyRow:
    """state: waiting (unused) spent revoked expired"""

    key_id: str
    prefix: str
    node: str
    node_href: str
    state: str
    created_by: str
    created_at_ms: int
    used_at_ms: int | None = None
    used_from: str = ""


@dataclass(frozen=True, slots=True)
class NodeKeysPage:
    """GET /nodes/keys."""

    now_ms: int
    rows: tuple[NodeKeyRow, ...]
    paging: Paging = field(default_factory=Paging)
