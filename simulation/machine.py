"""A machine at a site: its clocks, its disk, and the container engine on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from agent.accelerators.accelerator import Accelerator, Capability
from agent.allocations.runtime import (
    Container,
    ContainerSpec,
    EngineUnreachable,
    ImageFacts,
    Pulling,
)
from protocol.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from simulation.disk import Death, Disk, Killed
from simulation.timeline import Timeline

PPM = 1_000_000
DRIFT_PPM_MAX = 1_800
"""Within the 0.2 % by which leases are shortened."""

MODEL = "Simulated H100 80GB"
IMAGE_ID = "sha256:" + "ab" * 32
DEAF_PER_MILLE = 100
STOP_MS_MAX = 20 * SECOND_MS


class Machine:
    """Clocks of one machine.  It keeps its disk and engine through every reboot."""

    def __init__(self, name: str, timeline: Timeline, *, cards: int, drift_ppm: int) -> None:
        self.name = name
        self.disk = Disk()
        self.cards = tuple(_card(name, at) for at in range(cards))
        self.drift_ppm = drift_ppm
        self.asleep_until_ms = 0
        self.boots = 0
        self.wall_error_ms = 0
        self._timeline = timeline
        self._boot_at_ms = timeline.now_ms
        self._slept_ms = 0

    @property
    def boot_id(self) -> str:
        """Return the name of the present boot."""
        return f"{self.name}-boot-{self.boots}"

    def boot_ms(self) -> int:
        """Return CLOCK_BOOTTIME: suspend included, as fast as this machine's oscillator."""
        elapsed_ms = self._timeline.now_ms - self._boot_at_ms
        return elapsed_ms * (PPM + self.drift_ppm) // PPM

    def running_ms(self) -> int:
        """Return CLOCK_MONOTONIC, which stands still while the machine is suspended."""
        return self.boot_ms() - self._slept_ms

    def wall_ms(self) -> int:
        """Return the machine's own idea of the time."""
        return self._timeline.now_ms + self.wall_error_ms

    def reboot(self) -> None:
        """Begin a new boot, with its boottime at nothing."""
        self.boots += 1
        self._boot_at_ms, self._slept_ms = self._timeline.now_ms, 0

    def sleep_until(self, at_ms: int) -> None:
        """Suspend until a moment."""
        before_ms = self.boot_ms()
        elapsed_ms = at_ms - self._boot_at_ms
        self.asleep_until_ms = at_ms
        self._slept_ms += elapsed_ms * (PPM + self.drift_ppm) // PPM - before_ms

    @property
    def asleep(self) -> bool:
        """Return whether nothing happens here at present."""
        return self._timeline.now_ms < self.asleep_until_ms


@dataclass(slots=True)
class Stretch:
    """A container that ran: from when to when in true time, and what it held."""

    allocation_id: str
    cards: tuple[str, ...]
    begin_ms: int
    end_ms: int | None = None
    slept_ms: int = 0


class Engine:
    """`agent.allocations.runtime.Runtime` without containers: they end by chance or when told.

    doomed    the next call ends the agent, before it is done or after
    on_start  told of every container that begins to run, before it does
    """

    def __init__(
        self,
        machine: Machine,
        timeline: Timeline,
        chance: Random,
        *,
        on_start: Callable[[Container], None],
        on_exit: Callable[[Container], None],
    ) -> None:
        self.containers: dict[str, Container] = {}
        self.stretches: list[Stretch] = []
        self.doomed: Death | None = None
        self.silent_until_ms = 0
        self._machine = machine
        self._timeline = timeline
        self._chance = chance
        self._on_start = on_start
        self._on_exit = on_exit
        self._running: dict[str, Stretch] = {}
        self._made = 0

    async def list_containers(self) -> tuple[Container, ...]:
        self._answer()
        return tuple(self.containers.values())

    async def ensure_image(
        self, reference: str, *, allowed_registries: Sequence[str]
    ) -> ImageFacts | Pulling:
        self._answer()
        return ImageFacts(image_id=IMAGE_ID, architecture="amd64")

    async def create(self, spec: ContainerSpec) -> str:
        self._answer()
        for there in self.containers.values():
            if there.allocation_id == spec.allocation_id:
                return there.container_id
        self._made += 1
        container_id = f"{self._machine.name}-c{self._made}"
        self.containers[container_id] = Container(
            container_id=container_id,
            allocation_id=spec.allocation_id,
            tenant_id=spec.tenant_id,
            state="created",
            spec_hash=spec.spec_hash,
            accelerators=spec.accelerators,
        )
        self._done()
        return container_id

    async def start(self, container_id: str, spec: ContainerSpec) -> None:
        self._answer()
        container = self.containers[container_id]
        if container.state != "running":
            self._on_start(container)
            self._change(container_id, state="running", started_at_ms=self._machine.wall_ms())
            stretch = Stretch(spec.allocation_id, spec.accelerators, self._timeline.now_ms)
            self._running[container_id] = stretch
            self.stretches.append(stretch)
        self._done()

    async def terminate(self, container_id: str) -> None:
        self._answer()
        if self._chance.randrange(1_000) >= DEAF_PER_MILLE:
            self._timeline.after(
                self._chance.randrange(STOP_MS_MAX), lambda: self.exit(container_id, 143)
            )
        self._done()

    async def kill(self, container_id: str) -> None:
        self._answer()
        self.exit(container_id, 137)
        self._done()

    async def remove(self, container_id: str) -> None:
        self._answer()
        found = self.containers.get(container_id)
        assert found is None or found.state != "running"
        self.containers.pop(container_id, None)
        self._done()

    async def remove_network(self, allocation_id: str) -> None:
        self._answer()
        self._done()

    async def close(self) -> None:
        """There is nothing to let go of."""

    def exit(self, container_id: str, exit_code: int) -> None:
        """Let a container end; one that does not run stays as it is."""
        container = self.containers.get(container_id)
        if container is None or container.state != "running":
            return
        self._change(
            container_id,
            state="exited",
            finished_at_ms=self._machine.wall_ms(),
            exit_code=exit_code,
        )
        self._running.pop(container_id).end_ms = self._timeline.now_ms
        self._on_exit(container)

    def power_off(self) -> None:
        """Let every container end with its machine."""
        for container_id in list(self._running):
            self.exit(container_id, 137)

    def sleeps(self, ms: int) -> None:
        """Note how long running containers stand still."""
        for stretch in self._running.values():
            stretch.slept_ms += ms

    def running(self) -> list[Container]:
        """Return what runs."""
        return [self.containers[container_id] for container_id in self._running]

    def _change(self, container_id: str, **changes: object) -> None:
        changed = replace(self.containers[container_id], **changes)  # type: ignore[arg-type]
        self.containers[container_id] = changed

    def _answer(self) -> None:
        if self._timeline.now_ms < self.silent_until_ms:
            raise EngineUnreachable("The engine does not answer.")
        if self.doomed == "before":
            raise Killed

    def _done(self) -> None:
        if self.doomed == "after":
            raise Killed


class Guard:
    """`EgressGuard` whose rules always hold."""

    async def asserted(self) -> str | None:
        return None

    async def removed(self) -> None:
        """There is nothing to take away."""


def work_ms(chance: Random) -> int:
    """Return how long a task works before it ends by itself."""
    return chance.randint(5 * MINUTE_MS, 3 * HOUR_MS)


def _card(name: str, at: int) -> Accelerator:
    return Accelerator(
        uuid=f"GPU-{name}-{at}",
        index=at,
        model=MODEL,
        memory_mib=81_920,
        driver_version="simulated",
        simulated=True,
        pci_bus_id="",
        minor_number=None,
        mig_mode=None,
        capabilities=Capability(0),
    )
