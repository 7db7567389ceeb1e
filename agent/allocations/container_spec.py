"""A manifest into a container, with every limit set and nothing of the host in it.

The manifest decides what runs; who it runs as, how much it may use and what it can reach are the
node's alone.  Whatever a manifest or an image says, the rest of the baseline (no capability, no
privilege, own seccomp profile, no host path, no published port) is the same for all: the driver
adds it and no field here can take it away.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from agent.allocations.images import checked_image
from agent.allocations.network_policy import INTERFACE_PREFIX, RESOLVERS_DEFAULT
from agent.allocations.runtime import ContainerSpec, ImageFacts, Tmpfs, Ulimit
from protocol.desired import DesiredAllocation
from protocol.ids import is_id
from protocol.manifest import Manifest, checked
from protocol.refusal import Refusal

UID_FIRST = 100_000
UID_COUNT = 1 << 30
"""User ids of containers: none of them is a user of the host, none is below 100000."""

SCRATCH_PATH = "/tmp"
PIDS_BARE = 1_024
PIDS_PER_ACCELERATOR = 1_024
PIDS_MAX = 4_096
"""Frameworks keep hundreds of threads per GPU; thousands of processes take long to end."""

OPEN_FILES_MAX = 16_384
LOCKED_BYTES_MAX = 64 * 1024
ULIMITS = (
    Ulimit("core", 0),
    Ulimit("memlock", LOCKED_BYTES_MAX),
    Ulimit("nofile", OPEN_FILES_MAX),
    Ulimit("nproc", PIDS_MAX),
)
"""None above what an engine without CAP_SYS_RESOURCE may hand on."""

SHM_MIB_MIN = 64
SHM_SHARE = 4
"""Shared memory gets this part of the memory limit, in which it counts."""

MEMORY_MIB_MIN = 8
LOG_FILE_MIB = 10
LOG_FILES = 3
BYTES_PER_MIB = 1 << 20
NANO_PER_MILLI = 1_000_000
INTERFACE_HEX_CHARACTERS = 12
"""With the prefix 14 characters: Linux takes at most 15 in the name of an interface."""


@dataclass(frozen=True, slots=True)
class NodePolicy:
    """What the site's operator settled for every container; the registry cannot widen it.

    allowed_registries  from which images may be pulled; none by default
    cpu_milli           thousandths of a processor this machine has; None is not checked
    writable_root       whether a manifest may ask for a root file system it can write
    resolvers           the only name servers that containers reach
    notices_folder      where folders for notices to workloads are; empty for none
    """

    node_id: str
    demo: bool = False
    allowed_registries: tuple[str, ...] = ()
    cpu_milli: int | None = None
    memory_mib: int | None = None
    writable_root: bool = False
    resolvers: tuple[str, ...] = RESOLVERS_DEFAULT
    runtime: str = "runc"
    notices_folder: str = ""


@dataclass(frozen=True, slots=True)
class Holding:
    """A GPU that the allocation holds."""

    uuid: str
    simulated: bool


def container_spec(
    desired: DesiredAllocation,
    policy: NodePolicy,
    *,
    generation: int,
    holdings: Sequence[Holding],
    image: ImageFacts,
    is_egress_guarded: bool,
) -> ContainerSpec:
    """Return the container for `desired`; refuse by name what this node does not run.

    Without a guard on what containers reach, a container gets no network at all, and one that
    must be reached is refused.
    """
    manifest = checked(desired.manifest)
    _check_shape(desired, policy)
    checked_image(image)
    if not is_egress_guarded and (manifest.ports or manifest.probe is not None):
        raise _unprotected()
    allocation_id, uid = desired.allocation_id, user_id(desired.allocation_id)
    spec = ContainerSpec(
        name=container_name(allocation_id),
        image_id=image.image_id,
        allocation_id=allocation_id,
        tenant_id=desired.tenant_id,
        node_id=policy.node_id,
        generation=generation,
        uid=uid,
        gid=uid,
        command=manifest.command,
        environment=_environment(manifest, allocation_id, holdings),
        working_directory=manifest.working_directory,
        read_only_root=manifest.read_only_root,
        tmpfs=_writable(image, manifest.scratch_mib),
        memory_bytes=desired.memory_mib * BYTES_PER_MIB,
        shm_bytes=max(SHM_MIB_MIN, desired.memory_mib // SHM_SHARE) * BYTES_PER_MIB,
        nano_cpus=desired.cpu_milli * NANO_PER_MILLI,
        pids=min(PIDS_BARE + PIDS_PER_ACCELERATOR * len(holdings), PIDS_MAX),
        ulimits=ULIMITS,
        network=container_name(allocation_id) if is_egress_guarded else None,
        interface=interface_name(allocation_id) if is_egress_guarded else None,
        resolvers=policy.resolvers,
        devices=tuple(held.uuid for held in holdings if not held.simulated),
        accelerators=tuple(held.uuid for held in holdings),
        runtime=policy.runtime,
        log_file_mib=LOG_FILE_MIB,
        log_files=LOG_FILES,
        notices=f"{policy.notices_folder}/{allocation_id}" if policy.notices_folder else "",
    )
    return replace(spec, spec_hash=spec_hash(spec))


def spec_hash(spec: ContainerSpec) -> str:
    """Return the SHA-256 over everything that makes the container; not over the generation."""
    bare = replace(spec, generation=0, spec_hash="")
    return hashlib.sha256(msgspec.json.encode(bare)).hexdigest()


def container_name(allocation_id: str) -> str:
    """Return the one name of an allocation's container: the engine takes no second of it."""
    return f"outstation-{allocation_id}"


def interface_name(allocation_id: str) -> str:
    """Return the name of the bridge of an allocation on the host, which firewall rules go by."""
    digest = hashlib.sha256(f"interface/{allocation_id}".encode()).hexdigest()
    return f"{INTERFACE_PREFIX}{digest[:INTERFACE_HEX_CHARACTERS]}"


def user_id(allocation_id: str) -> int:
    """Return the user and group id of an allocation's processes: always the same, its own."""
    digest = hashlib.sha256(f"user/{allocation_id}".encode()).digest()
    return UID_FIRST + int.from_bytes(digest[:8], "big") % UID_COUNT


def _check_shape(desired: DesiredAllocation, policy: NodePolicy) -> None:
    """Refuse ids that would leave their place in a path, and shapes without a limit."""
    if not is_id(desired.allocation_id, "allocation") or not is_id(desired.tenant_id, "tenant"):
        raise _refused("identity_malformed", "allocation_id", "An id has not the form of one.")
    if desired.cpu_milli < 1:
        raise _refused("shape_unlimited", "cpu_milli", "No share of a processor is named.")
    if desired.memory_mib < MEMORY_MIB_MIN:
        raise _refused("shape_unlimited", "memory_mib", f"Under {MEMORY_MIB_MIN} MiB of memory.")
    if policy.cpu_milli is not None and desired.cpu_milli > policy.cpu_milli:
        wanted, held = desired.cpu_milli, policy.cpu_milli
        raise _refused("shape_unavailable", "cpu_milli", f"{wanted}m CPU of {held}m here.")
    if policy.memory_mib is not None and desired.memory_mib > policy.memory_mib:
        wanted, held = desired.memory_mib, policy.memory_mib
        raise _refused("shape_unavailable", "memory_mib", f"{wanted} MiB of {held} MiB here.")
    if not desired.manifest.read_only_root and not policy.writable_root:
        raise _refused(
            "writable_root_not_allowed", "read_only_root", "This site allows read-only roots only."
        )


def _environment(
    manifest: Manifest, allocation_id: str, holdings: Sequence[Holding]
) -> tuple[tuple[str, str], ...]:
    """Return the manifest's variables under the node's own, which always win."""
    real = [held.uuid for held in holdings if not held.simulated]
    asked: Mapping[str, str] = manifest.environment
    variables = {
        "HOME": SCRATCH_PATH,
        "TMPDIR": SCRATCH_PATH,
        **asked,
        "OUTSTATION_ALLOCATION": allocation_id,
        "OUTSTATION_ACCELERATORS": ",".join(held.uuid for held in holdings),
        # Where the NVIDIA runtime is the engine's default, this variable alone would hand out
        # GPUs; `void` makes it leave the container alone.
        "NVIDIA_VISIBLE_DEVICES": ",".join(real) or "void",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility" if real else "",
    }
    return tuple(sorted(variables.items()))


def _writable(image: ImageFacts, size_mib: int) -> tuple[Tmpfs, ...]:
    """Return what can be written: a scratch folder, and where the image declares volumes."""
    paths = dict.fromkeys((SCRATCH_PATH, *sorted(image.volumes)))
    return tuple(Tmpfs(path, size_mib) for path in paths)


def _unprotected() -> Refusal:
    return Refusal(
        code="egress_unprotected",
        status=503,
        message="This node cannot keep containers off the site's network, so it runs none that "
        "need a network.",
        hint="Run the agent with the right to set firewall rules (CAP_NET_ADMIN).",
        field="ports",
    )


def _refused(code: str, field: str, message: str) -> Refusal:
    return Refusal(
        code=code,
        status=422,
        message=f"{field}: {message}",
        hint="Launch it with another shape, or on another node.",
        field=field,
    )
