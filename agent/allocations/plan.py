"""What should run and what does, into what to do next: one step per allocation and pass.

A run keeps its GPUs until its usage is written down and closed, however long that takes: what opens
on one of them before would be refused by the registry, and with it the whole log.

Level-triggered: the answer depends only on what is desired, stored and seen, never on what was
done before, so that a crash between any two steps leads back here.  What the registry does not
call `absent` is never removed; a container nobody asked for is kept and reported.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from agent.allocations.actions import (
    Action,
    Adopt,
    Ask,
    Begin,
    Claim,
    Create,
    Discard,
    Finish,
    Forget,
    Free,
    Kill,
    NoteReleased,
    NoteUnknown,
    PullImage,
    Refuse,
    Remove,
    Start,
    Stop,
    Wait,
    allocation_of,
)
from agent.allocations.run import LIVE_PHASES, Run, is_settled, last_tick_ms
from agent.allocations.runtime import Container
from agent.leases.gate import NO_LEASE, Verdict
from protocol.clock import MINUTE_MS, SECOND_MS
from protocol.desired import DesiredAllocation, DesiredState
from protocol.ids import is_id

STOP_GRACE_MS = 30 * SECOND_MS
"""Between SIGTERM and SIGKILL."""

LEASE_WAIT_MS = MINUTE_MS
"""How long a launch waits for its first lease, which may come a sync later than the order."""

CLAIM_WAIT_MS = 2 * MINUTE_MS
"""How long a launch waits for GPUs that another allocation is just letting go."""

INTERRUPTED = "interrupted"
CONTAINER_LOST = "container_lost"
LEASE: Final = "lease"
RELEASED: Final = "released"


@dataclass(frozen=True, slots=True)
class Sight:
    """Everything a plan goes by, at `now_ms`.

    skew_ms   what to add to a time of the engine's to have it in the node's own time
    desired   None before the registry has ever been heard
    verdicts  what each tenant's leases allow; a tenant that is missing has no lease
    holders   allocations that hold GPUs
    covers    until when each tenant's leases cover its work, where that is known
    """

    now_ms: int
    skew_ms: int
    boot_id: str
    desired: DesiredState | None
    runs: Mapping[str, Run]
    containers: Collection[Container]
    verdicts: Mapping[str, Verdict]
    holders: Collection[str]
    covers: Mapping[str, int] = field(default_factory=dict)


def plan(sight: Sight) -> list[Action]:
    """Return at most one action for each allocation.

    Those that have a container come first: its GPUs must be noted as held before any is given out.
    """
    wanted = {} if sight.desired is None else _by_id(sight.desired.allocations)
    present = _containers_by_id(sight)
    ids = sorted({*wanted, *sight.runs, *present})
    steps = (_step(sight, wanted.get(id_), sight.runs.get(id_), present.get(id_)) for id_ in ids)
    actions = [step for step in steps if step is not None]
    return sorted(actions, key=lambda action: allocation_of(action) not in present)


def strangers(sight: Sight) -> list[Container]:
    """Return containers that carry our label beside an allocation's own; nobody touches them."""
    own = {container.container_id for container in _containers_by_id(sight).values()}
    return [seen for seen in sight.containers if seen.container_id not in own]


def is_same(run: Run, container: Container, boot_id: str) -> bool:
    """Whether the container is the one this run began: then its time simply goes on."""
    return (
        run.container_id == container.container_id
        and run.started_at_ms == container.started_at_ms
        and run.boot_id == boot_id
    )


def failure_of(run: Run, container: Container) -> str | None:
    """Return why a container that has exited did so; None if it ended as it should."""
    if run.stop_reason is not None:
        return _stop_failure(run)
    if container.oom_killed:
        return "oom_killed"
    if run.kind == "task" and container.exit_code == 0:
        return None
    return "exited"


def _stop_failure(run: Run) -> str | None:
    return None if run.stop_reason == RELEASED else run.stop_reason


def _by_id(allocations: Iterable[DesiredAllocation]) -> dict[str, DesiredAllocation]:
    return {desired.allocation_id: desired for desired in allocations}


def _containers_by_id(sight: Sight) -> dict[str, Container]:
    """Return each allocation's own container: the one its run knows, else the one that runs."""
    groups: dict[str, list[Container]] = defaultdict(list)
    for container in sight.containers:
        if is_id(container.allocation_id, "allocation"):
            groups[container.allocation_id].append(container)
    return {id_: _own(sight.runs.get(id_), group) for id_, group in groups.items()}


def _own(run: Run | None, group: list[Container]) -> Container:
    known = run.container_id if run is not None else ""
    return min(
        group,
        key=lambda one: (one.container_id != known, one.state != "running", one.container_id),
    )


def _step(
    sight: Sight, desired: DesiredAllocation | None, run: Run | None, container: Container | None
) -> Action | None:
    if desired is None:
        return _unlisted(sight, run, container)
    if desired.phase == "absent":
        return _released(sight, desired, run, container)
    if run is None or not run.known or run.phase == "absent":
        return Begin(desired, container)
    if run.phase == "exited":
        return _ended(sight, desired, run, container)
    if run.phase in LIVE_PHASES:
        return _live(sight, desired, run, container)
    return _coming_up(sight, desired, run, container)


def _unlisted(sight: Sight, run: Run | None, container: Container | None) -> Action | None:
    """A gap in the list is no order: what runs goes on, and is still watched and paid for."""
    if run is None:
        return None if container is None else NoteUnknown(container)
    if run.phase == "absent":
        return Forget(run)
    if run.phase == "exited":
        freed = _freed(sight, run, container)
        gone = not run.known and container is None
        return Forget(run) if freed is None and gone else freed
    if run.phase in LIVE_PHASES:
        return _live(sight, None, run, container)
    return None


def _coming_up(
    sight: Sight, desired: DesiredAllocation, run: Run, container: Container | None
) -> Action:
    """A run whose container has not been noted as started."""
    if container is not None and container.started_at_ms is not None:
        if container.state == "exited" and run.boot_id != sight.boot_id:
            return Finish(run, None, None, INTERRUPTED)
        probed = desired.manifest.probe is not None and container.state == "running"
        return Adopt(run, container, "probing" if probed else "running", ready=not probed)
    if len(run.accelerators) < desired.accelerator_count:
        return Claim(desired, run)
    if container is not None and container.spec_hash != run.spec_hash:
        return Discard(run, container)
    if run.phase == "pulling":
        return PullImage(desired, run)
    verdict = sight.verdicts.get(run.tenant_id, NO_LEASE)
    if not verdict.may_start:
        sentence = f"waiting for a budget lease ({verdict.reason})"
        if sight.now_ms - run.since_ms >= LEASE_WAIT_MS:
            return Refuse(run, LEASE, f"No budget lease came: {verdict.reason}.")
        return Wait(run, sentence)
    return Create(desired, run) if container is None else Start(desired, run, container)


def _live(
    sight: Sight, desired: DesiredAllocation | None, run: Run, container: Container | None
) -> Action | None:
    """A run whose container was started: is it still the same, and may it go on?"""
    if container is None:
        failure = CONTAINER_LOST if run.stop_reason is None else _stop_failure(run)
        return Finish(run, last_tick_ms(run), None, failure)
    if not is_same(run, container, sight.boot_id):
        # Nothing says what happened in between, so the bill ends where it is durable.
        failure = INTERRUPTED if run.stop_reason is None else _stop_failure(run)
        return Finish(run, last_tick_ms(run), None, failure)
    if container.state == "exited":
        ended_at_ms = container.finished_at_ms
        ended_at_ms = None if ended_at_ms is None else ended_at_ms + sight.skew_ms
        return Finish(run, ended_at_ms, container.exit_code, failure_of(run, container))
    if run.phase == "stopping":
        return _stopping(sight, run, container)
    verdict = sight.verdicts.get(run.tenant_id, NO_LEASE)
    if run.known and verdict.must_stop:
        return Stop(run, container, LEASE)
    if run.phase == "probing" and desired is not None and desired.manifest.probe is not None:
        return Ask(run, container, desired.manifest.probe)
    return None


def _stopping(sight: Sight, run: Run, container: Container) -> Action | None:
    asked_at_ms = run.stop_asked_at_ms
    if asked_at_ms is not None and sight.now_ms - asked_at_ms >= STOP_GRACE_MS:
        return Kill(run, container)
    return None


def _released(
    sight: Sight, desired: DesiredAllocation, run: Run | None, container: Container | None
) -> Action | None:
    """Down to nothing, and the bill ends with the release."""
    if run is None:
        return NoteReleased(desired, container)
    if run.phase == "absent" and container is None:
        return None
    if container is not None and container.state == "running":
        if run.phase in ("exited", "absent"):
            return Kill(run, container)
        if run.phase not in LIVE_PHASES:
            return Adopt(run, container, "stopping", ready=False)
        if run.released_at_ms is None:
            released_at_ms = desired.released_at_ms
            released_at_ms = sight.now_ms if released_at_ms is None else released_at_ms
            return Stop(run, container, RELEASED, released_at_ms)
        return _live(sight, None, run, container)
    if run.phase in LIVE_PHASES:
        return _live(sight, None, run, container)
    if run.phase == "exited" and not is_settled(run):
        return None
    return Remove(run, container)


def _ended(
    sight: Sight, desired: DesiredAllocation, run: Run, container: Container | None
) -> Action | None:
    """Ended while it should run: begun again only where the machine or the money was the cause."""
    running = container is not None and container.state == "running"
    if not _may_begin_again(sight, run):
        # Started by somebody else after its end: nobody would pay for what it uses.
        return Kill(run, container) if container and running else _freed(sight, run, container)
    if not is_settled(run):
        return None
    if container is not None and not running:
        return Discard(run, container)
    return Begin(desired, container)


def _may_begin_again(sight: Sight, run: Run) -> bool:
    """A task is not run twice; a lease that ended needs a newer order as well as a new lease."""
    if run.failure == INTERRUPTED:
        return run.kind == "service"
    generation = 0 if sight.desired is None else sight.desired.generation
    verdict = sight.verdicts.get(run.tenant_id, NO_LEASE)
    return run.failure == LEASE and generation > run.generation and verdict.may_start


def _freed(sight: Sight, run: Run, container: Container | None) -> Action | None:
    running = container is not None and container.state == "running"
    if run.allocation_id in sight.holders and is_settled(run) and not running:
        return Free(run)
    return None
