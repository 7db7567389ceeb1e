"""What a node says at a sync, and what the answer changes: a pure step from one to the other.

A silent, late, repeated or hostile answer never harms: generations and versions only grow,
documents count only under a trusted signature and for this node, and an answer that would take most
of the node's work away must come twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from protocol import PROTOCOL_VERSION, desired, key_set
from protocol.desired import DesiredState
from protocol.enrolment import EnrolAnswer, EnrolRequest, TrustKey, registry_key_id
from protocol.health import Finding
from protocol.key_set import KeySet
from protocol.lease import LeaseSpend
from protocol.observed import AcceleratorFact, HostFacts, ObservedAllocation, ServedModel
from protocol.refusal import Fault, Refusal, SignatureRefused
from protocol.signing import Envelope, key_id, unseal
from protocol.sync import FINDINGS_MAX, LogBatch, SyncAnswer, SyncRequest

BRAKE_ALLOCATIONS_MIN = 3
BACKOFF_FIRST_MS = 500
BACKOFF_MS_MAX = 30_000
JITTER_PERCENT = 25


class RegistrySilent(Fault):
    """No answer that could be believed came; the node goes on with what it has."""

    def __init__(self, message: str, *, retry_after_ms: int = 0) -> None:
        super().__init__(message)
        self.retry_after_ms = retry_after_ms


class NotEnrolled(Refusal):
    """This machine is no node yet."""

    def __init__(self) -> None:
        super().__init__(
            code="not_enrolled",
            status=401,
            message="This machine is not enrolled.",
            hint="Get a secret from the page of the node, then run "
            "`outstation-agent enrol --secret-file FILE`.",
        )


class RefusedByRegistry(Refusal):
    """The registry understood and said no.

    registry_ms     the registry's clock, if the refusal carries its signature; else None
    retry_after_ms  when it wants to be asked again
    """

    def __init__(
        self,
        *,
        code: str,
        status: int,
        message: str,
        hint: str,
        registry_ms: int | None,
        retry_after_ms: int = 0,
    ) -> None:
        super().__init__(code=code, status=status, message=message, hint=hint)
        self.registry_ms = registry_ms
        self.retry_after_ms = retry_after_ms


@dataclass(frozen=True, slots=True)
class Observed:
    """What the other rooms see of the node at one moment."""

    gateway_url: str
    host: HostFacts
    accelerators: tuple[AcceleratorFact, ...]
    allocations: tuple[ObservedAllocation, ...]
    models: tuple[ServedModel, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """What the node goes by, from its disk.

    trusted               public keys of the registry by key id
    held_back_generation  of a desired state that must come once more before it counts
    """

    node_id: str
    boot_id: str
    trusted: Mapping[str, bytes]
    desired: DesiredState | None
    key_set: KeySet | None
    held_back_generation: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """What an answer changes; None where it changes nothing.

    trust_keys  the whole set from now on
    refused     what in the answer does not count, and why, a sentence each
    """

    desired: tuple[DesiredState, Envelope] | None
    key_set: tuple[KeySet, Envelope] | None
    held_back_generation: int | None
    trust_keys: tuple[TrustKey, ...]
    refused: tuple[str, ...]


def sync_request(
    held: Held,
    observed: Observed,
    *,
    sequence: int,
    sent_at_ms: int,
    node_time_ms: int,
    leases: Sequence[LeaseSpend],
    log: LogBatch | None,
    agent_version: str,
) -> SyncRequest:
    """Return what the node says."""
    return SyncRequest(
        agent_version=agent_version,
        protocol=PROTOCOL_VERSION,
        boot_id=held.boot_id,
        sequence=sequence,
        sent_at_ms=sent_at_ms,
        node_time_ms=node_time_ms,
        gateway_url=observed.gateway_url,
        desired_generation=held.desired.generation if held.desired else 0,
        key_set_version=held.key_set.version if held.key_set else 0,
        key_set_issued_at_ms=held.key_set.issued_at_ms if held.key_set else None,
        host=observed.host,
        accelerators=observed.accelerators,
        allocations=observed.allocations,
        models=observed.models,
        findings=observed.findings[:FINDINGS_MAX],
        leases=tuple(leases),
        log=log,
    )


def change(held: Held, answer: SyncAnswer, *, signed_by: str) -> Change:
    """Return what the answer changes.

    signed_by  key id under which the answer itself was verified
    """
    trust_keys = _trust_after(held, answer, signed_by)
    trusted = {trust.key_id: bytes.fromhex(trust.public_key) for trust in trust_keys}
    refused: list[str] = []
    wanted = _desired(held, answer, trusted, refused)
    keys = _key_set(held, answer, trusted, refused)
    held_back = None
    if wanted is not None and needs_confirmation(held, wanted[0]):
        held_back = wanted[0].generation
        refused.append(
            f"Generation {held_back} would end most of the work here: it must come once more."
        )
        wanted = None
    return Change(
        desired=wanted,
        key_set=keys,
        held_back_generation=held_back,
        trust_keys=trust_keys,
        refused=tuple(refused),
    )


def needs_confirmation(held: Held, wanted: DesiredState) -> bool:
    """Whether `wanted` ends more than half of the present allocations, 3 or more, unconfirmed."""
    if held.desired is None:
        return False
    if held.held_back_generation is not None and wanted.generation >= held.held_back_generation:
        return False
    present = {one.allocation_id for one in held.desired.allocations if one.phase != "absent"}
    ended = {one.allocation_id for one in wanted.allocations if one.phase == "absent"} & present
    return len(ended) >= BRAKE_ALLOCATIONS_MIN and 2 * len(ended) > len(present)


def checked_enrolment(request: EnrolRequest, answer: EnrolAnswer) -> bytes:
    """Return the public key that must have signed `answer`: the one that the secret pins.

    Refuses an answer that does not hold it.  Nothing of the answer counts before its signature by
    this key was checked.
    """
    pinned = pinned_key_id(request.secret)
    for trust in answer.trust_keys:
        public_key = bytes.fromhex(trust.public_key)
        if trust.key_id == pinned and key_id(public_key) == pinned:
            return public_key
    raise SignatureRefused(
        "registry_unknown",
        "The registry that answered is not the one that issued this enrolment secret.",
        hint="Check registry_url in agent.toml; the secret works only with its own registry.",
    )


def pinned_key_id(secret: str) -> str:
    """Return the key id of the registry that issued the secret; refuse what is no secret."""
    pinned = registry_key_id(secret)
    if pinned is None:
        raise Refusal(
            code="secret_malformed",
            status=400,
            message="This is not an enrolment secret: it must look like nk_…_….",
            hint="Copy it again from the page of the node, whole and without spaces.",
            field="secret",
        )
    return pinned


def backoff_ms(failures_in_row: int, *, chance: int, retry_after_ms: int) -> int:
    """Return how long to wait after so many failures: full jitter, doubled each time up to 30 s.

    chance          0 to 999,999, each as likely as the other
    retry_after_ms  what the registry asked for, at least
    """
    assert failures_in_row >= 1
    ceiling_ms = min(BACKOFF_MS_MAX, BACKOFF_FIRST_MS << min(failures_in_row - 1, 16))
    return max(retry_after_ms, ceiling_ms * (chance + 1) // 1_000_000)


def interval_ms(period_ms: int, *, chance: int) -> int:
    """Return the time to the next call: a quarter more or less, so that nodes spread out."""
    spread_ms = period_ms * JITTER_PERCENT // 100
    return period_ms - spread_ms + 2 * spread_ms * chance // 1_000_000


def _trust_after(held: Held, answer: SyncAnswer, signed_by: str) -> tuple[TrustKey, ...]:
    """Return the keys trusted from now on: those stated, and in any case the one that stated them.

    A key whose id is not its own hash is left out, so that none hides behind another's id.
    """
    stated = {
        trust.key_id: trust
        for trust in answer.trust_keys
        if key_id(bytes.fromhex(trust.public_key)) == trust.key_id
    }
    signer = TrustKey(key_id=signed_by, public_key=held.trusted[signed_by].hex())
    stated.setdefault(signed_by, signer)
    return tuple(stated[name] for name in sorted(stated))


def _desired(
    held: Held, answer: SyncAnswer, trusted: Mapping[str, bytes], refused: list[str]
) -> tuple[DesiredState, Envelope] | None:
    if answer.desired is None:
        return None
    try:
        state = unseal(answer.desired, DesiredState, purpose=desired.PURPOSE, trusted=trusted)
    except Refusal as refusal:
        refused.append(f"The desired state: {refusal.message}")
        return None
    if state.node_id != held.node_id:
        refused.append("The desired state is another node's.")
        return None
    before = held.desired.generation if held.desired else -1
    if state.generation < before:
        refused.append(f"Generation {state.generation} is older than the one held, {before}.")
    return (state, answer.desired) if state.generation > before else None


def _key_set(
    held: Held, answer: SyncAnswer, trusted: Mapping[str, bytes], refused: list[str]
) -> tuple[KeySet, Envelope] | None:
    if answer.key_set is None:
        return None
    try:
        keys = unseal(answer.key_set, KeySet, purpose=key_set.PURPOSE, trusted=trusted)
    except Refusal as refusal:
        refused.append(f"The key set: {refusal.message}")
        return None
    if keys.node_id != held.node_id:
        refused.append("The key set is another node's.")
        return None
    before = held.key_set
    if before is not None and keys.version < before.version:
        refused.append(f"Key set {keys.version} is older than the one held, {before.version}.")
        return None
    newer = before is None or (keys.version, keys.issued_at_ms) > (
        before.version,
        before.issued_at_ms,
    )
    return (keys, answer.key_set) if newer else None
