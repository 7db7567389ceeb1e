"""What a node should run and at which prices: the registry's word, with a generation number.

An allocation leaves the node only by an explicit `absent`; one that is merely missing from the list
is kept and reported, so that an empty or partial list is never an order.
"""

from typing import Annotated, Literal

import msgspec

from protocol.manifest import Manifest
from protocol.observed import ALLOCATIONS_MAX, Label, Moment
from protocol.price import Price

PRICES_MAX = 1024
PURPOSE = "desired"


class DesiredAllocation(msgspec.Struct, frozen=True):
    """One allocation as it should stand on the node.

    phase           `running`, or `absent` once its release was asked for
    released_at_ms  when the release was asked for: nothing is charged from then on
    """

    allocation_id: Label
    tenant_id: Label
    project_id: Label
    sku: Label
    accelerator_count: Annotated[int, msgspec.Meta(ge=0, le=16)]
    accelerator_model: Label
    cpu_milli: Moment
    memory_mib: Moment
    disk_mib: Moment
    manifest: Manifest
    phase: Literal["running", "absent"]
    released_at_ms: Moment | None = None


class DesiredState(msgspec.Struct, frozen=True):
    """Everything the registry wants of one node, at one generation."""

    node_id: Label
    generation: Moment
    allocations: Annotated[tuple[DesiredAllocation, ...], msgspec.Meta(max_length=ALLOCATIONS_MAX)]
    prices: Annotated[tuple[Price, ...], msgspec.Meta(max_length=PRICES_MAX)]
