"""A container engine in memory, and a guard: they keep the promises of Runtime and EgressGuard.

The engine can be made to die: at a chosen call it raises Killed, before or after doing what it
was asked, which is what a kill of the whole agent at that moment looks like from inside.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from agent.allocations.runtime import (
    Container,
    ContainerSpec,
    EngineFault,
    EngineUnreachable,
    ImageFacts,
    Pulling,
)


class Killed(BaseException):
    """The agent ends here, as by kill -9."""


@dataclass
class FakeEngine:
    """now_ms is the engine's clock.  Set the other fields to make it misbehave."""

    now_ms: int = 1_000
    containers: dict[str, Container] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)
    specs: dict[str, ContainerSpec] = field(default_factory=dict)
    pulls_left: int = 0
    silent: bool = False
    deaf_to_sigterm: bool = False
    faults: dict[str, EngineFault] = field(default_factory=dict)
    die_at: int | None = None
    die_before: bool = False
    calls: list[str] = field(default_factory=list)
    made: int = 0

    async def list_containers(self) -> tuple[Container, ...]:
        self._called("list")
        return tuple(self.containers.values())

    async def ensure_image(
        self, reference: str, *, allowed_registries: Sequence[str]
    ) -> ImageFacts | Pulling:
        self._called("image")
        self._fail("image")
        if self.pulls_left:
            self.pulls_left -= 1
            return Pulling("50 %")
        return ImageFacts(image_id="sha256:1", architecture="amd64")

    async def create(self, spec: ContainerSpec) -> str:
        self._called("create", before=True)
        self._fail("create")
        for there in self.containers.values():
            if there.allocation_id == spec.allocation_id:
                return there.container_id
        self.made += 1
        container_id = f"c{self.made}"
        self.specs[container_id] = spec
        self.networks.add(spec.allocation_id)
        self.containers[container_id] = Container(
            container_id=container_id,
            allocation_id=spec.allocation_id,
            tenant_id=spec.tenant_id,
            state="created",
            spec_hash=spec.spec_hash,
            accelerators=spec.accelerators,
        )
        self._died()
        return container_id

    async def start(self, container_id: str, spec: ContainerSpec) -> None:
        self._called("start", before=True)
        self._fail("start")
        self._change(container_id, state="running", started_at_ms=self.now_ms, address="127.0.0.1")
        self._died()

    async def terminate(self, container_id: str) -> None:
        self._called("terminate", before=True)
        if not self.deaf_to_sigterm:
            self.exit(container_id, 143)
        self._died()

    async def kill(self, container_id: str) -> None:
        self._called("kill", before=True)
        self.exit(container_id, 137)
        self._died()

    async def remove(self, container_id: str) -> None:
        self._called("remove", before=True)
        self._fail("remove")
        assert self.containers[container_id].state != "running"
        del self.containers[container_id]
        self._died()

    async def remove_network(self, allocation_id: str) -> None:
        self._called("remove_network", before=True)
        self.networks.discard(allocation_id)
        self._died()

    async def close(self) -> None:
        """There is nothing to let go of."""

    def exit(self, container_id: str, exit_code: int, *, oom_killed: bool = False) -> None:
        """The container ends, for whatever reason."""
        if self.containers[container_id].state == "running":
            self._change(
                container_id,
                state="exited",
                finished_at_ms=self.now_ms,
                exit_code=exit_code,
                oom_killed=oom_killed,
                address="",
            )

    def _change(self, container_id: str, **changes: object) -> None:
        container = self.containers[container_id]
        self.containers[container_id] = replace(container, **changes)  # type: ignore[arg-type]

    def _called(self, name: str, *, before: bool = False) -> None:
        if self.silent:
            raise EngineUnreachable("no answer")
        self.calls.append(name)
        if self.die_at == len(self.calls) and (self.die_before or not before):
            self.die_at = None
            raise Killed

    def _died(self) -> None:
        if self.die_at == len(self.calls):
            self.die_at = None
            raise Killed

    def _fail(self, name: str) -> None:
        if name in self.faults:
            raise self.faults[name]


@dataclass
class FakeGuard:
    """An EgressGuard whose rules always hold, unless `fault` says why not."""

    fault: str | None = None

    async def asserted(self) -> str | None:
        return self.fault

    async def removed(self) -> None:
        """There is nothing to take away."""
