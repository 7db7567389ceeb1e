"""SQL of the allocations and their events."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
from sqlalchemy import ColumnElement, Row, and_, func, or_, select, update

from protocol.lifecycle import HOLDING, State
from protocol.manifest import Manifest
from protocol.observed import ObservedAllocation
from protocol.refusal import Refusal
from registry.store.database import Db
from registry.store.tables.allocations import allocation, allocation_event

PAGE_ROWS = 50


@dataclass(frozen=True, slots=True)
class Allocation:
    """An allocation as the registry knows it.

    release_at_ms   when its release was asked for; nothing is charged from then on
    ended_at_ms     when it reached a final state
    cleaned_at_ms   when the node said that nothing of it is left
    phase           the node's last word, with its detail and when it came
    """

    allocation_id: str
    tenant_id: str
    project_id: str
    name: str
    sku_id: str
    accelerator_count: int
    node_id: str
    state: State
    reason: str
    manifest: Manifest
    place: str
    hourly_micros: int
    created_by: str
    created_at_ms: int
    ready_at_ms: int | None
    release_at_ms: int | None
    ended_at_ms: int | None
    cleaned_at_ms: int | None
    phase: str
    phase_detail: str
    observed_at_ms: int | None
    container_id: str
    accelerators: tuple[str, ...]
    exit_code: int | None


@dataclass(frozen=True, slots=True)
class AllocationEvent:
    """One step of the state path."""

    at_ms: int
    state: State
    fact: str
    actor: str


def insert_allocation(db: Db, made: Allocation) -> None:
    """Add an allocation."""
    values = {name: getattr(made, name) for name in made.__slots__}
    values["state"] = made.state.value
    values["manifest"] = msgspec.json.encode(made.manifest).decode()
    values["accelerators"] = json.dumps(made.accelerators)
    db.execute(allocation.insert().values(**values))


def insert_event(
    db: Db, allocation_id: str, *, at_ms: int, state: State, fact: str, actor: str
) -> None:
    """Add a step to the state path."""
    db.execute(
        allocation_event.insert().values(
            allocation_id=allocation_id, at_ms=at_ms, state=state.value, fact=fact, actor=actor
        )
    )


def find_allocation(db: Db, allocation_id: str) -> Allocation | None:
    """Return the allocation, or None."""
    row = db.execute(
        select(allocation).where(allocation.c.allocation_id == allocation_id)
    ).one_or_none()
    return None if row is None else _read(row)


def get_allocation(db: Db, allocation_id: str, *, tenant_id: str) -> Allocation:
    """Return the tenant's allocation; one of another tenant is as absent as one that never was."""
    found = find_allocation(db, allocation_id)
    if found is None or found.tenant_id != tenant_id:
        raise Refusal(
            code="allocation_unknown",
            status=404,
            message="There is no such workload here.",
            hint="Look under Workloads, or switch to the organization it belongs to.",
        )
    return found


def list_allocations(
    db: Db,
    *,
    tenant_id: str | None = None,
    project_id: str | None = None,
    states: Iterable[State] | None = None,
    before: tuple[int, str] | None = None,
    limit: int = PAGE_ROWS,
) -> list[Allocation]:
    """Return allocations, youngest first, at most `limit` of those older than `before`.

    before  (created_at_ms, allocation_id) of the last row of the page above
    """
    wanted: list[ColumnElement[bool]] = []
    if tenant_id is not None:
        wanted.append(allocation.c.tenant_id == tenant_id)
    if project_id is not None:
        wanted.append(allocation.c.project_id == project_id)
    if states is not None:
        wanted.append(allocation.c.state.in_([state.value for state in states]))
    if before is not None:
        at_ms, allocation_id = before
        wanted.append(
            or_(
                allocation.c.created_at_ms < at_ms,
                and_(
                    allocation.c.created_at_ms == at_ms,
                    allocation.c.allocation_id < allocation_id,
                ),
            )
        )
    rows = db.execute(
        select(allocation)
        .where(*wanted)
        .order_by(allocation.c.created_at_ms.desc(), allocation.c.allocation_id.desc())
        .limit(limit)
    )
    return [_read(row) for row in rows]


def list_on_node(db: Db, node_id: str, *, cleaned: bool = False) -> list[Allocation]:
    """Return what a node still has to do with, oldest first; all it ever had if `cleaned`."""
    wanted = [allocation.c.node_id == node_id]
    if not cleaned:
        wanted.append(allocation.c.cleaned_at_ms.is_(None))
    rows = db.execute(select(allocation).where(*wanted).order_by(allocation.c.created_at_ms))
    return [_read(row) for row in rows]


def list_events(db: Db, allocation_id: str) -> list[AllocationEvent]:
    """Return the state path from its beginning."""
    rows = db.execute(
        select(
            allocation_event.c.at_ms,
            allocation_event.c.state,
            allocation_event.c.fact,
            allocation_event.c.actor,
        )
        .where(allocation_event.c.allocation_id == allocation_id)
        .order_by(allocation_event.c.event_id)
    )
    return [AllocationEvent(row.at_ms, State(row.state), row.fact, row.actor) for row in rows]


def held_by_node(db: Db) -> dict[str, int]:
    """Return how many accelerators each node has promised, by node id."""
    rows = db.execute(
        select(allocation.c.node_id, func.sum(allocation.c.accelerator_count))
        .where(
            or_(
                allocation.c.state.in_([state.value for state in HOLDING]),
                allocation.c.cleaned_at_ms.is_(None),
            )
        )
        .group_by(allocation.c.node_id)
    )
    return {node_id: int(held) for node_id, held in rows}


def count_by_state(db: Db, tenant_id: str) -> dict[State, int]:
    """Return how many allocations the tenant has in each state."""
    rows = db.execute(
        select(allocation.c.state, func.count())
        .where(allocation.c.tenant_id == tenant_id)
        .group_by(allocation.c.state)
    )
    return {State(state): count for state, count in rows}


def hourly_by_tenant(db: Db, node_id: str) -> dict[str, int]:
    """Return what each tenant's live allocations on the node cost an hour, in micros."""
    live = [State.PROVISIONING.value, State.ACTIVE.value]
    rows = db.execute(
        select(allocation.c.tenant_id, func.sum(allocation.c.hourly_micros))
        .where(allocation.c.node_id == node_id, allocation.c.state.in_(live))
        .group_by(allocation.c.tenant_id)
    )
    return {tenant_id: int(micros) for tenant_id, micros in rows}


def move_state(
    db: Db, allocation_id: str, *, before: State, after: State, reason: str, ended_at_ms: int | None
) -> bool:
    """Move the state if it is still `before`; False if something else moved it first."""
    moved = db.execute(
        update(allocation)
        .where(allocation.c.allocation_id == allocation_id, allocation.c.state == before.value)
        .values(state=after.value, reason=reason, ended_at_ms=ended_at_ms)
    )
    return moved.rowcount == 1


def note_release(db: Db, allocation_id: str, *, at_ms: int) -> None:
    """Write down when the release was asked for; the first moment stands."""
    db.execute(
        update(allocation)
        .where(allocation.c.allocation_id == allocation_id, allocation.c.release_at_ms.is_(None))
        .values(release_at_ms=at_ms)
    )


def note_cleaned(db: Db, allocation_id: str, *, at_ms: int) -> None:
    """Write down that nothing of the allocation is left on its node."""
    db.execute(
        update(allocation)
        .where(allocation.c.allocation_id == allocation_id, allocation.c.cleaned_at_ms.is_(None))
        .values(cleaned_at_ms=at_ms)
    )


def note_observed(db: Db, seen: ObservedAllocation, *, at_ms: int) -> None:
    """Write down the node's last word about an allocation."""
    db.execute(
        update(allocation)
        .where(allocation.c.allocation_id == seen.allocation_id)
        .values(
            phase=seen.phase,
            phase_detail=seen.detail,
            observed_at_ms=at_ms,
            container_id=seen.container_id,
            accelerators=json.dumps(seen.accelerators),
            exit_code=seen.exit_code,
            ready_at_ms=func.coalesce(allocation.c.ready_at_ms, seen.ready_at_ms),
        )
    )


def _read(row: Row[tuple[object, ...]]) -> Allocation:
    values = dict(row._mapping)
    values["state"] = State(values["state"])
    values["manifest"] = msgspec.json.decode(values["manifest"], type=Manifest)
    values["accelerators"] = tuple(json.loads(values["accelerators"]))
    return Allocation(**values)
