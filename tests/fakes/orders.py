"""Orders of the registry as the tests of the agent write them."""

import os
from collections.abc import Sequence

from protocol.desired import DesiredAllocation, DesiredState
from protocol.ids import new_id
from protocol.manifest import Manifest

BORN_AT_MS = 1_795_000_000_000
DIGEST = "sha256:" + "ab" * 32
IMAGE = f"registry.example/acme/work@{DIGEST}"


def fresh_id(kind: str) -> str:
    """Return an id that no other test has."""
    return new_id(kind, now_ms=BORN_AT_MS, entropy=os.urandom(12))


def numbered_id(kind: str, number: int) -> str:
    """Return always the same id for a number."""
    return new_id(kind, now_ms=BORN_AT_MS, entropy=number.to_bytes(12, "big"))


TENANT = numbered_id("tenant", 1)


def order(
    allocation_id: str,
    manifest: Manifest | None = None,
    *,
    tenant_id: str = TENANT,
    accelerators: int = 0,
    model: str = "Simulated GPU",
    phase: str = "running",
    released_at_ms: int | None = None,
) -> DesiredAllocation:
    """Return an order for a small container."""
    return DesiredAllocation(
        allocation_id=allocation_id,
        tenant_id=tenant_id,
        project_id="p_project",
        sku="demo.1x",
        accelerator_count=accelerators,
        accelerator_model=model,
        cpu_milli=500,
        memory_mib=64,
        disk_mib=64,
        manifest=manifest or Manifest(image=IMAGE),
        phase="absent" if phase == "absent" else "running",
        released_at_ms=released_at_ms,
    )


def orders(allocations: Sequence[DesiredAllocation], *, generation: int = 1) -> DesiredState:
    """Return everything the registry wants of a node."""
    return DesiredState(
        node_id="n_node", generation=generation, allocations=tuple(allocations), prices=()
    )
