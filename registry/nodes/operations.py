"""Adding nodes, enrolling them, noting what they say of themselves."""

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

from protocol.checkpoint import log_origin
from protocol.clock import DAY_MS
from protocol.enrolment import EnrolAnswer, EnrolRequest, LostLog, TrustKey, shown_secret
from protocol.health import Finding
from protocol.ids import NewId
from protocol.key_set import secret_hash
from protocol.merkle import EMPTY_FRONTIER
from protocol.refusal import Refusal
from protocol.signing import key_id as key_id_of
from protocol.signing import read_public_key
from protocol.sync import SyncRequest
from protocol.wire import encode
from registry.audit.operations import record
from registry.nodes import queries
from registry.nodes.contact import (
    boots_after,
    clock_findings,
    clone_findings,
    is_cloned,
    registered,
    skew_ms,
)
from registry.nodes.enrolment import (
    SECRET_BYTES,
    SECRET_LIFE_MS,
    EnrolmentSecret,
    NodeFacts,
    check_request,
    new_secret,
    read_node_name,
    taken_elsewhere,
    why_not_usable,
)
from registry.nodes.queries import Node
from registry.sites.queries import get_site
from registry.store.database import Db
from registry.tenants.roles import Actor, require

GONE_KEPT_MS = DAY_MS
"""So long a GPU stays registered with a node that names it no more: its last usage may come yet."""

GONE_KEPT_MAX = 64
CALL_STEP_MS = 1_000
"""A node may call once a second for good,"""

CALL_AHEAD_MS_MAX = 120_000
"""and so much faster for a while: two minutes' worth of calls at once."""

PULL_STEP_MS = 50
"""What asking for entries of its own log uses up: a node that was restored asks for all of them."""

BATCH_ENTRIES_FREE = 1_024
"""A call that brought so many entries costs nothing of that: a node that catches up is welcome."""


@dataclass(frozen=True, slots=True)
class Registry:
    """What this registry tells a node of itself.

    key_id  of the key that secrets pin
    demo    whether simulated GPUs may enrol
    """

    domain: str
    key_id: str
    trust_keys: tuple[TrustKey, ...]
    demo: bool


def add_node(
    db: Db, facts: NodeFacts, *, site_id: str, actor: Actor, now_ms: int, new_id: NewId
) -> str:
    """Add a node to a site; return its id."""
    site = get_site(db, site_id)
    require(actor, "node.create", tenant_id=site.tenant_id)
    read_node_name(facts.name)
    node_id = new_id("node")
    added = queries.insert_node(
        db, node_id, facts, site_id=site_id, created_by=actor.subject, now_ms=now_ms
    )
    if not added:
        raise Refusal(
            code="name_taken",
            status=409,
            message=f"{site.name} has a node of this name.",
            hint="Choose another name, or make a new key on that node's page.",
            field="name",
        )
    record(
        db,
        actor=actor,
        action="node.created",
        object_id=node_id,
        tenant_id=site.tenant_id,
        detail={"name": facts.name, "site": site_id},
        now_ms=now_ms,
    )
    return node_id


def issue_secret(
    db: Db,
    node_id: str,
    *,
    registry_key_id: str,
    actor: Actor,
    now_ms: int,
    new_id: NewId,
    entropy: Callable[[int], bytes],
) -> tuple[str, str]:
    """Make an enrolment secret; return its id and itself.  One that waited before is revoked."""
    node = queries.get_node(db, node_id)
    require(actor, "node.operate", tenant_id=node.tenant_id)
    if node.revoked:
        raise Refusal(
            code="node_retired",
            status=409,
            message="This node was retired.",
            hint="Add the machine as a new node.",
        )
    queries.revoke_unspent_secrets(db, node_id, now_ms=now_ms)
    secret = new_secret(entropy(SECRET_BYTES), key_id=registry_key_id)
    kept = EnrolmentSecret(
        secret_id=new_id("secret"),
        node_id=node_id,
        prefix=shown_secret(secret),
        created_by=actor.subject,
        created_at_ms=now_ms,
        expires_at_ms=now_ms + SECRET_LIFE_MS,
        revoked_at_ms=None,
        spent_at_ms=None,
        spent_by_key=None,
        spent_from=None,
    )
    queries.insert_secret(db, kept, secret_hash=secret_hash(secret))
    record(
        db,
        actor=actor,
        action="node_key.created",
        object_id=kept.secret_id,
        tenant_id=node.tenant_id,
        detail={"node": node_id, "prefix": kept.prefix},
        now_ms=now_ms,
    )
    return kept.secret_id, secret


def revoke_secret(db: Db, secret_id: str, *, actor: Actor, now_ms: int) -> None:
    """Revoke a node key for good; if it was used, the node's own key loses its trust as well."""
    secret = queries.find_secret(db, secret_id=secret_id)
    if secret is None:
        raise Refusal(
            code="not_found",
            status=404,
            message="This node key does not exist, or is not yours to see.",
            hint="Look at the list of node keys.",
        )
    node = queries.get_node(db, secret.node_id)
    require(actor, "node.operate", tenant_id=node.tenant_id)
    if not queries.move_secret_to_revoked(db, secret_id, now_ms=now_ms):
        return
    if secret.spent_by_key is not None and secret.spent_by_key == node.key_id:
        queries.note_facts(db, node.node_id, {"public_key": None, "key_id": None})
    record(
        db,
        actor=actor,
        action="node_key.revoked",
        object_id=secret_id,
        tenant_id=node.tenant_id,
        detail={"node": node.node_id, "prefix": secret.prefix},
        now_ms=now_ms,
    )


def enrol(
    db: Db, request: EnrolRequest, *, registry: Registry, source: str, request_id: str, now_ms: int
) -> EnrolAnswer | Refusal:
    """Spend a secret for trust in the node's key; the same key again gets the same answer.

    A refusal is returned, not raised: its audit event must be kept.
    """
    public_key = bytes.fromhex(request.public_key)
    read_public_key(public_key)
    check_request(request, key_id=registry.key_id, demo=registry.demo)
    key_id = key_id_of(public_key)
    secret = queries.find_secret(db, secret_hash=secret_hash(request.secret))
    refusal = why_not_usable(secret, key_id=key_id, now_ms=now_ms)
    if secret is None:
        assert refusal is not None
        return refusal
    node = queries.get_node(db, secret.node_id)
    refusal = refusal or _why_not_trusted(db, node, request, key_id)
    result = "done"
    if refusal is not None:
        result = refusal.code
    elif secret.spent_at_ms is None or node.key_id != key_id:
        refusal = _give_trust(db, node, secret, request, key_id, source=source, now_ms=now_ms)
        result = "done" if refusal is None else refusal.code
    record(
        db,
        actor=node.node_id,
        action="node.enrolled",
        object_id=node.node_id,
        tenant_id=node.tenant_id,
        detail={"key": key_id, "prefix": secret.prefix},
        result=result,
        now_ms=now_ms,
        request_id=request_id,
        source=source,
    )
    return refusal or _answer(db, queries.get_node(db, node.node_id), registry)


def spend_nonce(db: Db, signer: str, nonce: str, *, expires_at_ms: int) -> bool:
    """Note the nonce of a signed call as spent; False if it was spent before.

    signer         the key id that signed
    expires_at_ms  when the signature is too old to be read anyway
    """
    return queries.insert_nonce(db, signer=signer, nonce=nonce, expires_at_ms=expires_at_ms)


def why_too_fast(
    db: Db, node_id: str, *, now_ms: int, step_ms: int = CALL_STEP_MS
) -> Refusal | None:
    """Return the refusal of a node that calls too often for too long, or None, its call counted."""
    if queries.take_pace(
        db, node_id, step_ms=step_ms, ahead_ms_max=CALL_AHEAD_MS_MAX, now_ms=now_ms
    ):
        return None
    return Refusal(
        code="too_many_calls",
        status=429,
        message="This node calls the registry too often.",
        hint="Wait as long as Retry-After says; a node calls every 15 s, or at once on a change.",
        retry_after_s=1,
    )


def note_entries(db: Db, node_id: str, count: int) -> None:
    """Count a call as free that brought a good part of a backlog."""
    if count >= BATCH_ENTRIES_FREE:
        queries.give_pace(db, node_id, step_ms=CALL_STEP_MS)


def note_contact(db: Db, node_id: str, request: SyncRequest, *, now_ms: int) -> tuple[Finding, ...]:
    """Keep what the node says of itself; return what the registry finds wrong with it.

    Simulated GPUs are taken from a node that enrolled with some: it was let in as what it is.
    """
    node = queries.get_node(db, node_id)
    owners = queries.find_owners(db, (fact.uuid for fact in request.accelerators))
    judged = registered(
        request.accelerators, owners, node_id=node_id, demo=node.simulated, now_ms=now_ms
    )
    queries.keep_accelerators(db, node_id, judged.accelerators, now_ms=now_ms)
    queries.forget_accelerators(db, node_id, keep=GONE_KEPT_MAX, before_ms=now_ms - GONE_KEPT_MS)
    skew = skew_ms(request, now_ms=now_ms)
    boots = boots_after(node, request)
    fenced_at_ms = node.fenced_at_ms
    if fenced_at_ms is None and is_cloned(node, request):
        fenced_at_ms = now_ms
    clones = clone_findings(node, request, fenced_at_ms=fenced_at_ms, now_ms=now_ms)
    values = {
        "agent_version": request.agent_version,
        "boot_id": boots.present,
        "sequence": boots.sequence,
        "earlier_boots": json.dumps(boots.earlier),
        "fenced_at_ms": fenced_at_ms,
        "gateway_url": request.gateway_url,
        "held_generation": request.desired_generation,
        "held_at_ms": now_ms,
        "held_key_set": request.key_set_version,
        "last_contact_at_ms": now_ms,
        "skew_ms": skew,
        "host": encode(request.host).decode(),
    }
    queries.note_facts(db, node_id, values)
    return judged.findings + clock_findings(skew, now_ms=now_ms) + clones


def change_key(db: Db, node: Node, public_key: bytes, *, now_ms: int) -> None:
    """Trust another key of a node, by the word of its log; the one before counts for nothing."""
    key_id = key_id_of(public_key)
    other = queries.find_node_by_key(db, key_id)
    if other is not None and other.node_id != node.node_id:
        raise taken_elsewhere("This machine's new key")
    assert node.key_id is not None
    values = {"public_key": public_key.hex(), "key_id": key_id}
    queries.note_facts(db, node.node_id, values)
    queries.move_spent_key(db, node.node_id, before=node.key_id, key_id=key_id)
    record(
        db,
        actor=node.node_id,
        action="node.key_changed",
        object_id=node.node_id,
        tenant_id=node.tenant_id,
        detail={"key": key_id, "before": node.key_id},
        now_ms=now_ms,
    )


def bump_generation(db: Db, node_id: str, *, now_ms: int | None = None) -> int:
    """Return the next generation of what the node should run; something of it has changed."""
    return queries.move_generation(db, node_id, now_ms=now_ms)


def _why_not_trusted(db: Db, node: Node, request: EnrolRequest, key_id: str) -> Refusal | None:
    if node.revoked:
        return taken_elsewhere("This name")
    other = queries.find_node_by_key(db, key_id)
    if other is not None and other.node_id != node.node_id:
        return taken_elsewhere("This machine's key")
    owners = queries.find_owners(db, (fact.uuid for fact in request.accelerators))
    strange = [uuid for uuid, owner in owners.items() if owner != node.node_id]
    return taken_elsewhere(f"The GPU {min(strange)}") if strange else None


def _give_trust(
    db: Db,
    node: Node,
    secret: EnrolmentSecret,
    request: EnrolRequest,
    key_id: str,
    *,
    source: str,
    now_ms: int,
) -> Refusal | None:
    if not queries.move_secret_to_spent(
        db, secret.secret_id, key_id=key_id, source=source, now_ms=now_ms
    ):
        # Spent by this very key before, which was revoked since: a secret gives trust once.
        return why_not_usable(secret, key_id="", now_ms=now_ms)
    # Another key than before has another log: the old one ends where it was last cosigned.
    is_first = node.enrolled_at_ms is None
    earlier = queries.list_secrets(db, [node.node_id])
    is_same = sum(one.spent_by_key == key_id for one in earlier) > 1
    values = {
        "public_key": request.public_key,
        "key_id": key_id,
        "enrolled_at_ms": now_ms,
        "log_epoch": node.log_epoch if is_first or is_same else node.log_epoch + 1,
        "gateway_url": request.gateway_url,
        "agent_version": request.agent_version,
        "boot_id": request.boot_id,
        "earlier_boots": "[]",
        "fenced_at_ms": None,
        "sequence": 0,
        "held_generation": None,
        "held_key_set": 0,
        "host": encode(request.host).decode(),
        "simulated": int(any(fact.simulated for fact in request.accelerators)),
    }
    queries.note_facts(db, node.node_id, values)
    queries.keep_accelerators(db, node.node_id, request.accelerators, now_ms=now_ms)
    return None


def _answer(db: Db, node: Node, registry: Registry) -> EnrolAnswer:
    return EnrolAnswer(
        node_id=node.node_id,
        node_name=node.name,
        site_name=node.site_name,
        registry_domain=registry.domain,
        log_epoch=node.log_epoch,
        trust_keys=registry.trust_keys,
        lost_log=_lost_log(db, node, registry) if node.log_epoch else None,
    )


def _lost_log(db: Db, node: Node, registry: Registry) -> LostLog:
    """Return how far we have the log of the epoch before: what it had besides is lost."""
    epoch = node.log_epoch - 1
    origin = log_origin(registry.domain, node.node_id, epoch)
    found = queries.find_log_end(db, node.node_id, epoch)
    _, end, accepted_at_ms = found if found is not None else (origin, EMPTY_FRONTIER, None)
    assert node.enrolled_at_ms is not None
    return LostLog(
        origin=origin,
        size=end.size,
        root=base64.b64encode(end.root()).decode(),
        from_at_ms=min(accepted_at_ms or 0, node.enrolled_at_ms),
        until_at_ms=node.enrolled_at_ms,
    )
