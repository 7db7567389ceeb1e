"""What each step makes of a run: values in, values out."""

from collections.abc import Sequence
from dataclasses import replace

from agent.allocations.actions import Adopt, Finish, Refuse, Stop
from agent.allocations.run import Run
from agent.allocations.runtime import Container
from protocol.desired import DesiredAllocation
from protocol.observed import ObservedAllocation, Phase

DETAIL_CHARACTERS_MAX = 256
FAILURE_CHARACTERS_MAX = 64


def begun(
    desired: DesiredAllocation,
    *,
    before: Run | None,
    generation: int,
    boot_id: str,
    now_ms: int,
) -> Run:
    """Return the intent to run `desired`, before anything of it exists."""
    return Run(
        allocation_id=desired.allocation_id,
        tenant_id=desired.tenant_id,
        project_id=desired.project_id,
        sku=desired.sku,
        kind=desired.manifest.kind,
        known=True,
        attempt=1 if before is None else before.attempt + 1,
        generation=generation,
        phase="pulling",
        since_ms=now_ms,
        requested_at_ms=now_ms,
        boot_id=boot_id,
    )


def claimed(run: Run, accelerators: Sequence[str]) -> Run:
    """Return the run holding these GPUs."""
    return replace(run, accelerators=tuple(accelerators), detail="")


def waiting(run: Run, detail: str) -> Run:
    """Return the run with why nothing happens yet."""
    return replace(run, detail=detail[:DETAIL_CHARACTERS_MAX])


def intended(run: Run, *, spec_hash: str, now_ms: int) -> Run:
    """Return the run whose image is here: a container by this spec may be made from now on."""
    return replace(run, phase="starting", since_ms=now_ms, detail="", spec_hash=spec_hash)


def adopted(action: Adopt, *, boot_id: str, now_ms: int, skew_ms: int = 0) -> Run:
    """Return the run whose container was started.

    Its start is kept as the engine wrote it, to know it again by; what is charged is in the node's
    own time, to which `skew_ms` brings it.  Nothing is charged from before the intent was written:
    a container that already ran then, and of which no run was left, starts to cost now.
    """
    run, container = action.run, action.container
    started_at_ms = container.started_at_ms
    assert started_at_ms is not None
    began_at_ms = min(max(started_at_ms + skew_ms, run.requested_at_ms), now_ms)
    finished_at_ms = container.finished_at_ms
    over_before = finished_at_ms is not None and finished_at_ms + skew_ms <= began_at_ms
    ready_at_ms = began_at_ms if action.ready and not over_before else None
    return replace(
        run,
        phase=action.phase,
        since_ms=now_ms,
        detail="",
        container_id=container.container_id,
        address=container.address,
        boot_id=boot_id,
        started_at_ms=started_at_ms,
        ready_at_ms=ready_at_ms,
        seen_at_ms=now_ms if container.state == "running" else None,
    )


def ready(run: Run, *, now_ms: int) -> Run:
    """Return the run whose probe has passed: charging begins."""
    return replace(run, phase="running", since_ms=now_ms, detail="", ready_at_ms=now_ms)


def stopping(action: Stop, *, now_ms: int) -> Run:
    """Return the run that was asked to end; an earlier request keeps its time and its reason."""
    run = action.run
    asked_before = run.stop_asked_at_ms is not None
    return replace(
        run,
        phase="stopping",
        since_ms=run.since_ms if run.phase == "stopping" else now_ms,
        detail="",
        stop_asked_at_ms=run.stop_asked_at_ms if asked_before else now_ms,
        stop_reason=run.stop_reason or action.reason,
        released_at_ms=action.released_at_ms or run.released_at_ms,
    )


def finished(action: Finish, *, generation: int, now_ms: int) -> Run:
    """Return the run of which nothing runs any more."""
    run = action.run
    finished_at_ms = action.finished_at_ms
    if finished_at_ms is not None:
        finished_at_ms = max(min(finished_at_ms, now_ms), run.ready_at_ms or 0)
    return replace(
        run,
        phase="exited",
        since_ms=now_ms,
        detail="" if action.failure is None else ended_sentence(action),
        generation=generation,
        address="",
        finished_at_ms=now_ms if finished_at_ms is None else finished_at_ms,
        exit_code=action.exit_code,
        failure=action.failure,
    )


def refused(action: Refuse, *, generation: int, now_ms: int) -> Run:
    """Return the run that was given up before it ran."""
    return replace(
        action.run,
        phase="exited",
        since_ms=now_ms,
        detail=action.sentence[:DETAIL_CHARACTERS_MAX],
        generation=generation,
        finished_at_ms=now_ms,
        failure=action.failure[:FAILURE_CHARACTERS_MAX],
    )


def absent(run: Run, *, now_ms: int) -> Run:
    """Return the run of which nothing is left on this machine."""
    return replace(run, phase="absent", since_ms=now_ms, detail="", address="", accelerators=())


def noted_unknown(container: Container, *, generation: int, boot_id: str, now_ms: int) -> Run:
    """Return a run for a container that nobody asked for: kept, reported and never charged."""
    running = container.state == "running"
    return Run(
        allocation_id=container.allocation_id,
        tenant_id=container.tenant_id,
        project_id="",
        sku="",
        kind="service",
        known=False,
        attempt=1,
        generation=generation,
        phase="running" if running else "exited",
        since_ms=now_ms,
        requested_at_ms=now_ms,
        detail="found here; the registry did not ask for it",
        accelerators=container.accelerators,
        spec_hash=container.spec_hash,
        container_id=container.container_id,
        address=container.address,
        boot_id=boot_id,
        started_at_ms=container.started_at_ms,
        finished_at_ms=container.finished_at_ms,
        exit_code=container.exit_code,
    )


def noted_released(
    desired: DesiredAllocation,
    container: Container | None,
    *,
    generation: int,
    boot_id: str,
    now_ms: int,
) -> Run:
    """Return a run for an allocation that is to be absent and of which no run was left."""
    run = begun(desired, before=None, generation=generation, boot_id=boot_id, now_ms=now_ms)
    phase: Phase = "absent" if container is None else "starting"
    return replace(run, phase=phase, spec_hash="" if container is None else container.spec_hash)


def observed(run: Run, *, engine_fault: str | None) -> ObservedAllocation:
    """Return what the registry is told; while the engine is silent, as it was last known."""
    detail = run.detail
    if engine_fault is not None and run.phase != "absent":
        detail = f"The container engine does not answer: {engine_fault}"
    return ObservedAllocation(
        allocation_id=run.allocation_id,
        phase=run.phase,
        since_ms=run.since_ms,
        detail=detail[:DETAIL_CHARACTERS_MAX].replace("\x00", "?"),
        container_id=run.container_id,
        started_at_ms=run.started_at_ms,
        ready_at_ms=run.ready_at_ms,
        finished_at_ms=run.finished_at_ms,
        exit_code=run.exit_code,
        failure=run.failure,
        accelerators=run.accelerators,
    )


def ended_sentence(action: Finish) -> str:
    """Return why it ended, for people."""
    sentences = {
        "lease": "Its budget lease ended.",
        "probe_timeout": "It did not answer its probe in time.",
        "oom_killed": "It used more memory than its limit.",
        "interrupted": "The machine or the container was restarted.",
        "container_lost": "Its container was removed from outside.",
        "exited": f"It ended with code {action.exit_code}.",
    }
    return sentences.get(str(action.failure), "")
