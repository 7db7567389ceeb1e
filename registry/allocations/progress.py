"""What a node's report means for an allocation: the event, and the fact that explains it."""

from dataclasses import dataclass

from msgspec.structs import replace

from protocol.lifecycle import Event, State, may_move
from protocol.observed import ObservedAllocation, Phase

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


NODE_TROUBLES = {
    "docker_down": "its container engine does not answer",
    "gpu_lost": "a GPU of it does not answer",
    "gpu_hot": "a GPU of it is too hot",
    "driver_missing": "its GPU driver does not work",
    "disk_full": "its disk is full",
    "memory_low": "it is short of memory",
    "clock_skew": "its clock is wrong",
    "log_broken": "its usage log is damaged, so nothing can be metered",
    "log_refused": "its usage log was refused, so nothing can be billed",
    "egress_unprotected": "it cannot keep containers off the site's network",
    "registry_silent": "it does not reach us",
    "node_cloned": "a second machine uses its key",
}
"""What the findings that block a node mean to those whose work is there."""

SAID_IN_FULL = frozenset(
    {"exited", "oom_killed", "lease", "probe_timeout", "interrupted", "container_lost"}
)
"""Failures whose words leave nothing to add: the node's own sentence would say them twice."""

ENDED_WELL = (
    "The container ended by itself with exit code 0, but was launched to stay. If that is its end, "
    "launch it again to run to completion."
)
ENDED_BEFORE = "That was before its release reached the node; nothing of it is left there."

ASKED_FOR: dict[tuple[State, Phase], Event] = {
    (State.RELEASING, "absent"): Event.GONE,
    (State.RELEASE_FAILED, "absent"): Event.GONE,
    (State.STOPPING, "exited"): Event.STOPPED,
    (State.STOPPING, "absent"): Event.STOPPED,
}
"""Ends that somebody asked for: they are reached, whatever went wrong before the node heard."""


AHEAD_MS_SHOWN = 2_000
"""How far a node's clock may be ahead of ours before its moments are moved back to now."""


@dataclass(frozen=True, slots=True)
class Happening:
    """An event for the life cycle, with the code and the words for the state path."""

    event: Event
    reason: str
    fact: str


def timely(seen: ObservedAllocation, *, created_at_ms: int, now_ms: int) -> ObservedAllocation:
    """Return a report whose moments lie between the launch and now, by our clock.

    A node's clock may be off, and a node may lie; on the pages of a customer nothing happened
    before it was asked for, or will have happened.
    """

    def within(at_ms: int) -> int:
        return min(max(at_ms, created_at_ms), max(now_ms, created_at_ms) + AHEAD_MS_SHOWN)

    def within_if(at_ms: int | None) -> int | None:
        return None if at_ms is None else within(at_ms)

    return replace(
        seen,
        since_ms=within(seen.since_ms),
        started_at_ms=within_if(seen.started_at_ms),
        ready_at_ms=within_if(seen.ready_at_ms),
        finished_at_ms=within_if(seen.finished_at_ms),
    )


def happening(state: State, seen: ObservedAllocation) -> Happening | None:
    """Return what the node's report means in this state, or None if nothing moved.

    `absent` without a failure moves nothing that should run: the node begins it again by itself.
    """
    event = ASKED_FOR.get((state, seen.phase)) or _event(seen)
    if event is None or not may_move(state, event):
        return None
    told = fact(seen)
    if event is Event.GONE and seen.failure is not None:
        told = f"{told} {ENDED_BEFORE}"
    return Happening(event=event, reason=seen.failure or "", fact=told)


def fact(seen: ObservedAllocation) -> str:
    """Return the report in words."""
    if seen.failure == "exited" and seen.exit_code == 0:
        return ENDED_WELL
    if seen.failure is not None:
        words = FAILURES.get(seen.failure, f"The node reports {seen.failure}.")
        code = f" Exit code {seen.exit_code}." if seen.exit_code is not None else ""
        detail = "" if seen.failure in SAID_IN_FULL else seen.detail
        return f"{words}{code} {detail}".strip()
    if seen.phase == "exited":
        return f"Finished with exit code {seen.exit_code}."
    return seen.detail or PHASE_FACTS[seen.phase]


def node_trouble(code: str, state: State) -> str:
    """Return what is wrong with the node of a workload, and what that means for the workload."""
    why = NODE_TROUBLES.get(code, f"it reports {code}")
    follows = "It goes on as far as it can" if state is State.ACTIVE else "It waits until then"
    return f"Its node has a problem: {why}. The site's operator must mend it. {follows}."


def _event(seen: ObservedAllocation) -> Event | None:
    if seen.failure == "lease":
        return Event.LEASE_ENDED
    if seen.failure is not None:
        return Event.FAILED
    if seen.phase == "exited":
        return Event.FINISHED
    if seen.phase == "running" and seen.ready_at_ms is not None:
        return Event.READY
    return None
