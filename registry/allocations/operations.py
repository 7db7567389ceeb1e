"""Launch, release, and what a node's report moves: each one unit of work."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from protocol.desired import DesiredAllocation
from protocol.ids import NewId
from protocol.lifecycle import FINAL, Event, State, moved
from protocol.manifest import read_image
from protocol.money import show_amount
from protocol.observed import ObservedAllocation
from protocol.price import Price, hourly_micros, price_at
from protocol.refusal import Refusal
from protocol.usage import GPU_MS
from registry.allocations import queries
from registry.allocations.fleet import Fleet, Market, candidates
from registry.allocations.launch_form import LaunchForm
from registry.allocations.offers import Offer, with_room
from registry.allocations.placement import Candidate, Wish, placed
from registry.allocations.progress import fact, happening, timely
from registry.allocations.queries import Allocation
from registry.audit.operations import record
from registry.catalogue.queries import SHAPES_LISTED, Sku, get_sku, list_prices, list_skus
from registry.leases.operations import find_terms, grant_first, idle_by_node
from registry.leases.terms import check_not_suspended
from registry.ledger.queries import get_balance
from registry.nodes.operations import bump_generation
from registry.nodes.queries import list_every_accelerator, list_nodes
from registry.store.database import Db
from registry.tenants.queries import Project, get_project
from registry.tenants.roles import Actor, require

EVENTS_TOLD_MAX = 200
"""A state path of so many steps takes no more of a node's words, only what moves the state."""

CLEANED = "Nothing of it was left on the node."

HOURS_MIN = 1
"""A launch must be affordable for this long."""


@dataclass(frozen=True, slots=True)
class OnSale:
    """Every shape on sale with its room, the nodes by accelerator model, and the whole fleet."""

    offers: tuple[Offer, ...]
    candidates: Mapping[str, tuple[Candidate, ...]]
    fleet: Fleet


def launch(
    db: Db,
    form: LaunchForm,
    *,
    actor: Actor,
    project_id: str,
    market: Market,
    now_ms: int,
    new_id: NewId,
) -> Allocation:
    """Create one allocation on the best node, with its first lease; nothing if anything refuses."""
    project = get_project(db, project_id)
    require(actor, "allocation.launch", tenant_id=project.tenant_id)
    sku = sellable_sku(db, form.sku_id, market)
    hourly = hourly_price(db, sku, now_ms=now_ms) * form.count
    check_not_suspended(find_terms(db, project.tenant_id))
    idle = idle_by_node(db, project.tenant_id, hourly_on=queries.hourly_by_tenant)
    check_balance(db, project.tenant_id, hourly, idle=max(idle.values(), default=0))
    wish = wish_of(form, sku)
    seen = fleet(db, project.tenant_id)
    node = placed(wish, candidates(seen, sku.accelerator_model, market=market, now_ms=now_ms))
    check_balance(db, project.tenant_id, hourly, idle=idle.get(node.node_id, 0))
    made = _requested(form, wish, project=project, node=node, hourly=hourly)
    made = replace(
        made, allocation_id=new_id("allocation"), created_by=actor.subject, created_at_ms=now_ms
    )
    queries.insert_allocation(db, made)
    _write_path(db, made, sku=sku, node=node)
    there = queries.hourly_by_tenant(db, node.node_id)[project.tenant_id]
    grant_first(
        db, made.tenant_id, made.node_id, hourly_micros=there, now_ms=now_ms, terms=market.terms
    )
    bump_generation(db, node.node_id)
    record(
        db,
        actor=actor,
        action="allocation.launch",
        object_id=made.allocation_id,
        tenant_id=project.tenant_id,
        detail={"sku": sku.sku_id, "node": node.node_id, "image": form.manifest.image},
        now_ms=now_ms,
    )
    return queries.get_allocation(db, made.allocation_id, tenant_id=project.tenant_id)


def release(
    db: Db, allocation_id: str, *, actor: Actor, now_ms: int, why: str = "Release asked for"
) -> Allocation:
    """Ask for the end of an allocation: charging stops now, the node cleans up on contact.

    Asked again while it is under way, it says so without doing anything twice.  What the node has
    cleaned up before is released at once.
    """
    assert actor.tenant_id is not None
    found = queries.get_allocation(db, allocation_id, tenant_id=actor.tenant_id)
    require(actor, "allocation.release", tenant_id=found.tenant_id)
    if found.state in (State.RELEASING, State.RELEASED):
        return found
    told = f"{why}; charging has stopped."
    _move(db, found, Event.RELEASE, fact_text=told, actor=actor.subject, now_ms=now_ms)
    queries.note_release(db, allocation_id, at_ms=now_ms)
    if found.cleaned_at_ms is not None:
        # Its node was told to forget it and will not speak of it again.
        left = replace(found, state=State.RELEASING)
        _move(db, left, Event.GONE, fact_text=CLEANED, actor="registry", now_ms=now_ms)
    bump_generation(db, found.node_id)
    record(
        db,
        actor=actor,
        action="allocation.release",
        object_id=allocation_id,
        tenant_id=found.tenant_id,
        detail={"name": found.name, "before": found.state.value},
        now_ms=now_ms,
    )
    return queries.get_allocation(db, allocation_id, tenant_id=found.tenant_id)


def observe(db: Db, node_id: str, seen: Iterable[ObservedAllocation], *, now_ms: int) -> None:
    """Take in what a node sees of its allocations; what it says of another node's is ignored.

    Of two reports of one allocation the last counts.
    """
    known = {one.allocation_id: one for one in queries.list_on_node(db, node_id)}
    changed = False
    for report in {one.allocation_id: one for one in seen}.values():
        found = known.get(report.allocation_id)
        if found is not None:
            said = timely(report, created_at_ms=found.created_at_ms, now_ms=now_ms)
            changed |= _observe_one(db, found, said, now_ms=now_ms)
    if changed:
        bump_generation(db, node_id)


def list_desired(db: Db, node_id: str) -> list[DesiredAllocation]:
    """Return everything the node should run or clean up."""
    skus = {sku.sku_id: sku for sku in list_skus(db)}
    return [_desired(found, skus[found.sku_id]) for found in queries.list_on_node(db, node_id)]


def fleet(db: Db, tenant_id: str) -> Fleet:
    """Return the enrolled nodes that may serve the tenant, with their accelerators and promises."""
    nodes = [node for node in list_nodes(db, serving=tenant_id) if node.public_key is not None]
    return Fleet(
        nodes=tuple(nodes),
        cards=tuple(list_every_accelerator(db, [node.node_id for node in nodes])),
        promised=tuple(queries.list_promised(db)),
    )


def on_sale(db: Db, tenant_id: str, *, market: Market, now_ms: int) -> OnSale:
    """Return what the tenant can launch now, in a number of statements that no fleet changes."""
    known = fleet(db, tenant_id)
    skus = [sku for sku in list_skus(db) if is_sold(sku, market)]
    models = {sku.accelerator_model for sku in skus}
    nodes = {model: candidates(known, model, market=market, now_ms=now_ms) for model in models}
    prices = list_prices(db, [sku.sku_id for sku in skus])
    offers = (_offer(sku, prices, nodes[sku.accelerator_model], now_ms=now_ms) for sku in skus)
    return OnSale(tuple(offers), nodes, known)


def is_sold(sku: Sku, market: Market) -> bool:
    """Whether a shape is on sale; simulated accelerators are sold in demo mode alone."""
    return sku.active and sku.sku_class == "gpu" and (market.demo or not sku.simulated)


def wish_of(form: LaunchForm, sku: Sku) -> Wish:
    """Return what placement must find for this form."""
    return Wish(
        model=sku.accelerator_model,
        count=sku.accelerator_count * form.count,
        image_digest=read_image(form.manifest.image).digest,
        country=form.country,
        site_id=form.site_id,
        power_w=sku.power_w * form.count,
        simulated=sku.simulated,
    )


def sellable_sku(db: Db, sku_id: str, market: Market) -> Sku:
    """Return the SKU if it is on sale; simulated accelerators are sold in demo mode alone."""
    sku = get_sku(db, sku_id)
    if not sku.active or sku.sku_class != "gpu":
        raise Refusal(
            code="sku_not_sold",
            status=409,
            message=f"sku: {sku.name} is not on sale.",
            hint=f"Choose another shape; {SHAPES_LISTED}.",
            field="sku",
        )
    if sku.simulated and not market.demo:
        raise Refusal(
            code="simulated_not_sold",
            status=409,
            message=f"sku: {sku.name} is simulated and is sold in demo mode alone.",
            hint=f"Choose a shape with real GPUs; {SHAPES_LISTED}.",
            field="sku",
        )
    return sku


def hourly_price(db: Db, sku: Sku, *, now_ms: int) -> int:
    """Return what the SKU costs an hour by the price in force."""
    price = price_at(list_prices(db, [sku.sku_id]), sku=sku.sku_id, meter=GPU_MS, at_ms=now_ms)
    if price is None:
        raise Refusal(
            code="price_missing",
            status=409,
            message=f"sku: {sku.name} has no price in force.",
            hint="Choose another shape, or ask the operator to set a price.",
            field="sku",
        )
    return hourly_micros(price, sku.accelerator_count)


def check_balance(db: Db, tenant_id: str, hourly: int, *, idle: int) -> None:
    """Refuse a launch whose first hour is covered neither by what is free nor by `idle` leases."""
    available = get_balance(db, tenant_id).available + idle
    need = hourly * HOURS_MIN
    if available < need:
        short = need - available
        raise Refusal(
            code="insufficient_balance",
            status=402,
            message=(
                f"The first hour costs {show_amount(need)}; {show_amount(available)} is "
                f"free to spend, {show_amount(short)} short."
            ),
            hint=f"Add at least {show_amount(short)}, then launch again; nothing was created.",
            limit_source="balance",
        )


def _offer(
    sku: Sku, prices: Iterable[Price], nodes: tuple[Candidate, ...], *, now_ms: int
) -> Offer:
    price = price_at(prices, sku=sku.sku_id, meter=GPU_MS, at_ms=now_ms)
    made = Offer(
        sku_id=sku.sku_id,
        name=sku.name,
        accelerator_model=sku.accelerator_model,
        accelerator_count=sku.accelerator_count,
        cpu_milli=sku.cpu_milli,
        memory_mib=sku.memory_mib,
        disk_mib=sku.disk_mib,
        power_w=sku.power_w,
        simulated=sku.simulated,
        hourly_micros=None if price is None else hourly_micros(price, sku.accelerator_count),
    )
    return with_room(made, nodes)


def _requested(
    form: LaunchForm, wish: Wish, *, project: Project, node: Candidate, hourly: int
) -> Allocation:
    """Return the allocation as it is before anything happened to it, still without an id."""
    return Allocation(
        allocation_id="",
        tenant_id=project.tenant_id,
        project_id=project.project_id,
        name=form.name,
        sku_id=form.sku_id,
        accelerator_count=wish.count,
        node_id=node.node_id,
        state=State.REQUESTED,
        reason="",
        manifest=form.manifest,
        place=form.site_id or form.country or "",
        hourly_micros=hourly,
        created_by="",
        created_at_ms=0,
    )


def _write_path(db: Db, made: Allocation, *, sku: Sku, node: Candidate) -> None:
    """Write the first two steps of the state path: asked for, and placed."""
    image = read_image(made.manifest.image).name
    queries.insert_event(
        db,
        made.allocation_id,
        at_ms=made.created_at_ms,
        state=State.REQUESTED,
        fact=f"Asked for {made.accelerator_count} × {sku.accelerator_model} with {image}.",
        actor=made.created_by,
    )
    _move(
        db,
        made,
        Event.PLACED,
        fact_text=f"Placed on {node.node_name} at {node.site_name}.",
        actor="registry",
        now_ms=made.created_at_ms,
    )


def _observe_one(db: Db, found: Allocation, seen: ObservedAllocation, *, now_ms: int) -> bool:
    """Take in one report; return whether what the node should do changed by it."""
    happened = happening(found.state, seen)
    is_news = (seen.phase, seen.detail) != (found.phase, found.phase_detail)
    said = found.state is State.PROVISIONING or (found.state is State.ACTIVE and seen.detail != "")
    tells = is_news and happened is None and said
    if tells and queries.count_events(db, found.allocation_id) < EVENTS_TOLD_MAX:
        queries.insert_event(
            db,
            found.allocation_id,
            at_ms=seen.since_ms,
            state=found.state,
            fact=fact(seen),
            actor="node",
        )
    queries.note_observed(db, seen, at_ms=now_ms)
    after = found.state
    if happened is not None:
        after = _move(
            db,
            found,
            happened.event,
            fact_text=happened.fact,
            actor="node",
            now_ms=seen.since_ms,
            reason=happened.reason,
        )
    gone = seen.phase == "absent"
    if gone and after in FINAL | {State.INSUFFICIENT_BALANCE}:
        queries.note_cleaned(db, found.allocation_id, at_ms=now_ms)
        return True
    return after is not found.state


def _move(
    db: Db,
    found: Allocation,
    event: Event,
    *,
    fact_text: str,
    actor: str,
    now_ms: int,
    reason: str = "",
) -> State:
    after = moved(found.state, event)
    ended_at_ms = now_ms if after in FINAL else None
    stood = queries.move_state(
        db,
        found.allocation_id,
        before=found.state,
        after=after,
        reason=reason,
        ended_at_ms=ended_at_ms,
    )
    if not stood:
        raise Refusal(
            code="moved_on",
            status=409,
            message="Something else moved this workload in the same moment.",
            hint="Look at its present state and decide again.",
        )
    queries.insert_event(
        db, found.allocation_id, at_ms=now_ms, state=after, fact=fact_text, actor=actor
    )
    return after


def _desired(found: Allocation, sku: Sku) -> DesiredAllocation:
    runs = found.state in (State.PROVISIONING, State.ACTIVE)
    count = found.accelerator_count // sku.accelerator_count
    return DesiredAllocation(
        allocation_id=found.allocation_id,
        tenant_id=found.tenant_id,
        project_id=found.project_id,
        sku=found.sku_id,
        accelerator_count=found.accelerator_count,
        accelerator_model=sku.accelerator_model,
        cpu_milli=sku.cpu_milli * count,
        memory_mib=sku.memory_mib * count,
        disk_mib=sku.disk_mib * count,
        manifest=found.manifest,
        phase="running" if runs else "absent",
        released_at_ms=found.release_at_ms or found.ended_at_ms,
    )
