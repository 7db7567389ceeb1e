"""What can be done next about one allocation.  Each is small, and safe to do again."""

from dataclasses import dataclass
from typing import Literal

from agent.allocations.run import Run
from agent.allocations.runtime import Container
from protocol.desired import DesiredAllocation
from protocol.manifest import Probe

StopReason = Literal["released", "lease", "probe_timeout"]


@dataclass(frozen=True, slots=True)
class Begin:
    """Write the intent: from now on this allocation has a run, and its GPUs are its own."""

    desired: DesiredAllocation
    container: Container | None


@dataclass(frozen=True, slots=True)
class Claim:
    """Try again to get the GPUs that were not free before."""

    desired: DesiredAllocation
    run: Run


@dataclass(frozen=True, slots=True)
class PullImage:
    """See that the image is here; the run moves on once it is."""

    desired: DesiredAllocation
    run: Run


@dataclass(frozen=True, slots=True)
class Create:
    """Make the container, unstarted."""

    desired: DesiredAllocation
    run: Run


@dataclass(frozen=True, slots=True)
class Discard:
    """Remove a container that does not run and must not: it never started, or is of another go."""

    run: Run
    container: Container


@dataclass(frozen=True, slots=True)
class Start:
    """Compare the container with its spec, and start it."""

    desired: DesiredAllocation
    run: Run
    container: Container


@dataclass(frozen=True, slots=True)
class Adopt:
    """Note a container that was started as this run's own: its id, start and boot.

    ready  whether it counts as ready from its start on; else it is to be probed, or never charged
    """

    run: Run
    container: Container
    phase: Literal["probing", "running", "stopping"]
    ready: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the container whether it is ready."""

    run: Run
    container: Container
    probe: Probe


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask it to end.  The bill of a release ends with the release, not with the container."""

    run: Run
    container: Container
    reason: StopReason
    released_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """End it: it had its time to end by itself."""

    run: Run
    container: Container


@dataclass(frozen=True, slots=True)
class Finish:
    """Note that nothing of it runs any more.  failure: None if it ended as it should."""

    run: Run
    finished_at_ms: int | None
    exit_code: int | None
    failure: str | None


@dataclass(frozen=True, slots=True)
class Refuse:
    """Give it up before it ran."""

    run: Run
    failure: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Say why nothing happens yet."""

    run: Run
    detail: str


@dataclass(frozen=True, slots=True)
class Free:
    """Let its GPUs go: it has ended, and its usage is written down to the end."""

    run: Run


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove what is left of it, and report it absent."""

    run: Run
    container: Container | None


@dataclass(frozen=True, slots=True)
class NoteReleased:
    """Write a run for an allocation that is to be absent and that this node has no run of."""

    desired: DesiredAllocation
    container: Container | None


@dataclass(frozen=True, slots=True)
class NoteUnknown:
    """Write a run for a container that nobody asked for: it is kept, reported, never charged."""

    container: Container


@dataclass(frozen=True, slots=True)
class Forget:
    """Drop a run that is absent and that the registry does not list any more."""

    run: Run


Action = (
    Begin
    | Claim
    | PullImage
    | Create
    | Discard
    | Start
    | Adopt
    | Ask
    | Stop
    | Kill
    | Finish
    | Refuse
    | Wait
    | Free
    | Remove
    | NoteReleased
    | NoteUnknown
    | Forget
)


def allocation_of(action: Action) -> str:
    """Return the id of the allocation that an action is about."""
    match action:
        case Begin() | NoteReleased():
            return action.desired.allocation_id
        case NoteUnknown():
            return action.container.allocation_id
        case _:
            return action.run.allocation_id
