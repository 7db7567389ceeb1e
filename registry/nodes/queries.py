"""SQL of the nodes."""

import json
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    and_,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from protocol.merkle import Frontier, read_frontier
from protocol.observed import AcceleratorFact, HostFacts
from protocol.refusal import Refusal
from registry.nodes.enrolment import EnrolmentSecret, NodeFacts
from registry.nodes.node import Node as Node
from registry.nodes.node import NodeAccelerator as NodeAccelerator
from registry.store.database import Db
from registry.store.tables.nodes import accelerator, enrolment_secret, node, spent_nonce
from registry.store.tables.sites import site
from registry.store.tables.usage import node_log

FLAGS = ("simulated", "healthy", "present")


def get_node(db: Db, node_id: str) -> Node:
    """Return a node."""
    row = db.row(_nodes().where(node.c.node_id == node_id))
    if row is None:
        raise Refusal(
            code="not_found",
            status=404,
            message="This node does not exist, or is not yours to see.",
            hint="Look at the list of your nodes.",
        )
    return _node(row)


def find_node_by_key(db: Db, key_id: str) -> Node | None:
    """Return the node that is trusted with the key of this id; a retired one is not."""
    row = db.row(_nodes().where(node.c.key_id == key_id, node.c.retired_at_ms.is_(None)))
    return None if row is None else _node(row)


def list_nodes(
    db: Db,
    *,
    tenant_id: str | None = None,
    site_id: str | None = None,
    serving: str | None = None,
    retired: bool = False,
) -> list[Node]:
    """Return the nodes by name, at the sites of one owner or at one site where named.

    serving  only those that may serve this organization: its own, and those on the market
    """
    statement = _nodes().order_by(node.c.name, node.c.node_id)
    if tenant_id is not None:
        statement = statement.where(site.c.tenant_id == tenant_id)
    if site_id is not None:
        statement = statement.where(node.c.site_id == site_id)
    if serving is not None:
        statement = statement.where(_may_serve(serving))
    if not retired:
        statement = statement.where(node.c.retired_at_ms.is_(None))
    return [_node(row) for row in db.rows(statement)]


def list_accelerators(db: Db, node_id: str) -> list[NodeAccelerator]:
    """Return the GPUs that the node last reported."""
    return list_every_accelerator(db, [node_id])


def list_every_accelerator(db: Db, node_ids: Iterable[str]) -> list[NodeAccelerator]:
    """Return the GPUs that these nodes last reported, by node and position."""
    rows = db.rows(
        select(accelerator)
        .where(accelerator.c.node_id.in_(sorted(node_ids)), accelerator.c.present == 1)
        .order_by(accelerator.c.node_id, accelerator.c.position)
    )
    return [
        NodeAccelerator(**{name: getattr(row, name) for name in NodeAccelerator.__slots__} | flags)
        for row in rows
        for flags in [{name: bool(getattr(row, name)) for name in FLAGS}]
    ]


def list_uuids(db: Db, node_id: str) -> frozenset[str]:
    """Return the GPUs registered with the node, those that it reports no more too."""
    rows = db.rows(select(accelerator.c.uuid).where(accelerator.c.node_id == node_id))
    return frozenset(row.uuid for row in rows)


def find_owners(db: Db, uuids: Iterable[str]) -> dict[str, str]:
    """Return which node each of these GPUs belongs to; retired nodes own none."""
    rows = db.rows(
        select(accelerator.c.uuid, accelerator.c.node_id)
        .join(node, node.c.node_id == accelerator.c.node_id)
        .where(accelerator.c.uuid.in_(sorted(uuids)), node.c.retired_at_ms.is_(None))
    )
    return {row.uuid: row.node_id for row in rows}


def list_held_versions(db: Db, tenant_id: str) -> list[int]:
    """Return the version of the key set that each node holds that hears of this tenant's keys."""
    rows = db.rows(
        select(node.c.held_key_set)
        .join(site, site.c.site_id == node.c.site_id)
        .where(node.c.key_id.is_not(None), node.c.retired_at_ms.is_(None), _may_serve(tenant_id))
    )
    return [row.held_key_set for row in rows]


def insert_node(
    db: Db, node_id: str, facts: NodeFacts, *, site_id: str, created_by: str, now_ms: int
) -> bool:
    """Add a node that has not been heard of; False if its site has one of that name."""
    return db.insert_new(
        node,
        {
            "node_id": node_id,
            "site_id": site_id,
            "name": facts.name,
            "external_id": facts.external_id,
            "declared_accelerator": facts.accelerator,
            "declared_gpu_count": facts.gpu_count,
            "declared_power_w": facts.power_w,
            "declared_latency_ms": facts.latency_ms,
            "created_by": created_by,
            "created_at_ms": now_ms,
            "gateway_url": "",
            "agent_version": "",
            "boot_id": "",
            "sequence": 0,
            "log_epoch": 0,
            # A node that holds nothing says 0, and must hear at least the prices.
            "desired_generation": 1,
            "held_key_set": 0,
            "simulated": 0,
            "host": "",
        },
    )


def note_facts(db: Db, node_id: str, values: dict[str, Any]) -> None:
    """Keep what was heard of a node, by column."""
    db.write(update(node).where(node.c.node_id == node_id).values(**values))


def move_every_generation(db: Db, *, now_ms: int) -> int:
    """Count every node's desired state on: something that all of them are told has changed."""
    values = {"desired_generation": node.c.desired_generation + 1, "desired_at_ms": now_ms}
    return db.write(update(node).values(**values))


def move_generation(db: Db, node_id: str, *, now_ms: int | None) -> int:
    """Return the next generation of the node's desired state, which holds from now on."""
    values: dict[str, Any] = {"desired_generation": node.c.desired_generation + 1}
    if now_ms is not None:
        values["desired_at_ms"] = now_ms
    return int(
        db.value(
            update(node)
            .where(node.c.node_id == node_id)
            .values(**values)
            .returning(node.c.desired_generation)
        )
    )


def take_pace(db: Db, node_id: str, *, step_ms: int, ahead_ms_max: int, now_ms: int) -> bool:
    """Let a call of the node use up `step_ms` of its time; False, and nothing done, if its calls
    have used up `ahead_ms_max` more than went by."""
    begun = case((node.c.paced_to_ms < now_ms, now_ms), else_=node.c.paced_to_ms)
    taken = update(node).where(node.c.node_id == node_id, begun + step_ms <= now_ms + ahead_ms_max)
    return db.write(taken.values(paced_to_ms=begun + step_ms)) == 1


def give_pace(db: Db, node_id: str, *, step_ms: int) -> None:
    """Give back what a call used up."""
    values = {"paced_to_ms": node.c.paced_to_ms - step_ms}
    db.write(update(node).where(node.c.node_id == node_id).values(**values))


def forget_accelerators(db: Db, node_id: str, *, keep: int, before_ms: int) -> int:
    """Delete GPUs that the node names no more: those that nothing held and that were gone before
    `before_ms`, and of the others the oldest beyond `keep`; return how many."""
    gone = and_(accelerator.c.node_id == node_id, accelerator.c.present == 0)
    old = and_(accelerator.c.held_by.is_(None), accelerator.c.seen_at_ms < before_ms)
    newest = (
        select(accelerator.c.uuid)
        .where(gone)
        .order_by(accelerator.c.seen_at_ms.desc(), accelerator.c.uuid)
        .limit(keep)
    )
    beyond = accelerator.c.uuid.not_in(newest)
    return db.write(delete(accelerator).where(gone, or_(old, beyond)))


def keep_accelerators(
    db: Db, node_id: str, facts: Iterable[AcceleratorFact], *, now_ms: int
) -> None:
    """Keep the GPUs as reported; those of the node that were not named are not present."""
    kept = list(facts)
    db.write(
        update(accelerator)
        .where(
            accelerator.c.node_id == node_id,
            accelerator.c.uuid.not_in([fact.uuid for fact in kept]),
            accelerator.c.present == 1,
        )
        .values(present=0, seen_at_ms=now_ms)
    )
    for position, fact in enumerate(kept):
        values = msgspec.structs.asdict(fact) | {
            "node_id": node_id,
            "position": position,
            "memory_mib": fact.memory_mib or 0,
            "simulated": int(fact.simulated),
            "healthy": int(fact.healthy),
            "present": 1,
            "seen_at_ms": now_ms,
        }
        db.upsert(accelerator, ["uuid"], values)


def insert_secret(db: Db, secret: EnrolmentSecret, *, secret_hash: str) -> None:
    """Add an enrolment secret."""
    db.write(
        insert(enrolment_secret).values(
            secret_id=secret.secret_id,
            node_id=secret.node_id,
            prefix=secret.prefix,
            hash=secret_hash,
            created_by=secret.created_by,
            created_at_ms=secret.created_at_ms,
            expires_at_ms=secret.expires_at_ms,
        )
    )


def find_secret(db: Db, *, secret_hash: str = "", secret_id: str = "") -> EnrolmentSecret | None:
    """Return the secret with this hash or id, whatever its state."""
    column, value = (
        (enrolment_secret.c.hash, secret_hash)
        if secret_hash
        else (enrolment_secret.c.secret_id, secret_id)
    )
    row = db.row(select(enrolment_secret).where(column == value))
    return None if row is None else _secret(row)


def list_secrets(db: Db, node_ids: Iterable[str]) -> list[EnrolmentSecret]:
    """Return the enrolment secrets of these nodes, newest first."""
    rows = db.rows(
        select(enrolment_secret)
        .where(enrolment_secret.c.node_id.in_(sorted(node_ids)))
        .order_by(enrolment_secret.c.secret_id.desc())
    )
    return [_secret(row) for row in rows]


def move_secret_to_spent(db: Db, secret_id: str, *, key_id: str, source: str, now_ms: int) -> bool:
    """Spend a secret; False if it was spent, revoked or is over."""
    statement = (
        update(enrolment_secret)
        .where(
            enrolment_secret.c.secret_id == secret_id,
            enrolment_secret.c.spent_at_ms.is_(None),
            enrolment_secret.c.revoked_at_ms.is_(None),
            enrolment_secret.c.expires_at_ms > now_ms,
        )
        .values(spent_at_ms=now_ms, spent_by_key=key_id, spent_from=source)
    )
    return db.write(statement) == 1


def move_secret_to_revoked(db: Db, secret_id: str, *, now_ms: int) -> bool:
    """Revoke a secret; False if it was revoked before."""
    statement = (
        update(enrolment_secret)
        .where(
            enrolment_secret.c.secret_id == secret_id, enrolment_secret.c.revoked_at_ms.is_(None)
        )
        .values(revoked_at_ms=now_ms)
    )
    return db.write(statement) == 1


def find_log_end(db: Db, node_id: str, epoch: int) -> tuple[str, Frontier, int | None] | None:
    """Return how far a log was accepted, and when last; None where nothing was heard of it."""
    log = node_log.c
    row = db.row(
        select(log.origin, log.size, log.frontier, log.accepted_at_ms).where(
            log.node_id == node_id, log.epoch == epoch
        )
    )
    if row is None:
        return None
    return row.origin, read_frontier(row.size, bytes(row.frontier)), row.accepted_at_ms


def move_spent_key(db: Db, node_id: str, *, before: str, key_id: str) -> None:
    """Have the secrets that gave trust to a node's key stand for the one that took its place."""
    db.write(
        update(enrolment_secret)
        .where(enrolment_secret.c.node_id == node_id, enrolment_secret.c.spent_by_key == before)
        .values(spent_by_key=key_id)
    )


def revoke_unspent_secrets(db: Db, node_id: str, *, now_ms: int) -> int:
    """Revoke the node's secrets that wait to be used; return how many."""
    statement = (
        update(enrolment_secret)
        .where(
            enrolment_secret.c.node_id == node_id,
            enrolment_secret.c.spent_at_ms.is_(None),
            enrolment_secret.c.revoked_at_ms.is_(None),
        )
        .values(revoked_at_ms=now_ms)
    )
    return db.write(statement)


def insert_nonce(db: Db, *, signer: str, nonce: str, expires_at_ms: int) -> bool:
    """Note a signer's nonce as spent; False if it was spent before."""
    values = {"signer": signer, "nonce": nonce, "expires_at_ms": expires_at_ms}
    return db.insert_new(spent_nonce, values)


def forget_nonces(db: Db, *, now_ms: int) -> int:
    """Delete the nonces whose signatures are too old to be read anyway."""
    return db.write(delete(spent_nonce).where(spent_nonce.c.expires_at_ms <= now_ms))


def count_nodes(db: Db, site_id: str) -> int:
    """Return how many nodes the site ever had."""
    return int(db.value(select(func.count()).where(node.c.site_id == site_id)))


def _nodes() -> Select[Any]:
    return select(
        node,
        site.c.name.label("site_name"),
        site.c.city,
        site.c.country,
        site.c.power_kw,
        site.c.tenant_id,
        site.c.opened_at_ms.label("market_since_ms"),
        _is_open().label("is_open"),
    ).join(site, site.c.site_id == node.c.site_id)


def _may_serve(tenant_id: str) -> ColumnElement[bool]:
    return or_(site.c.tenant_id == tenant_id, _is_open())


def _is_open() -> ColumnElement[bool]:
    return and_(site.c.opened_at_ms.is_not(None), site.c.closed_at_ms.is_(None))


def _node(row: Row[Any]) -> Node:
    kept = row._mapping
    otherwise = {
        "site_power_w": row.power_kw * 1000,
        "facts": NodeFacts(
            name=row.name,
            external_id=row.external_id,
            accelerator=row.declared_accelerator,
            gpu_count=row.declared_gpu_count,
            power_w=row.declared_power_w,
            latency_ms=row.declared_latency_ms,
        ),
        "public_key": bytes.fromhex(row.public_key) if row.public_key else None,
        "generation": row.desired_generation,
        "generation_held": row.held_generation,
        "key_set_held": row.held_key_set,
        "simulated": bool(row.simulated),
        "host": msgspec.json.decode(row.host, type=HostFacts) if row.host else None,
        "is_open": bool(row.is_open),
        "earlier_boots": tuple(json.loads(row.earlier_boots)),
    }
    as_kept = {name: kept[name] for name in Node.__slots__ if name not in otherwise}
    return Node(**as_kept, **otherwise)


def _secret(row: Row[Any]) -> EnrolmentSecret:
    return EnrolmentSecret(**{name: getattr(row, name) for name in EnrolmentSecret.__slots__})
