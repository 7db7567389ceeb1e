"""A sync as one unit of work: take in what the node says, answer what it should hear."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from protocol.enrolment import TrustKey
from protocol.health import Finding
from protocol.http_signature import AGE_MS_MAX, read_signed_request
from protocol.key_set import ApiKeyFact
from protocol.lease import Lease
from protocol.refusal import LogRefused, Refusal, SignatureRefused
from protocol.signing import Envelope, SigningKey
from protocol.sync import LogAnswer, LogProblem, LogPull, LogPulled, SyncAnswer, SyncRequest
from registry.access.queries import get_key_set_version, list_honoured_keys, list_key_owners
from registry.allocations.operations import list_desired, observe
from registry.allocations.queries import hourly_by_tenant, list_owners_on
from registry.balances.operations import told_to_node
from registry.catalogue.queries import list_prices
from registry.gateway.operations import record_models
from registry.incidents.operations import (
    close_finding,
    open_finding,
    record_findings,
    settle_findings,
)
from registry.leases.operations import give_back_unheard, grant_for_node, surroundings
from registry.leases.terms import TERMS, TermsByTrust
from registry.nodes.contact import FINDING_CODES
from registry.nodes.operations import (
    CALL_STEP_MS,
    change_key,
    note_contact,
    note_entries,
    spend_nonce,
    why_too_fast,
)
from registry.nodes.queries import Node, find_node_by_key, get_node, list_uuids
from registry.store.database import Db
from registry.sync.answer import (
    KEY_SET_LIFE_MS,
    desired_due,
    key_set_due,
    next_interval_ms,
    sealed_desired,
    sealed_key_set,
)
from registry.usage.log_state import LogIdentity, OwnerFact
from registry.usage.operations import ingest, standing_answer
from registry.usage.queries import find_latest_log, find_log, key_of_log, list_entries

LOG_REFUSED = "log_refused"


@dataclass(frozen=True, slots=True)
class SyncPolicy:
    """What the registry was set up with.

    site_share_basis_points  what a site earns of what is charged for its work
    base_url                 where mails lead
    quick_ms                 a fixed interval between calls, for a demo; None for the usual ones
    terms                    what each trust gives
    """

    domain: str
    key: SigningKey
    trust_keys: tuple[TrustKey, ...]
    site_share_basis_points: int
    base_url: str
    quick_ms: int | None = None
    terms: TermsByTrust = field(default_factory=lambda: TERMS)


@dataclass(frozen=True, slots=True)
class SignedCall:
    """A request as it came, before anybody believes it."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Caller:
    """The node that signed a call, and the nonce it spent on it."""

    node_id: str
    nonce: str


def caller_of(
    db: Db, call: SignedCall, *, now_ms: int, step_ms: int = CALL_STEP_MS
) -> Caller | Refusal:
    """Return which node signed the call, or why that is not believed, or that it calls too often.

    The nonce is spent by asking.  A refusal is noted at the node whose key was named, if any was.
    """
    known: list[Node] = []

    def public_key_of(key_id: str) -> bytes | None:
        node = find_node_by_key(db, key_id)
        if node is None or node.revoked:
            return None
        known.append(node)
        return node.public_key

    try:
        signed_by = read_signed_request(
            method=call.method,
            url=call.url,
            headers=call.headers,
            body=call.body,
            public_key_of=public_key_of,
            now_ms=now_ms,
        )
        expires_at_ms = signed_by.created_at_ms + 2 * AGE_MS_MAX
        if not spend_nonce(db, signed_by.key_id, signed_by.nonce, expires_at_ms=expires_at_ms):
            raise SignatureRefused(
                "signature_replayed", "This very call was made before; it was not done again."
            )
    except SignatureRefused as refused:
        _note_refused(db, known[0] if known else None, refused, now_ms=now_ms)
        return refused
    too_fast = why_too_fast(db, known[0].node_id, step_ms=step_ms, now_ms=now_ms)
    return too_fast or Caller(node_id=known[0].node_id, nonce=signed_by.nonce)


def sync(
    db: Db,
    node_id: str,
    request: SyncRequest,
    *,
    policy: SyncPolicy,
    now_ms: int,
    received_at_ms: int | None = None,
) -> SyncAnswer:
    """Take in one call of an enrolled node and return the answer to it.

    received_at_ms  when it came in, where that was not now: the node's clock is judged by it

    What the node logged is taken in as a step of its own: if it is refused, the rest still holds.
    """
    wrong = note_contact(db, node_id, request, now_ms=now_ms)
    settle_findings(db, node_id, wrong, codes=FINDING_CODES, now_ms=now_ms)
    record_findings(db, node_id, request.findings, now_ms=now_ms)
    observe(db, node_id, request.allocations, now_ms=now_ms)
    record_models(db, node_id, request.models, now_ms=now_ms)
    skew_ms = 0
    if request.node_time_ms is not None:
        skew_ms = request.node_time_ms - (now_ms if received_at_ms is None else received_at_ms)
    before = find_latest_log(db, node_id)
    log = _log(db, get_node(db, node_id), request, policy=policy, now_ms=now_ms, skew_ms=skew_ms)
    is_same = before is not None and before.epoch == log.epoch
    note_entries(db, node_id, log.size - (before.size if before and is_same else 0))
    node = get_node(db, node_id)
    only = None if node.is_open else node.tenant_id
    keys = list_honoured_keys(db, tenant_id=only, now_ms=now_ms)
    # Before leases: what money that came in begins again needs one.
    hourly = hourly_by_tenant(db, node_id)
    balances = told_to_node(db, node_id, hourly, base_url=policy.base_url, now_ms=now_ms)
    leases = _leases(db, node, request, keys, policy=policy, now_ms=now_ms)
    node = get_node(db, node_id)
    desired = _desired(db, node, request, policy=policy)
    return SyncAnswer(
        now_ms=now_ms,
        log=log,
        leases=tuple(leases),
        trust_keys=policy.trust_keys,
        next_interval_ms=next_interval_ms(
            (seen.phase for seen in request.allocations),
            settled=desired is None and not any(one.state == "depleted" for one in balances),
            quick_ms=policy.quick_ms,
        ),
        desired=desired,
        key_set=_key_set(db, node, request, keys, policy=policy, now_ms=now_ms),
        balances=balances,
    )


def pulled(db: Db, node_id: str, asked: LogPull) -> LogPulled:
    """Return accepted entries of a node's log to the node, which has lost them."""
    log = find_log(db, node_id, asked.epoch)
    if log is None or log.state == "frozen" or asked.begin >= log.size:
        raise LogRefused("log_epoch", "There are no such entries to give back.")
    entries = list_entries(db, log, asked.begin, min(asked.begin + asked.count, log.size))
    return LogPulled(
        epoch=log.epoch,
        size=log.size,
        begin=asked.begin,
        entries=tuple(entry.decode("ascii") for entry in entries),
        checkpoint=log.checkpoint + log.cosignature,
    )


def list_owners(db: Db, node_id: str, ids: Sequence[str]) -> Mapping[str, OwnerFact]:
    """Return who pays for streams: allocations of this node, and API keys, by id.

    A key pays no longer than a node that heard nothing of its end may honour it, and nothing at a
    node that never was on the market and is another organization's.
    """
    node = get_node(db, node_id)
    reported = list_uuids(db, node_id)
    allocations = {
        one.allocation_id: OwnerFact(
            tenant_id=one.tenant_id,
            project_id=one.project_id,
            sku=one.sku_id,
            accelerator_count=one.accelerator_count,
            since_ms=one.created_at_ms,
            released_at_ms=one.release_at_ms,
            reported=reported,
        )
        for one in list_owners_on(db, node_id, ids)
    }
    keys = {
        key_id: OwnerFact(
            tenant_id=tenant_id,
            project_id=project_id,
            released_at_ms=None if ends_at_ms is None else ends_at_ms + KEY_SET_LIFE_MS,
        )
        for key_id, tenant_id, project_id, ends_at_ms in list_key_owners(db, ids)
        if node.market_since_ms is not None or tenant_id == node.tenant_id
    }
    return allocations | keys


def _note_refused(db: Db, node: Node | None, refused: SignatureRefused, *, now_ms: int) -> None:
    if node is None:
        # A stranger's call is a line of the log and no more: rows would let anybody fill the disk.
        return
    finding = Finding(
        code=refused.code,
        severity="warning",
        subject="",
        since_ms=now_ms,
        detail=f"A call in this node's name was refused: {refused.message}"[:512],
        remedy=(
            "If the node's clock is right and this goes on, somebody else may hold its key or "
            "repeat its calls: revoke the key and enrol the node anew."
        ),
    )
    open_finding(db, node.node_id, finding, now_ms=now_ms)


def _log(
    db: Db,
    node: Node,
    request: SyncRequest,
    *,
    policy: SyncPolicy,
    now_ms: int,
    skew_ms: int,
) -> LogAnswer:
    assert node.public_key is not None
    identity = LogIdentity(
        node_id=node.node_id,
        epoch=node.log_epoch,
        public_key=node.public_key,
        site_id=node.site_id,
        site_share_basis_points=policy.site_share_basis_points,
    )
    if request.log is None:
        answer = standing_answer(db, identity, domain=policy.domain)
    else:
        answer = ingest(
            db,
            identity,
            request.log,
            surroundings=surroundings(list_owners=list_owners, list_prices=list_prices),
            now_ms=now_ms,
            registry_key=policy.key,
            domain=policy.domain,
            skew_ms=skew_ms,
        )
    signs_now = key_of_log(db, node.node_id, node.log_epoch)
    if signs_now != node.public_key:
        change_key(db, node, signs_now, now_ms=now_ms)
    if answer.problem is None:
        close_finding(db, node.node_id, code=LOG_REFUSED, now_ms=now_ms)
    else:
        finding = _log_finding(answer.problem, now_ms)
        open_finding(db, node.node_id, finding, now_ms=now_ms)
    return answer


def _log_finding(problem: LogProblem, now_ms: int) -> Finding:
    return Finding(
        code=LOG_REFUSED,
        severity="critical",
        subject="",
        since_ms=now_ms,
        detail=f"{problem.code}: {problem.message}"[:512],
        remedy=(
            "Nothing of the refused entries was posted. Run `outstation-agent verify-log` on the "
            "node; if its disk was restored or changed, enrol it anew with a fresh secret."
        ),
    )


def _leases(
    db: Db,
    node: Node,
    request: SyncRequest,
    keys: Sequence[ApiKeyFact],
    *,
    policy: SyncPolicy,
    now_ms: int,
) -> list[Lease]:
    if node.fenced_at_ms is not None:
        return []
    serves = any(model.ready for model in request.models)
    serving = {key.tenant_id for key in keys} if serves else set()
    hourly = hourly_by_tenant(db, node.node_id)
    burn = {tenant_id: micros for tenant_id, micros in hourly.items() if node.serves(tenant_id)}
    leases = grant_for_node(
        db, node.node_id, burn=burn, serving=serving, now_ms=now_ms, terms=policy.terms
    )
    give_back_unheard(
        db,
        node.node_id,
        mentioned={spend.lease_id for spend in request.leases},
        stated={lease.lease_id for lease in leases},
        now_ms=now_ms,
    )
    return leases


def _desired(db: Db, node: Node, request: SyncRequest, *, policy: SyncPolicy) -> Envelope | None:
    if not desired_due(request.desired_generation, node.generation):
        return None
    return sealed_desired(
        node.node_id,
        generation=node.generation,
        allocations=list_desired(db, node.node_id),
        prices=list_prices(db),
        key=policy.key,
    )


def _key_set(
    db: Db,
    node: Node,
    request: SyncRequest,
    keys: Sequence[ApiKeyFact],
    *,
    policy: SyncPolicy,
    now_ms: int,
) -> Envelope | None:
    version = get_key_set_version(db)
    due = key_set_due(
        held_version=request.key_set_version,
        version=version,
        sealed_at_ms=request.key_set_issued_at_ms,
        now_ms=now_ms,
    )
    if not due:
        return None
    return sealed_key_set(node.node_id, version=version, keys=keys, now_ms=now_ms, key=policy.key)
