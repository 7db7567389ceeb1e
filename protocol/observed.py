"""What a node sees of itself: accelerators, containers, models, and what is wrong."""

from typing import Annotated, Literal

import msgspec

NO_ZERO_BYTE = r"^[^\x00]*\Z"
"""PostgreSQL keeps no text with a zero byte in it; every text that is stored is bound by this."""

Text = Annotated[str, msgspec.Meta(max_length=256, pattern=NO_ZERO_BYTE)]
Label = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=NO_ZERO_BYTE)]
ShortText = Annotated[str, msgspec.Meta(max_length=64, pattern=NO_ZERO_BYTE)]
Moment = Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
AtMs = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799_999)]
"""A moment a calendar knows: up to the end of the year 9999."""

Small = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]

ALLOCATIONS_MAX = 512
ACCELERATORS_MAX = 16
MODELS_MAX = 128

Phase = Literal["pulling", "starting", "probing", "running", "stopping", "exited", "absent"]
"""Where a container stands on its node; `absent` when nothing of it is left."""


class AcceleratorFact(msgspec.Struct, frozen=True):
    """One GPU as its driver describes it; None where the driver cannot say."""

    uuid: Label
    model: Label
    memory_mib: Moment | None
    simulated: bool
    healthy: bool
    held_by: Label | None = None
    utilization_percent: Small | None = None
    memory_used_mib: Moment | None = None
    temperature_c: Small | None = None
    power_mw: Moment | None = None


class ObservedAllocation(msgspec.Struct, frozen=True):
    """One allocation as it stands on the node.

    since_ms     when this phase began
    ready_at_ms  when the probe passed: charging begins here
    failure      why it ended or never began, as a code: `image_missing`, `exited`, `lease`, …
    """

    allocation_id: Label
    phase: Phase
    since_ms: AtMs
    detail: Text = ""
    container_id: Text = ""
    started_at_ms: AtMs | None = None
    ready_at_ms: AtMs | None = None
    finished_at_ms: AtMs | None = None
    exit_code: Small | None = None
    failure: ShortText | None = None
    accelerators: Annotated[tuple[Label, ...], msgspec.Meta(max_length=ACCELERATORS_MAX)] = ()


class ServedModel(msgspec.Struct, frozen=True):
    """A model that the node's gateway offers."""

    name: Label
    ready: bool
    context_tokens: Moment | None = None
    owned_by: ShortText = ""


class HostFacts(msgspec.Struct, frozen=True):
    """The machine under the node."""

    hostname: Text
    cpu_count: Moment
    memory_mib: Moment
    disk_free_mib: Moment
    engine: Text
    kernel: Text
