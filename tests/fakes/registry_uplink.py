"""A registry in memory: takes a node's log as the real one does, and fails when told to."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.sync.exchange import RefusedByRegistry, RegistrySilent
from protocol import desired, key_set
from protocol.checkpoint import read_signed_checkpoint
from protocol.desired import DesiredState
from protocol.enrolment import EnrolAnswer, EnrolRequest, TrustKey
from protocol.key_set import KeySet
from protocol.lease import Lease
from protocol.merkle import EMPTY_FRONTIER, Frontier
from protocol.packing import unpacked_entries
from protocol.signing import Envelope, key_id, seal
from protocol.sync import (
    LogAnswer,
    LogBatch,
    LogProblem,
    LogPull,
    LogPulled,
    SyncAnswer,
    SyncRequest,
)
from tests.fakes.agent_store import (
    DOMAIN,
    NODE_ID,
    NODE_PUBLIC,
    ORIGIN,
    REGISTRY_KEY,
    REGISTRY_PUBLIC,
    cosign,
)

TRUST = TrustKey(key_id=key_id(REGISTRY_PUBLIC), public_key=REGISTRY_PUBLIC.hex())


@dataclass
class FakeRegistry:
    """Speaks `agent.sync.client.Registry`.

    down       raise RegistrySilent before anything is done
    deaf       do everything, then lose the answer
    refusal    say no
    entries    of the log, as accepted
    batches    how many entries each accepted batch added
    """

    now_ms: int = 1_795_172_400_000
    down: bool = False
    deaf: bool = False
    refusal: RefusedByRegistry | None = None
    problem: LogProblem | None = None
    desired: DesiredState | None = None
    key_set: KeySet | None = None
    leases: tuple[Lease, ...] = ()
    trust_keys: tuple[TrustKey, ...] = (TRUST,)
    interval_ms: int = 15_000
    entries: list[str] = field(default_factory=list)
    frontier: Frontier = EMPTY_FRONTIER
    cosignature: str | None = None
    batches: list[int] = field(default_factory=list)
    requests: list[SyncRequest] = field(default_factory=list)
    checkpoint: str = ""
    pulls: list[LogPull] = field(default_factory=list)
    pulled_at_once: int = 4_096

    async def sync(
        self, request: SyncRequest, *, trusted: Mapping[str, bytes], now_ms: int
    ) -> tuple[SyncAnswer, str]:
        if self.down:
            raise RegistrySilent("no route")
        if self.refusal is not None:
            refusal, self.refusal = self.refusal, None
            raise refusal
        self.requests.append(request)
        log = self._ingested(request.log)
        if self.deaf:
            raise RegistrySilent("the answer got lost")
        answer = SyncAnswer(
            now_ms=self.now_ms,
            log=log,
            leases=self.leases,
            trust_keys=self.trust_keys,
            next_interval_ms=self.interval_ms,
            desired=self._desired(request),
            key_set=self._key_set(request),
        )
        return answer, TRUST.key_id

    async def pull(self, asked: LogPull, *, trusted: Mapping[str, bytes], now_ms: int) -> LogPulled:
        if self.down:
            raise RegistrySilent("no route")
        self.pulls.append(asked)
        end = min(asked.begin + min(asked.count, self.pulled_at_once), len(self.entries))
        return LogPulled(
            epoch=asked.epoch,
            size=len(self.entries),
            begin=asked.begin,
            entries=tuple(self.entries[asked.begin : end]),
            checkpoint=self.checkpoint + (self.cosignature or ""),
        )

    async def enrol(self, request: EnrolRequest, *, now_ms: int) -> EnrolAnswer:
        if self.down:
            raise RegistrySilent("no route")
        return EnrolAnswer(
            node_id=NODE_ID,
            node_name="gpu-1",
            site_name="Basel",
            registry_domain=DOMAIN,
            log_epoch=0,
            trust_keys=self.trust_keys,
        )

    def forget_after(self, size: int) -> None:
        """Be restored from a backup."""
        self.entries = self.entries[:size]
        self.frontier = EMPTY_FRONTIER.extended(entry.encode() for entry in self.entries)
        self.cosignature = None

    def _ingested(self, batch: LogBatch | None) -> LogAnswer:
        size = len(self.entries)
        if batch is None or batch.begin > size:
            return LogAnswer(epoch=0, size=size, cosignature=self.cosignature, problem=self.problem)
        if self.problem is not None:
            return LogAnswer(epoch=0, size=size, problem=self.problem)
        checkpoint = read_signed_checkpoint(batch.checkpoint, origin=ORIGIN, public_key=NODE_PUBLIC)
        known = self.entries[batch.begin :]
        sent = [entry.decode("ascii") for entry in unpacked_entries(batch.entries).entries]
        assert sent[: len(known)] == known, "a fork"
        added = sent[len(known) :]
        frontier = self.frontier.extended(entry.encode() for entry in added)
        assert frontier.root() == checkpoint.root
        self.entries.extend(added)
        self.frontier = frontier
        self.batches.append(len(added))
        self.checkpoint = batch.checkpoint
        self.cosignature = cosign(checkpoint)
        return LogAnswer(epoch=0, size=len(self.entries), cosignature=self.cosignature)

    def _desired(self, request: SyncRequest) -> Envelope | None:
        if self.desired is None or self.desired.generation == request.desired_generation:
            return None
        return seal(self.desired, purpose=desired.PURPOSE, key=REGISTRY_KEY)

    def _key_set(self, request: SyncRequest) -> Envelope | None:
        if self.key_set is None or self.key_set.version == request.key_set_version:
            return None
        return seal(self.key_set, purpose=key_set.PURPOSE, key=REGISTRY_KEY)


def refusal_at(registry_ms: int | None, code: str = "signature_stale") -> RefusedByRegistry:
    """A refusal, signed if it tells the time."""
    return RefusedByRegistry(code=code, status=401, message="No.", hint="", registry_ms=registry_ms)


def other_trust(seed: int) -> TrustKey:
    """Another key that a registry may state."""
    public = bytes([seed]) * 32
    return TrustKey(key_id=key_id(public), public_key=public.hex())
