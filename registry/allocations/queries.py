"""SQL of the allocations and their events."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import ColumnElement, Row, Select, and_, case, func, or_, select, update

from protocol.lifecycle import FINAL, HOLDING, State
from protocol.manifest import Manifest
from protocol.observed import ObservedAllocation
from protocol.refusal import Refusal
from protocol.usage import GPU_MS
from registry.allocations import seen as shown
from registry.allocations.filter import WorkloadFilter
from registry.allocations.fleet import Promised
from registry.allocations.seen import SeenAllocation, SeenEvent
from registry.nodes.standing import SILENT_MS
from registry.store.database import Db
from registry.store.tables.access import api_key
from registry.store.tables.accounts import person
from registry.store.tables.allocations import allocation, allocation_event
from registry.store.tables.catalogue import sku
from registry.store.tables.incidents import finding
from registry.store.tables.nodes import node
from registry.store.tables.sites import site
from registry.store.tables.usage import stream

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
    ready_at_ms: int | None = None
    release_at_ms: int | None = None
    ended_at_ms: int | None = None
    cleaned_at_ms: int | None = None
    phase: str = ""
    phase_detail: str = ""
    observed_at_ms: int | None = None
    container_id: str = ""
    accelerators: tuple[str, ...] = ()
    exit_code: int | None = None


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


def count_events(db: Db, allocation_id: str) -> int:
    """Return how many steps the state path has."""
    counted = select(func.count()).where(allocation_event.c.allocation_id == allocation_id)
    return int(db.value(counted))


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


def list_on_node(db: Db, node_id: str, *, cleaned: bool = False) -> list[Allocation]:
    """Return what a node still has to do with, oldest first; all it ever had if `cleaned`."""
    wanted = [allocation.c.node_id == node_id]
    if not cleaned:
        wanted.append(allocation.c.cleaned_at_ms.is_(None))
    rows = db.execute(select(allocation).where(*wanted).order_by(allocation.c.created_at_ms))
    return [_read(row) for row in rows]


def list_owners_on(db: Db, node_id: str, ids: Sequence[str]) -> list[Allocation]:
    """Return those of the ids that are allocations of this node, whatever their state."""
    wanted = select(allocation).where(
        allocation.c.node_id == node_id, allocation.c.allocation_id.in_(list(ids))
    )
    return [_read(row) for row in db.execute(wanted)]


def list_promised(db: Db) -> list[Promised]:
    """Return what nodes have promised, summed by node and accelerator model."""
    count = allocation.c.accelerator_count
    rows = db.execute(
        select(
            allocation.c.node_id,
            sku.c.accelerator_model,
            func.sum(count).label("accelerators"),
            func.sum(sku.c.power_w * count / sku.c.accelerator_count).label("power_w"),
        )
        .join(sku, sku.c.sku_id == allocation.c.sku_id)
        .where(
            or_(
                allocation.c.state.in_([state.value for state in HOLDING]),
                allocation.c.cleaned_at_ms.is_(None),
            )
        )
        .group_by(allocation.c.node_id, sku.c.accelerator_model)
    )
    return [
        Promised(row.node_id, row.accelerator_model, int(row.accelerators), int(row.power_w))
        for row in rows
    ]


def hourly_by_tenant(db: Db, node_id: str) -> dict[str, int]:
    """Return what each tenant's live allocations on the node cost an hour, in micros."""
    live = [State.PROVISIONING.value, State.ACTIVE.value]
    rows = db.execute(
        select(allocation.c.tenant_id, func.sum(allocation.c.hourly_micros).label("micros"))
        .where(allocation.c.node_id == node_id, allocation.c.state.in_(live))
        .group_by(allocation.c.tenant_id)
    )
    return {row.tenant_id: int(row.micros) for row in rows}


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


def list_seen(
    db: Db,
    tenant_id: str,
    *,
    project_id: str | None,
    tab: str,
    wanted: WorkloadFilter,
    now_ms: int,
    before: tuple[int, str] | None = None,
    limit: int = PAGE_ROWS,
) -> list[SeenAllocation]:
    """Return a tab of the list, youngest first, at most `limit` of those older than `before`.

    before  (created_at_ms, allocation_id) of the last row of the page above
    """
    conditions = [*_within(tenant_id, project_id), _tab(tab, now_ms)]
    if wanted.states is not None:
        conditions.append(allocation.c.state.in_([state.value for state in wanted.states]))
    conditions += [_has(site.c.name, text) for text in wanted.sites]
    conditions += [
        or_(
            _has(allocation.c.name, text),
            allocation.c.allocation_id.startswith(text, autoescape=True),
        )
        for text in wanted.names
    ]
    if before is not None:
        conditions.append(_older(before))
    return _seen(db, _seen_rows().where(*conditions).limit(limit))


def find_seen(db: Db, allocation_id: str) -> SeenAllocation | None:
    """Return one allocation with what pages show beside it."""
    rows = _seen(db, _seen_rows().where(allocation.c.allocation_id == allocation_id))
    return rows[0] if rows else None


def list_unsettled(db: Db, tenant_id: str, *, limit: int = PAGE_ROWS) -> list[SeenAllocation]:
    """Return what is charged for at present, and what was and may still have usage to come."""
    mine = allocation.c.tenant_id == tenant_id
    ready, gone = allocation.c.ready_at_ms, allocation.c.cleaned_at_ms
    rows = _seen_rows().where(mine, ready.is_not(None), gone.is_(None))
    return _seen(db, rows.limit(limit))


def hourly_of(db: Db, tenant_id: str) -> int:
    """Return what everything the tenant is charged for costs an hour, in micros."""
    active = allocation.c.state == State.ACTIVE.value
    spent = func.coalesce(func.sum(allocation.c.hourly_micros), 0)
    return int(db.value(select(spent).where(allocation.c.tenant_id == tenant_id, active)))


def count_tabs(db: Db, tenant_id: str, *, project_id: str | None, now_ms: int) -> dict[str, int]:
    """Return how many allocations each tab is about.

    One that ended stays in the list of the active for a while, but is not counted there any more.
    """
    counted = {tab: _tab(tab, now_ms) for tab in shown.TABS} | {"active": ~_in(FINAL)}
    columns = [func.coalesce(func.sum(case((one, 1), else_=0)), 0) for one in counted.values()]
    joined = allocation.join(node, node.c.node_id == allocation.c.node_id)
    row = db.row(select(*columns).select_from(joined).where(*_within(tenant_id, project_id)))
    assert row is not None
    return {tab: int(count) for tab, count in zip(counted, row, strict=True)}


def list_seen_events(db: Db, allocation_id: str) -> list[SeenEvent]:
    """Return the state path from its beginning, with names instead of ids."""
    event = allocation_event.c
    rows = db.rows(
        select(event.at_ms, event.state, event.fact, _name_of(event.actor).label("actor"))
        .where(event.allocation_id == allocation_id)
        .order_by(event.event_id)
    )
    return [SeenEvent(row.at_ms, State(row.state), row.fact, row.actor) for row in rows]


def _seen_rows() -> Select[tuple[object, ...]]:
    of_this = stream.c.owner_id == allocation.c.allocation_id
    charged = select(func.coalesce(func.sum(stream.c.charged), 0)).where(of_this)
    verified_to = select(func.max(stream.c.end_ms)).where(of_this, stream.c.meter == GPU_MS)
    last_fact = (
        select(allocation_event.c.fact)
        .where(allocation_event.c.allocation_id == allocation.c.allocation_id)
        .order_by(allocation_event.c.event_id.desc())
        .limit(1)
    )
    trouble = (
        select(finding.c.code)
        .where(*_blocks_its_node())
        .order_by(finding.c.since_ms, finding.c.code)
        .limit(1)
    )
    return (
        select(
            allocation,
            sku.c.name.label("sku_name"),
            sku.c.accelerator_model,
            sku.c.simulated,
            node.c.name.label("node_name"),
            node.c.last_contact_at_ms,
            site.c.name.label("site_name"),
            site.c.tenant_id.label("site_tenant_id"),
            _name_of(allocation.c.created_by).label("owner"),
            charged.scalar_subquery().label("charged_micros"),
            verified_to.scalar_subquery().label("verified_to_ms"),
            func.coalesce(last_fact.scalar_subquery(), "").label("last_fact"),
            func.coalesce(trouble.scalar_subquery(), "").label("node_trouble"),
        )
        .join(sku, sku.c.sku_id == allocation.c.sku_id)
        .join(node, node.c.node_id == allocation.c.node_id)
        .join(site, site.c.site_id == node.c.site_id)
        .order_by(allocation.c.created_at_ms.desc(), allocation.c.allocation_id.desc())
    )


def _blocks_its_node() -> list[ColumnElement[bool]]:
    return [
        finding.c.node_id == allocation.c.node_id,
        finding.c.closed_at_ms.is_(None),
        finding.c.severity.in_(sorted(shown.BLOCKING)),
    ]


def _name_of(subject: ColumnElement[str]) -> ColumnElement[str]:
    email = select(person.c.email).where(person.c.person_id == subject).scalar_subquery()
    key = select(api_key.c.name).where(api_key.c.api_key_id == subject).scalar_subquery()
    return func.coalesce(email, key, subject)


def _within(tenant_id: str, project_id: str | None) -> list[ColumnElement[bool]]:
    own = [allocation.c.tenant_id == tenant_id]
    return own if project_id is None else [*own, allocation.c.project_id == project_id]


def _older(before: tuple[int, str]) -> ColumnElement[bool]:
    at_ms, allocation_id = before
    made = allocation.c.created_at_ms
    return or_(made < at_ms, and_(made == at_ms, allocation.c.allocation_id < allocation_id))


def _tab(tab: str, now_ms: int) -> ColumnElement[bool]:
    ended = _in(FINAL)
    ended_at = allocation.c.ended_at_ms
    if tab == "active":
        return or_(~ended, ended_at > now_ms - shown.KEPT_IN_ACTIVE_MS)
    if tab == "history":
        return and_(ended, ended_at > now_ms - shown.HISTORY_MS)
    silent = and_(_in(shown.ON_NODE), node.c.last_contact_at_ms < now_ms - SILENT_MS)
    blocked = and_(_in(shown.ON_NODE), select(finding.c.code).where(*_blocks_its_node()).exists())
    failed = and_(_in(shown.ENDED_BADLY), ended_at > now_ms - shown.FAILED_SHOWN_MS)
    return or_(_in(shown.STUCK), failed, silent, blocked)


def _in(states: Iterable[State]) -> ColumnElement[bool]:
    return allocation.c.state.in_(sorted(state.value for state in states))


def _has(column: ColumnElement[str], text: str) -> ColumnElement[bool]:
    return func.lower(column).contains(text, autoescape=True)


def _seen(db: Db, rows: Select[tuple[object, ...]]) -> list[SeenAllocation]:
    return [_read_seen(row) for row in db.execute(rows)]


def _read_seen(row: Row[tuple[object, ...]]) -> SeenAllocation:
    found = row._mapping
    values = {name: found[name] for name in SeenAllocation.__slots__}
    values["state"] = State(values["state"])
    values["manifest"] = msgspec.json.decode(values["manifest"], type=Manifest)
    values["accelerators"] = tuple(json.loads(values["accelerators"]))
    values["simulated"] = bool(values["simulated"])
    values["charged_micros"] = int(values["charged_micros"])
    return SeenAllocation(**values)


def _read(row: Row[tuple[object, ...]]) -> Allocation:
    values = dict(row._mapping)
    values["state"] = State(values["state"])
    values["manifest"] = msgspec.json.decode(values["manifest"], type=Manifest)
    values["accelerators"] = tuple(json.loads(values["accelerators"]))
    return Allocation(**values)
