"""One allocation as this node remembers it, from the intent to run it until it is absent."""

from dataclasses import dataclass
from typing import Literal

from protocol.observed import Phase

Kind = Literal["service", "task"]

LIVE_PHASES = frozenset({"probing", "running", "stopping"})
"""Phases in which there is, or was a moment ago, a container that has been started."""


@dataclass(frozen=True, slots=True)
class Run:
    """A row of the table `run`.

    known             whether the registry ever asked for it; else it was found, kept, reported
    attempt           counts the times it was begun anew: after a reboot, after a lease came back
    generation        of the desired state that was held when the phase began
    since_ms          when the phase began
    requested_at_ms   when the intent was written; nothing is charged from before it
    address           of the container, for probe and gateway; empty while there is none
    boot_id           of the boot in which it was begun, then of that in which it was started
    seen_at_ms        when the engine last had it running: nothing is charged past it
    stop_reason       why it is being stopped: `released`, `lease`, `probe_timeout`
    released_at_ms    when its release was asked for
    metered_to_ms     how far its usage is written down (metering's)
    closed            whether its usage is complete and closed (metering's)
    """

    allocation_id: str
    tenant_id: str
    project_id: str
    sku: str
    kind: Kind
    known: bool
    attempt: int
    generation: int
    phase: Phase
    since_ms: int
    requested_at_ms: int
    detail: str = ""
    accelerators: tuple[str, ...] = ()
    spec_hash: str = ""
    container_id: str = ""
    address: str = ""
    boot_id: str = ""
    started_at_ms: int | None = None
    ready_at_ms: int | None = None
    seen_at_ms: int | None = None
    stop_asked_at_ms: int | None = None
    stop_reason: str | None = None
    released_at_ms: int | None = None
    finished_at_ms: int | None = None
    exit_code: int | None = None
    failure: str | None = None
    metered_to_ms: int | None = None
    closed: bool = False


def is_settled(run: Run) -> bool:
    """Whether nothing of it remains to be metered, so that its GPUs may go to another."""
    return run.phase in ("exited", "absent") and (run.closed or run.ready_at_ms is None)


def last_tick_ms(run: Run) -> int | None:
    """Return how far its usage is durable: where a run ends whose container was lost."""
    return run.metered_to_ms if run.metered_to_ms is not None else run.ready_at_ms
