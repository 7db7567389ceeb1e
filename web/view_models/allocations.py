"""Workloads: the list and one of them.  The launch page is in launch.py."""

from dataclasses import dataclass, field

from web.view_models.parts import Activity, Fact, GpuRow, Paging, PathStep


@dataclass(frozen=True, slots=True)
class WorkloadRow:
    """One allocation in a list.

    state                     a state of protocol.lifecycle
    no_contact_since_at_ms    when the node was last heard of, if that is too long ago
    moved_to_history          finished less than 10 minutes ago: still listed, greyed
    """

    allocation_id: str
    name: str
    href: str
    state: str
    charging: bool
    gpu_count: int
    accelerator: str
    simulated: bool
    site: str
    created_at_ms: int
    price_micros_per_hour: int
    cost_micros: int
    owner: str
    no_contact_since_at_ms: int | None = None
    moved_to_history: bool = False


@dataclass(frozen=True, slots=True)
class WorkloadsPage:
    """GET /workloads?tab=&filter=; live part allocations/_rows.html.

    tab      active, attention or history
    counts   how many rows each tab holds, by tab
    filter   the typed filter as it was understood, kept in the address
    """

    now_ms: int
    live_url: str
    tab: str
    counts: dict[str, int]
    rows: tuple[WorkloadRow, ...]
    filter: str = ""
    paging: Paging = field(default_factory=Paging)
    csv_url: str | None = None
    can_launch: bool = False
    smallest_price_micros_per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """A proven usage record: what, how much, what it cost, where its receipt is.

    unit  a meter: gpu.ms, tok.in, tok.out, …
    """

    from_at_ms: int
    to_at_ms: int
    quantity: int
    unit: str
    micros: int
    href: str


@dataclass(frozen=True, slots=True)
class WorkloadPage:
    """GET /workloads/{id}; live part allocations/_live.html.

    changing               poll every 2 s instead of 10 s
    reason                 why it failed or waits, in words; nothing otherwise
    gpu_count, gpus        how many were asked for; those held now, once the node has told of them
    ended                  it holds nothing any more and never will
    release_asked_at_ms    when a release was asked for; release_answered_at_ms: it was done
    charging_since_at_ms   charging runs since then; charging_stopped_at_ms: it ended then
    held_micros            recorded but not yet verified
    losses                 what a release deletes, each by name and size
    facts                  image, command, ports, limits: whatever describes the workload
    """

    now_ms: int
    live_url: str
    changing: bool
    allocation_id: str
    name: str
    state: str
    path: tuple[PathStep, ...]
    charging: bool
    price_micros_per_hour: int
    cost_micros: int
    created_at_ms: int
    owner: str
    facts: tuple[Fact, ...]
    gpus: tuple[GpuRow, ...]
    gpu_count: int
    ended: bool
    activity: tuple[Activity, ...]
    receipts: tuple[ReceiptRow, ...]
    reason: str = ""
    release_asked_at_ms: int | None = None
    release_answered_at_ms: int | None = None
    charging_since_at_ms: int | None = None
    charging_stopped_at_ms: int | None = None
    held_micros: int = 0
    node_name: str = ""
    node_href: str = ""
    site: str = ""
    no_contact_since_at_ms: int | None = None
    can_release: bool = False
    releasable: bool = False
    losses: tuple[str, ...] = ()
    relaunch_href: str = ""
    receipts_url: str = ""
