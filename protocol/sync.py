"""The one call a node makes: what it holds and sees, for what it should do and may spend.

Level-triggered: each side states how things are; losing, repeating or reordering a call is
harmless.  Bodies are zlib JSON within `wire` limits.
"""

from typing import Annotated

import msgspec

from protocol.balance import BALANCES_MAX, TenantBalance
from protocol.canonical import ENTRY_BYTES_MAX
from protocol.enrolment import TrustKey
from protocol.health import Finding
from protocol.lease import LEASES_MAX, Lease, LeaseSpend
from protocol.note import NOTE_BYTES_MAX
from protocol.observed import (
    ACCELERATORS_MAX,
    ALLOCATIONS_MAX,
    MODELS_MAX,
    AcceleratorFact,
    HostFacts,
    Label,
    Moment,
    ObservedAllocation,
    ServedModel,
)
from protocol.packing import ENTRIES_MAX, PackedEntries
from protocol.signing import Envelope

FINDINGS_MAX = 256
SYNC_INTERVAL_MS = 15_000
SYNC_INTERVAL_BUSY_MS = 5_000


class LogBatch(msgspec.Struct, frozen=True):
    """Entries [begin, begin + entries.count) and the checkpoint over the log up to their end."""

    epoch: Moment
    begin: Moment
    entries: PackedEntries
    checkpoint: Annotated[str, msgspec.Meta(max_length=NOTE_BYTES_MAX)]


class SyncRequest(msgspec.Struct, frozen=True):
    """What the node holds and sees.

    sequence  counts the calls of this boot; a second machine with the same key shows by it
    key_set_issued_at_ms  when the registry signed the key set that the node holds
    node_time_ms  the time by which the node dates what it writes down, when it sent this; what
                  `sent_at_ms` says is the registry's time, as far as the node knows it
    log       None when the registry has everything
    """

    agent_version: Label
    protocol: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    boot_id: Label
    sequence: Moment
    sent_at_ms: Moment
    gateway_url: Annotated[str, msgspec.Meta(max_length=256, pattern=r"^https?://[!-~]+\Z")]
    desired_generation: Moment
    key_set_version: Moment
    host: HostFacts
    accelerators: Annotated[tuple[AcceleratorFact, ...], msgspec.Meta(max_length=ACCELERATORS_MAX)]
    allocations: Annotated[tuple[ObservedAllocation, ...], msgspec.Meta(max_length=ALLOCATIONS_MAX)]
    models: Annotated[tuple[ServedModel, ...], msgspec.Meta(max_length=MODELS_MAX)]
    findings: Annotated[tuple[Finding, ...], msgspec.Meta(max_length=FINDINGS_MAX)]
    leases: Annotated[tuple[LeaseSpend, ...], msgspec.Meta(max_length=LEASES_MAX)]
    key_set_issued_at_ms: Moment | None = None
    node_time_ms: Moment | None = None
    log: LogBatch | None = None


class LogProblem(msgspec.Struct, frozen=True):
    """Why the entries were not accepted; nothing of them was posted."""

    code: Label
    message: Annotated[str, msgspec.Meta(max_length=512)]


class LogAnswer(msgspec.Struct, frozen=True):
    """How far the registry has this node's log.

    size         entries accepted so far: the next batch begins here
    cosignature  signature line over the checkpoint sent, when all of it was accepted
    """

    epoch: Moment
    size: Moment
    cosignature: str | None = None
    problem: LogProblem | None = None


class SyncAnswer(msgspec.Struct, frozen=True):
    """What the node should hear.

    desired, key_set  signed documents, only when newer than what the node holds
    leases            all live leases of this node: one that is left out is recalled
    received_at_ms    when the call came in; `now_ms` is when the answer was made
    balances          how the money stands of those that the node works for; empty from a registry
                      that does not say it
    """

    now_ms: Moment
    log: LogAnswer
    leases: Annotated[tuple[Lease, ...], msgspec.Meta(max_length=LEASES_MAX)]
    trust_keys: Annotated[tuple[TrustKey, ...], msgspec.Meta(min_length=1, max_length=4)]
    next_interval_ms: Annotated[int, msgspec.Meta(ge=100, le=3_600_000)]
    desired: Envelope | None = None
    key_set: Envelope | None = None
    received_at_ms: Moment | None = None
    balances: Annotated[tuple[TenantBalance, ...], msgspec.Meta(max_length=BALANCES_MAX)] = ()


class LogPull(msgspec.Struct, frozen=True):
    """A node whose database is older than its log asks for its entries [begin, begin + count)."""

    epoch: Moment
    begin: Moment
    count: Annotated[int, msgspec.Meta(ge=1, le=ENTRIES_MAX)]


class LogPulled(msgspec.Struct, frozen=True):
    """Those entries, as far as they were accepted, and the cosigned checkpoint over all of them."""

    epoch: Moment
    size: Moment
    begin: Moment
    entries: Annotated[
        tuple[Annotated[str, msgspec.Meta(max_length=ENTRY_BYTES_MAX)], ...],
        msgspec.Meta(max_length=ENTRIES_MAX),
    ]
    checkpoint: Annotated[str, msgspec.Meta(max_length=NOTE_BYTES_MAX)]
