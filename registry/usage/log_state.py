"""What is known of a usage log before a batch, and of the world its entries speak of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from protocol.merkle import Frontier
from registry.log_events.facts import EventFacts

StreamKey = tuple[str, str, str]
"""Owner (an allocation or an API key), meter, SKU."""

LeaseState = Literal["open", "closed", "released"]


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Whose log it is.

    public_key               Ed25519, by which the node signs
    site_id                  the site that earns `site_share_basis_points` of what is charged
    """

    node_id: str
    epoch: int
    public_key: bytes
    site_id: str
    site_share_basis_points: int = 0


@dataclass(frozen=True, slots=True)
class Log:
    """How far a log was accepted.

    checkpoint, cosignature  the last note of the node that was cosigned, and how; empty at size 0
    accepted_at_ms           when entries were last accepted
    """

    node_id: str
    epoch: int
    origin: str
    public_key: bytes
    state: Literal["open", "parked", "frozen"]
    frontier: Frontier
    checkpoint: str
    cosignature: str
    accepted_at_ms: int | None
    problem_code: str = ""
    problem_message: str = ""
    problem_at_ms: int | None = None
    evidence: str = ""

    @property
    def size(self) -> int:
        """Return how many entries were accepted."""
        return self.frontier.size


@dataclass(slots=True)
class Stream:
    """Where a stream stands; `begin_ms` and `first_index` stay, the rest moves with each record.

    stream_id  its number in our tables, or 0 for one that is not stored yet
    """

    tenant_id: str
    project_id: str
    first_index: int
    last_index: int
    begin_ms: int
    end_ms: int
    cumulative: int = 0
    rated: int = 0
    charged: int = 0
    shared: int = 0
    stream_id: int = field(default=0, compare=False)


@dataclass(slots=True)
class Opening:
    """Accelerators an allocation holds, or held until `closed_at_ms`."""

    accelerators: tuple[str, ...]
    opened_at_ms: int
    closed_at_ms: int | None = None


@dataclass(slots=True)
class AcceleratorUse:
    """Who holds an accelerator since when; with nobody, since when it is free."""

    held_by: str | None
    since_ms: int


@dataclass(slots=True)
class LeaseStanding:
    """A lease as far as it was settled."""

    tenant_id: str
    node_id: str
    amount: int
    settled: int
    state: LeaseState
    ended_at_ms: int | None = None
    granted_at_ms: int = 0


NO_LEASE = LeaseStanding(tenant_id="", node_id="", amount=0, settled=0, state="open")
"""What lease id 0 stands for: nothing was ever granted for it, so nothing is charged."""


@dataclass(frozen=True, slots=True)
class OwnerFact:
    """Who pays for a stream.

    sku               the only one its owner may use; None for an API key, which may use any model
    accelerator_count how many it was sold
    since_ms          when it was asked for: nothing can have been used before
    released_at_ms    when its release was asked for: nothing is charged from then on
    known_to_ms       by our clock, how far time can have gone when its usage was taken in
    reported          accelerators registered with its node; None where that is not known any more
    """

    tenant_id: str
    project_id: str
    sku: str | None = None
    accelerator_count: int = 0
    since_ms: int = 0
    released_at_ms: int | None = None
    known_to_ms: int | None = None
    reported: frozenset[str] | None = None


@dataclass(slots=True)
class Standing:
    """Everything the rules between entries look at; it moves on entry by entry.

    owners         allocations of this node and API keys, by id
    counted_to_ms  up to when earlier epochs of the node's log have counted time
    events         what the rarer entries are judged by
    """

    owners: Mapping[str, OwnerFact]
    leases: dict[int, LeaseStanding] = field(default_factory=dict)
    streams: dict[StreamKey, Stream] = field(default_factory=dict)
    openings: dict[str, Opening] = field(default_factory=dict)
    accelerators: dict[str, AcceleratorUse] = field(default_factory=dict)
    counted_to_ms: int = 0
    events: EventFacts = field(default_factory=EventFacts)
