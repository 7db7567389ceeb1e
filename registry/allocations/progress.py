"""What a node's report means for an allocation: the event, and the fact that explains it."""

from dataclasses import dataclass

from protocol.lifecycle import Event, State, may_move
from protocol.observed import ObservedAllocation

PHASE_FACTS = {
    "pulling": "fetching the image",
    "starting": "starting the container",
    "probing": "waiting until it answers",
    "running": "running",
    "stopping": "stopping",
    "exited": "ended",
    "absent": "nothing of it is left on the node",
}

FAILURES = {
    "image_missing": "The image is not on the node and cannot be fetched there.",
    "image_not_allowed": "The image may not run at this site.",
    "image_digest_mismatch": "The image on the node has another digest than the one asked for.",
    "start_refused": "The node would not start it: the engine would have given it other limits.",
    "start_failed": "The container could not be started.",
    "no_gpu_runtime": "The node's container engine cannot hand out its GPUs.",
    "accelerators_absent": "The node does not have such GPUs any more.",
    "accelerators_taken": "The node has fewer free GPUs than were promised.",
    "gpu_lost": "A GPU fell off the bus. Charging ended at its last good reading.",
    "probe_timeout": "It started but did not answer its probe in time.",
    "exited": "The container ended by itself.",
    "oom_killed": "The container was killed for using more memory than its shape has.",
    "lease": "The balance or the node's budget for it was used up.",
    "container_lost": "The container disappeared from the node.",
    "interrupted": "The node was restarted in the middle of it.",
    "image_pull_failed": "The image could not be fetched.",
    "image_pull_stalled": "Fetching the image stood still for too long.",
    "image_architecture": "The image is for another kind of processor.",
    "image_forbidden": "The image sets something that the node alone may set.",
    "shape_unavailable": "The machine is smaller than the shape.",
    "shape_unlimited": "The shape sets no limit where the node needs one.",
    "writable_root_not_allowed": "The site allows only a read-only root file system.",
    "egress_unprotected": "The node could not protect the site's network, so it started nothing.",
    "network_exhausted": "The node has no network left for it.",
    "network_refused": "The container engine would not make its network.",
    "name_taken": "The container engine has something of this name already.",
    "engine_error": "The container engine refused.",
    "engine_unreachable": "The container engine does not answer.",
}


@dataclass(frozen=True, slots=True)
class Happening:
    """An event for the life cycle, with the code and the words for the state path."""

    event: Event
    reason: str
    fact: str


def happening(state: State, seen: ObservedAllocation) -> Happening | None:
    """Return what the node's report means in this state, or None if nothing moved."""
    event = _event(seen)
    if event is None or not may_move(state, event):
        return None
    return Happening(event=event, reason=seen.failure or "", fact=fact(seen))


def fact(seen: ObservedAllocation) -> str:
    """Return the report in words."""
    if seen.failure is not None:
        words = FAILURES.get(seen.failure, f"The node reports {seen.failure}.")
        code = f" Exit code {seen.exit_code}." if seen.exit_code is not None else ""
        return f"{words}{code} {seen.detail}".strip()
    if seen.phase == "exited":
        return f"Finished with exit code {seen.exit_code}."
    return seen.detail or PHASE_FACTS[seen.phase]


def _event(seen: ObservedAllocation) -> Event | None:
    if seen.failure == "lease":
        return Event.LEASE_ENDED
    if seen.failure is not None:
        return Event.FAILED
    if seen.phase == "exited":
        return Event.FINISHED
    if seen.phase == "absent":
        return Event.GONE
    if seen.phase == "running" and seen.ready_at_ms is not None:
        return Event.READY
    return None
