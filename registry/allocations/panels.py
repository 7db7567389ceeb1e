"""What the pages of workloads show, made from what is known of an allocation."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from protocol.lifecycle import FINAL, Event, State, may_move
from registry.allocations.progress import PHASE_FACTS, node_trouble
from registry.allocations.seen import (
    FINISHED,
    KEPT_IN_ACTIVE_MS,
    UNSETTLED,
    SeenAllocation,
    SeenEvent,
)
from registry.nodes.node import NodeAccelerator
from web.format import memory, utc_clock, utc_iso
from web.view_models.allocations import ReceiptRow, WorkloadPage, WorkloadRow
from web.view_models.parts import Activity, Fact, GpuRow, PathStep

PHASE_STEPS = {"pulling": "Image", "starting": "Start", "probing": "Probe"}
PHASE_OF_FACT = {PHASE_FACTS[phase]: phase for phase in PHASE_STEPS}
BEFORE_THE_NODE = "the node has not answered yet"
FUTURE_OF_RELEASE = (PathStep("Released", "future"),)
ENDINGS = {
    State.FAILED: ("Failed", "failed"),
    State.SKU_UNAVAILABLE: ("Not available", "failed"),
    State.RELEASE_FAILED: ("Release failed", "failed"),
    State.INSUFFICIENT_BALANCE: ("Out of balance", "failed"),
    State.STOPPING: ("Stopping", "current"),
    State.STOPPED: ("Stopped", "done"),
    State.RELEASING: ("Releasing", "current"),
    State.RELEASED: ("Released", "done"),
}
REASONS = {
    State.INSUFFICIENT_BALANCE: (
        "The balance was used up, so it stopped. Add funds, then launch it again."
    ),
    State.RELEASE_FAILED: "Its node could not clean up. It is not charged; release it again.",
}
CSV_HEADER = (
    "id",
    "name",
    "state",
    "charging",
    "accelerators",
    "accelerator",
    "simulated",
    "site",
    "node",
    "micros_per_hour",
    "micros_total",
    "owner",
    "created_utc",
    "ended_utc",
)


@dataclass(frozen=True, slots=True)
class Beside:
    """What a workload's page shows from other rooms, and what its reader may do.

    node_href  nothing for those who may not see the node
    """

    gpus: tuple[GpuRow, ...]
    receipts: tuple[ReceiptRow, ...]
    may_release: bool
    may_launch: bool
    node_href: str


def workload_row(seen: SeenAllocation, *, now_ms: int) -> WorkloadRow:
    """Return the row of an allocation in a list."""
    ended = seen.ended_at_ms
    return WorkloadRow(
        allocation_id=seen.allocation_id,
        name=seen.name,
        href=f"/workloads/{seen.allocation_id}",
        state=seen.shown_state,
        charging=seen.is_charging,
        gpu_count=seen.accelerator_count,
        accelerator=seen.accelerator_model,
        simulated=seen.simulated,
        site=seen.site_name,
        created_at_ms=seen.created_at_ms,
        price_micros_per_hour=seen.hourly_micros,
        cost_micros=seen.charged_micros,
        owner=seen.owner,
        no_contact_since_at_ms=seen.silent_since_ms(now_ms),
        moved_to_history=ended is not None and now_ms - ended < KEPT_IN_ACTIVE_MS,
    )


def csv_row(seen: SeenAllocation) -> tuple[str | int, ...]:
    """Return the row of an allocation in a file, in the order of CSV_HEADER."""
    return (
        seen.allocation_id,
        seen.name,
        seen.state.value,
        "yes" if seen.is_charging else "no",
        seen.accelerator_count,
        seen.accelerator_model,
        "yes" if seen.simulated else "no",
        seen.site_name,
        seen.node_name,
        seen.hourly_micros,
        seen.charged_micros,
        seen.owner,
        utc_iso(seen.created_at_ms),
        "" if seen.ended_at_ms is None else utc_iso(seen.ended_at_ms),
    )


def gpu_row(index: int, card: NodeAccelerator) -> GpuRow:
    """Return a GPU of a workload, as its node last reported it."""
    return GpuRow(
        index=index,
        name=card.model,
        uuid=card.uuid,
        simulated=card.simulated,
        memory_total_mib=card.memory_mib,
        memory_used_mib=card.memory_used_mib,
        utilization_percent=card.utilization_percent,
        temperature_c=card.temperature_c,
        power_w=None if card.power_mw is None else card.power_mw // 1000,
    )


def workload_page(
    seen: SeenAllocation, events: Sequence[SeenEvent], beside: Beside, *, now_ms: int
) -> WorkloadPage:
    """Return the page of one workload."""
    return WorkloadPage(
        now_ms=now_ms,
        live_url=f"/workloads/{seen.allocation_id}",
        changing=seen.state in UNSETTLED,
        allocation_id=seen.allocation_id,
        name=seen.name,
        state=seen.shown_state,
        path=state_path(seen, events),
        charging=seen.is_charging,
        price_micros_per_hour=seen.hourly_micros,
        cost_micros=seen.charged_micros,
        created_at_ms=seen.created_at_ms,
        owner=seen.owner,
        facts=facts(seen),
        gpus=beside.gpus,
        gpu_count=seen.accelerator_count,
        ended=seen.state in FINAL,
        activity=activity(seen, events),
        receipts=beside.receipts,
        reason=reason(seen, events, now_ms=now_ms),
        release_asked_at_ms=seen.release_at_ms,
        release_answered_at_ms=seen.ended_at_ms if seen.state in FINAL else None,
        charging_since_at_ms=seen.ready_at_ms if seen.is_charging else None,
        charging_stopped_at_ms=_stopped_at_ms(seen, events),
        held_micros=seen.held_micros(now_ms),
        node_name=seen.node_name,
        node_href=beside.node_href,
        site=seen.site_name,
        no_contact_since_at_ms=seen.silent_since_ms(now_ms),
        can_release=beside.may_release,
        releasable=may_move(seen.state, Event.RELEASE),
        losses=losses(seen),
        relaunch_href=_relaunch(seen) if beside.may_launch else "",
        receipts_url="/billing/ledger",
    )


def state_path(seen: SeenAllocation, events: Sequence[SeenEvent]) -> tuple[PathStep, ...]:
    """Return the steps done with their times and facts, the present one, and those to come."""
    steps = [*_beginning(events), *_preparing(seen, events)]
    if seen.state in (State.REQUESTED, State.PROVISIONING):
        begun = {step.label for step in steps}
        to_come = ("Placed", *PHASE_STEPS.values(), "Active")
        latest = max((to_come.index(label) for label in begun if label in to_come), default=-1)
        future = [PathStep(label, "future") for label in to_come[latest + 1 :]]
        if all(step.status == "done" for step in steps):
            future[0] = replace(future[0], status="current", fact=BEFORE_THE_NODE)
        return (*steps, *future)
    active = _last(events, State.ACTIVE)
    if active is not None:
        steps.append(PathStep("Active", "done", active.at_ms, "charging from here"))
    elif seen.state is State.FAILED and steps and steps[-1].label in PHASE_STEPS.values():
        steps[-1] = replace(steps[-1], status="failed")
    ending = ENDINGS.get(seen.state)
    if ending is not None:
        label, status = ending if seen.shown_state != FINISHED else ("Finished", "done")
        last = _last(events, seen.state)
        at_ms, fact = (last.at_ms, last.fact) if last else (None, "")
        steps.append(PathStep(label, status, at_ms, fact))
    return (*steps, *(FUTURE_OF_RELEASE if seen.state is State.RELEASING else ()))


def activity(seen: SeenAllocation, events: Iterable[SeenEvent]) -> tuple[Activity, ...]:
    """Return what happened, the latest first."""
    actors = {"node": seen.node_name, "registry": "Registry"}
    return tuple(
        Activity(event.at_ms, actors.get(event.actor, event.actor), _sentence(event.fact))
        for event in reversed(tuple(events))
    )


def facts(seen: SeenAllocation) -> tuple[Fact, ...]:
    """Return what describes the workload."""
    manifest = seen.manifest
    shape = f"{seen.sku_name}, simulated" if seen.simulated else seen.sku_name
    found = [
        Fact("Site", seen.site_name),
        Fact("Shape", shape),
        Fact("Image", manifest.image, "code"),
    ]
    if manifest.command:
        found.append(Fact("Command", shlex.join(manifest.command), "code"))
    if manifest.environment:
        found.append(Fact("Environment", ", ".join(sorted(manifest.environment)), "code"))
    if manifest.ports:
        found.append(Fact("Ports", ", ".join(str(port) for port in manifest.ports)))
    found.append(Fact("Root file system", "read-only" if manifest.read_only_root else "writable"))
    if seen.container_id:
        found.append(Fact("Container", seen.container_id[:12], "code"))
    if seen.exit_code is not None:
        found.append(Fact("Exit code", str(seen.exit_code)))
    return tuple(found)


def losses(seen: SeenAllocation) -> tuple[str, ...]:
    """Return what a release deletes."""
    lost = [f"Scratch files: up to {memory(seen.manifest.scratch_mib)}"]
    if not seen.manifest.read_only_root:
        lost.append("Everything written inside the container")
    return tuple(lost)


def reason(seen: SeenAllocation, events: Sequence[SeenEvent], *, now_ms: int) -> str:
    """Return why it failed, stopped or waits, in words; nothing when all is well."""
    if seen.state in REASONS:
        return REASONS[seen.state]
    if seen.state in (State.FAILED, State.SKU_UNAVAILABLE):
        return seen.last_fact
    if seen.state is State.RELEASED and seen.reason:
        return seen.last_fact
    if seen.state is State.RELEASING and seen.silent_since_ms(now_ms) is not None:
        stopped = _stopped_at_ms(seen, events)
        since = f" after {utc_clock(stopped)}" if stopped is not None else ""
        return f"Queued: the node does it on contact. You are not charged{since}."
    return node_trouble(seen.trouble, seen.state) if seen.trouble else ""


def _beginning(events: Sequence[SeenEvent]) -> list[PathStep]:
    asked = _first(events, State.REQUESTED)
    placed = _first(events, State.PROVISIONING)
    steps = []
    if asked is not None:
        steps.append(PathStep("Requested", "done", asked.at_ms, f"by {asked.actor}"))
    if placed is not None:
        steps.append(PathStep("Placed", "done", placed.at_ms, _place(placed.fact)))
    return steps


def _preparing(seen: SeenAllocation, events: Sequence[SeenEvent]) -> list[PathStep]:
    """Return a step per phase of provisioning that the node told of, in the order they began."""
    begun: dict[str, tuple[int, str]] = {}
    phase = "pulling"
    for event in [event for event in events if event.state is State.PROVISIONING][1:]:
        phase = PHASE_OF_FACT.get(event.fact, phase)
        first_at_ms = begun[phase][0] if phase in begun else event.at_ms
        begun[phase] = (first_at_ms, event.fact)
    steps = []
    for name in begun:
        at_ms, fact = begun[name]
        is_now = seen.state is State.PROVISIONING and name == phase
        shown = fact if is_now or fact not in PHASE_OF_FACT else ""
        steps.append(PathStep(PHASE_STEPS[name], "current" if is_now else "done", at_ms, shown))
    return steps


def _stopped_at_ms(seen: SeenAllocation, events: Sequence[SeenEvent]) -> int | None:
    """Return when charging ended, of something that was ever charged."""
    if seen.is_charging or seen.ready_at_ms is None:
        return None
    after = [event.at_ms for event in events if event.state not in (State.ACTIVE, *UNSTARTED)]
    known = [at for at in (seen.release_at_ms, seen.ended_at_ms, *after[:1]) if at is not None]
    return min(known, default=None)


UNSTARTED = (State.REQUESTED, State.PROVISIONING)


def _relaunch(seen: SeenAllocation) -> str:
    ended = seen.state in FINAL or seen.state is State.INSUFFICIENT_BALANCE
    return f"/launch?from={seen.allocation_id}" if ended else ""


def _first(events: Iterable[SeenEvent], state: State) -> SeenEvent | None:
    return next((event for event in events if event.state is state), None)


def _last(events: Sequence[SeenEvent], state: State) -> SeenEvent | None:
    return _first(reversed(events), state)


def _place(fact: str) -> str:
    return fact.removeprefix("Placed on ").removesuffix(".")


def _sentence(fact: str) -> str:
    begun = fact[:1].upper() + fact[1:]
    return begun if begun.endswith((".", "!", "?")) else f"{begun}."
