"""What a container engine and a firewall must do for this node, and the words they answer in.

    Fault
      EngineFault            the engine broke off something; `code` says what
        EngineUnreachable    nothing is known: no container is taken for exited
    Refusal
      ImageRefused, …        made by `images` and `container_spec`

Nothing here blocks the caller: a driver has threads of its own and a deadline for every call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from protocol.refusal import Fault

ContainerState = Literal["created", "running", "exited"]
"""`created` never ran; paused and restarting count as running, dead and removing as exited."""


class EngineFault(Fault):
    """The engine did not do what it was asked.  code: stable, becomes the run's failure."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class EngineUnreachable(EngineFault):
    """The engine does not answer, so that nothing is known about any container."""

    def __init__(self, message: str) -> None:
        super().__init__("engine_unreachable", message)


@dataclass(frozen=True, slots=True)
class Container:
    """One container of this node as the engine describes it; labels of ours are read back.

    started_at_ms   when it last started, by the engine; None if it never did
    address         where the gateway and the probe reach it; empty while it has none
    """

    container_id: str
    allocation_id: str
    tenant_id: str
    state: ContainerState
    spec_hash: str = ""
    accelerators: tuple[str, ...] = ()
    started_at_ms: int | None = None
    finished_at_ms: int | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    address: str = ""


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """What an image on this node says of itself.

    digests   every `name@sha256:…` under which a registry served it; none if imported by hand
    """

    image_id: str
    architecture: str
    digests: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    working_directory: str = ""
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pulling:
    """An image on its way here."""

    detail: str


@dataclass(frozen=True, slots=True)
class Ulimit:
    """A resource limit; soft and hard are the same."""

    name: str
    value: int


@dataclass(frozen=True, slots=True)
class Tmpfs:
    """A file system in the container's own memory, writable for its user alone."""

    path: str
    size_mib: int


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """Everything in which one container may differ from another.

    What the baseline fixes for all (no capability, no privilege, no host path but that of the
    notices, no published port) cannot be said here at all; the driver adds it and checks that the
    engine took it.

    image_id           by content, as the engine found it for the manifest's reference
    network            name of its own bridge, None for no network whatever
    notices            folder of the node's own that is mounted read-only at /run/outstation;
                       empty for none
    devices            UUIDs of real GPUs to be injected; simulated ones are not
    """

    name: str
    image_id: str
    allocation_id: str
    tenant_id: str
    node_id: str
    generation: int
    uid: int
    gid: int
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    working_directory: str | None
    read_only_root: bool
    tmpfs: tuple[Tmpfs, ...]
    memory_bytes: int
    shm_bytes: int
    nano_cpus: int
    pids: int
    ulimits: tuple[Ulimit, ...]
    network: str | None
    interface: str | None
    resolvers: tuple[str, ...]
    devices: tuple[str, ...]
    accelerators: tuple[str, ...]
    runtime: str
    log_file_mib: int
    log_files: int
    spec_hash: str = ""
    notices: str = ""


class Runtime(Protocol):
    """What a container engine does.  Any call may raise EngineUnreachable."""

    async def list_containers(self) -> tuple[Container, ...]:
        """Return every container with this node's label, whatever its state."""

    async def ensure_image(
        self, reference: str, *, allowed_registries: Sequence[str]
    ) -> ImageFacts | Pulling:
        """Return the image if it is here; else begin to pull it, and say how far that is.

        Raises EngineFault `image_missing`, `image_digest_mismatch`, `image_pull_stalled`, or
        Refusal `image_not_allowed`; asking again after a fault begins anew.
        """

    async def create(self, spec: ContainerSpec) -> str:
        """Make the container and its network without starting it; return its id.

        Made twice, it is still one container: the first one's id comes back.
        """

    async def start(self, container_id: str, spec: ContainerSpec) -> None:
        """Start a created container if the engine made it exactly as `spec` says.

        On any difference the container is removed and EngineFault `start_refused` raised; else
        EngineFault `start_failed` or `no_gpu_runtime` if the engine cannot start it.
        """

    async def terminate(self, container_id: str) -> None:
        """Send SIGTERM and return at once; a container that does not run is left alone."""

    async def kill(self, container_id: str) -> None:
        """Send SIGKILL; a container that does not run is left alone."""

    async def remove(self, container_id: str) -> None:
        """Remove a container that does not run, and its anonymous volumes; absent is fine."""

    async def remove_network(self, allocation_id: str) -> None:
        """Remove the allocation's network; absent is fine."""

    async def close(self) -> None:
        """Let go of the engine; what runs goes on."""


class EgressGuard(Protocol):
    """What keeps containers off the host, the site's network and metadata addresses."""

    async def asserted(self) -> str | None:
        """Put the rules in place again; return why they are not, None if they are."""

    async def removed(self) -> None:
        """Take every rule of ours away again."""
