"""Units of work on runs: the intent before the deed, and each step once it was seen to be done."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from agent.accelerators.accelerator import Accelerator
from agent.accelerators.assignment import Request, assign
from agent.accelerators.queries import delete_claims, insert_claims, list_claims, list_uuids_of
from agent.allocations.actions import Begin, Claim, Free, NoteReleased, NoteUnknown, Refuse
from agent.allocations.moves import (
    begun,
    claimed,
    noted_released,
    noted_unknown,
    refused,
    waiting,
)
from agent.allocations.plan import CLAIM_WAIT_MS, Sight
from agent.allocations.queries import (
    ENGINE,
    delete_engine_fault,
    find_engine_fault,
    find_run,
    list_runs,
    move_run,
    note_seen,
    put_engine_fault,
    put_run,
)
from agent.allocations.run import Run
from agent.allocations.runtime import Container
from agent.leases.operations import list_cover_ends, list_verdicts
from agent.store.database import Db
from protocol.desired import DesiredAllocation, DesiredState
from protocol.ids import AllocationId
from protocol.refusal import Refusal

GPU_LOST = "gpu_lost"


@dataclass(frozen=True, slots=True)
class Inventory:
    """The GPUs of this machine.

    lost  UUIDs of those that do not answer
    demo  whether simulated ones may be handed out
    """

    accelerators: tuple[Accelerator, ...]
    lost: frozenset[str]
    demo: bool


@dataclass(frozen=True, slots=True)
class Moment:
    """When a pass takes place: the node's own time, and the boottime of which boot.

    wall_ms  the machine's clock, by which the engine writes its times; None if it is the node's
    """

    now_ms: int
    boot_id: str
    boot_ms: int
    wall_ms: int | None = None

    @property
    def skew_ms(self) -> int:
        """Return what to add to a time of the engine's to have it in the node's own time."""
        return 0 if self.wall_ms is None else self.now_ms - self.wall_ms


def sight(
    db: Db,
    containers: Collection[Container],
    moment: Moment,
    desired_in: Callable[[Db], DesiredState | None],
    paces_in: Callable[[Db], Mapping[str, int]],
) -> Sight:
    """Note which containers run, and return everything a plan goes by."""
    running = {run.container_id: run.allocation_id for run in list_runs(db) if run.container_id}
    seen = {
        running[container.container_id]: container.address
        for container in containers
        if container.state == "running" and container.container_id in running
    }
    note_seen(db, seen, now_ms=moment.now_ms)
    delete_engine_fault(db, ENGINE)
    desired = desired_in(db)
    runs = {run.allocation_id: run for run in list_runs(db)}
    tenants = {run.tenant_id for run in runs.values()}
    paces = {one: pace for one, pace in paces_in(db).items() if one in tenants}
    ends = list_cover_ends(db, paces, boot_id=moment.boot_id, boot_ms=moment.boot_ms)
    return Sight(
        now_ms=moment.now_ms,
        skew_ms=moment.skew_ms,
        boot_id=moment.boot_id,
        desired=desired,
        runs=runs,
        containers=containers,
        verdicts=list_verdicts(db, tenants, boot_id=moment.boot_id, boot_ms=moment.boot_ms),
        holders=frozenset(list_claims(db).values()),
        covers={one: moment.now_ms + at_ms - moment.boot_ms for one, at_ms in ends.items()},
    )


def write(
    db: Db,
    action: Begin | Claim | NoteUnknown | NoteReleased,
    inventory: Inventory,
    *,
    generation: int,
    moment: Moment,
) -> Run:
    """Write the intent of an allocation, what was found of one, or its claim to GPUs."""
    now_ms, boot_id = moment.now_ms, moment.boot_id
    match action:
        case Begin(desired, container):
            before = find_run(db, desired.allocation_id)
            run = begun(
                desired, before=before, generation=generation, boot_id=boot_id, now_ms=now_ms
            )
            put_run(db, run)
            return _claim(db, desired, run, container, inventory, now_ms)
        case Claim(desired, run):
            return _claim(db, desired, run, None, inventory, now_ms)
        case NoteReleased(desired, container):
            run = noted_released(
                desired, container, generation=generation, boot_id=boot_id, now_ms=now_ms
            )
            put_run(db, run)
            return run
        case NoteUnknown(container):
            run = noted_unknown(container, generation=generation, boot_id=boot_id, now_ms=now_ms)
            put_run(db, run)
            _keep_off(db, run, now_ms)
            return run


def free(db: Db, action: Free) -> int:
    """Let the GPUs of a run go; return how many it held."""
    return delete_claims(db, AllocationId(action.run.allocation_id))


def removed(db: Db, before: Run, after: Run) -> bool:
    """Note that nothing is left of a run, and let go what GPUs it still held."""
    delete_claims(db, AllocationId(before.allocation_id))
    return move_run(db, before, after)


def note_engine(db: Db, subject: str, sentence: str | None, *, now_ms: int) -> bool:
    """Note why the engine or its guard cannot be used, or that it can; True if that is new."""
    before = find_engine_fault(db, subject)
    if sentence is None:
        return delete_engine_fault(db, subject)
    put_engine_fault(db, subject, sentence, now_ms=now_ms)
    return before is None


def _keep_off(db: Db, run: Run, now_ms: int) -> None:
    """Keep others off the GPUs of a container that nobody asked for."""
    claims = list_claims(db)
    free_uuids = [uuid for uuid in run.accelerators if uuid not in claims]
    if free_uuids and run.phase == "running":
        owner = AllocationId(run.allocation_id)
        insert_claims(db, free_uuids, allocation_id=owner, since_ms=now_ms)


def _claim(
    db: Db,
    desired: DesiredAllocation,
    run: Run,
    container: Container | None,
    inventory: Inventory,
    now_ms: int,
) -> Run:
    """Return the run with its GPUs, waiting for them, or given up for want of them."""
    owner = AllocationId(run.allocation_id)
    claims: Mapping[str, str] = list_claims(db)
    try:
        uuids = _uuids(desired, container, inventory, claims, held=list_uuids_of(db, owner))
    except Refusal as refusal:
        after = _without(run, refusal, now_ms)
    else:
        new = [uuid for uuid in uuids if uuid not in claims]
        taken = insert_claims(db, new, allocation_id=owner, since_ms=now_ms)
        assert taken, "GPUs were free in this very unit of work"
        after = claimed(run, uuids)
    move_run(db, run, after)
    return after


def _uuids(
    desired: DesiredAllocation,
    container: Container | None,
    inventory: Inventory,
    claims: Mapping[str, str],
    *,
    held: list[str],
) -> tuple[str, ...]:
    """Return which GPUs a run gets: those it has already, in its container or on paper, or new."""
    count = desired.accelerator_count
    here = {card.uuid for card in inventory.accelerators} - inventory.lost
    kept = tuple(held) if container is None else container.accelerators
    others = [
        uuid for uuid in kept if claims.get(uuid, desired.allocation_id) != desired.allocation_id
    ]
    if len(kept) == count and count > 0 and not others:
        if not here.issuperset(kept):
            raise Refusal(
                code=GPU_LOST,
                status=503,
                message="A GPU that it holds does not answer any more.",
                hint="Release it and launch again; look at this node's health.",
            )
        return kept
    request = Request(count=count, model=desired.accelerator_model)
    return assign(
        inventory.accelerators, request, claims=claims, lost=inventory.lost, demo=inventory.demo
    )


def _without(run: Run, refusal: Refusal, now_ms: int) -> Run:
    if refusal.code == "accelerators_taken" and now_ms - run.since_ms < CLAIM_WAIT_MS:
        return waiting(run, refusal.message)
    action = Refuse(run, refusal.code, refusal.message)
    return refused(action, generation=run.generation, now_ms=now_ms)
