"""A node's program on a machine: the shipped rooms, put together as `agent/node.py` does."""

from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from agent.accelerators.accelerator import Accelerator, Sample
from agent.allocations.container_spec import NodePolicy
from agent.allocations.loop import AllocationLoop, Allocations
from agent.allocations.operations import Moment
from agent.gateway.backends import Backend, Backends, Discovered
from agent.gateway.metered import Figures
from agent.health.facts import HostReading
from agent.metering.loop import Metering
from agent.metering.operations import begin_time
from agent.metering.timekeeper import NodeClock
from agent.observer import Observer
from agent.store.database import Db
from agent.sync.loop import SyncLoop, Uplink
from agent.sync.operations import Taken, stored_desired
from agent.sync.queries import list_trusted
from agent.sync.signer import Signer
from agent.usage_log.operations import audit_keys, park_broken, verify_log
from protocol import __version__
from protocol.price import Price
from protocol.signing import SigningKey, public_bytes
from protocol.sync import SyncAnswer
from simulation.calls import Calls
from simulation.centre import DOMAIN
from simulation.disk import Killed, MemoryStore
from simulation.machine import Engine, Guard, Machine
from simulation.network import Client, Link, Parcel, Reply
from simulation.setup import Setup
from simulation.timeline import Timeline

MODELS = ("sim-model",)
REST_MS = 1
"""A loop that was woken begins this much later, as a task of its own would."""


class Silent:
    """Notices that no simulated workload reads."""

    def prepare(self, allocation_id: str) -> None:
        """Make nothing."""

    def put(self, allocation_id: str, text: str | None) -> bool:
        """Change nothing."""
        return False

    def keep_only(self, allocation_ids: frozenset[str]) -> None:
        """Remove nothing."""


class Cards:
    """`AcceleratorSource`: the cards of the machine, which always answer."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def list_accelerators(self) -> tuple[Accelerator, ...]:
        return self._machine.cards

    async def read_samples(self, at_ms: int) -> tuple[Sample, ...]:
        return tuple(Sample(card.uuid, at_ms) for card in self._machine.cards)

    async def close(self) -> None:
        """There is nothing to let go of."""


class OneKey:
    """`KeyFiles`: a key that is never changed."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    @property
    def current(self) -> SigningKey:
        return self._key

    def find_next(self) -> SigningKey | None:
        return None

    def promote(self) -> None:
        """There is nothing to change to."""


class Work:
    """One loop of the agent: a pass every period and when woken, never twice at a time."""

    def __init__(
        self,
        agent: "Agent",
        name: str,
        work: Callable[[], Coroutine[Any, Any, str]],
        period_ms: Callable[[], int],
    ) -> None:
        self.name = name
        self._agent = agent
        self._work = work
        self._period_ms = period_ms
        self._under_way: Coroutine[Any, Any, str] | None = None
        self._woken = False
        self._due = 0

    def wake(self) -> None:
        """Have a pass begin at once, or right after the one under way."""
        if self._under_way is not None:
            self._woken = True
        else:
            self._begins_in(REST_MS)

    def end(self) -> None:
        """The program is gone, and this pass with it."""
        self._due += 1
        if self._under_way is not None:
            self._under_way.close()
            self._under_way = None

    def _begins_in(self, ms: int) -> None:
        self._due += 1
        due = self._due
        self._agent.machine_after(ms, lambda: self._begin(due))

    def _begin(self, due: int) -> None:
        if due == self._due and self._agent.alive and self._under_way is None:
            self._woken = False
            self._under_way = self._work()
            self._go_on(None)

    def _go_on(self, reply: Reply | None) -> None:
        """Drive the pass to where it waits for the registry, or to its end."""
        under_way = self._under_way
        if under_way is None:
            return
        try:
            parcel = under_way.send(reply)
        except StopIteration as stop:
            self._agent.told(self.name, stop.value)
        except Killed:
            self._under_way = None
            raise
        else:
            assert isinstance(parcel, Parcel)
            parcel.resume = self._resumed
            return
        self._under_way = None
        self._begins_in(REST_MS if self._woken else self._period_ms())

    def _resumed(self, reply: Reply | None) -> None:
        """Go on with an answer; a machine that is asleep does so when it wakes."""
        self._agent.machine_after(0, lambda: self._go_on(reply))


class Agent:
    """One life of the program, from its start until it is killed.

    on_killed  told when it ends at a statement that was chosen for it
    """

    def __init__(
        self,
        node_id: str,
        machine: Machine,
        engine: Engine,
        link: Link,
        key: SigningKey,
        timeline: Timeline,
        setup: Setup,
        *,
        new_nonce: Callable[[], str],
        changed: Callable[[SyncAnswer], SyncAnswer],
        on_killed: Callable[[], None],
        on_taken: Callable[[Taken], None],
    ) -> None:
        self.alive = True
        self.store = MemoryStore(machine.disk)
        self._node_id = node_id
        self._machine = machine
        self._engine = engine
        self._link = link
        self._timeline = timeline
        self._setup = setup
        self._on_killed = on_killed
        self._on_taken = on_taken
        state, floor_ms = self.store.run_now(
            begin_time,
            boot_id=machine.boot_id,
            boot_ms=machine.boot_ms(),
            wall_ms=machine.wall_ms(),
        )
        self.clock = NodeClock(state, boottime=machine.boot_ms, floor_ms=floor_ms)
        self._check_log(public_bytes(key))
        self.backends = Backends([_backend()])
        self.backends.note_answer(_backend(), [Discovered(model) for model in MODELS])
        self.observer = self._observer()
        self.calls = Calls(self.store, self.clock, machine, setup.chance(f"{node_id}/calls"))
        client = Client(
            node_id, link, key, signed=setup.signed, new_nonce=new_nonce, changed=changed
        )
        self._works = self._loops(client, key)
        for work in self._works.values():
            work.wake()

    def wake(self, *names: str) -> None:
        """Have these loops begin a pass at once."""
        for name in names:
            self._works[name].wake()

    def serves_nothing(self) -> None:
        """Let the model's engine go, so that nobody's keys are served here."""
        self.backends.note_silence(_backend(), "stopped")

    def kill(self) -> None:
        """End the program here; its disk and its containers stay."""
        self.alive = False
        self._link.forget()
        for work in self._works.values():
            work.end()

    def machine_after(self, ms: int, happening: Callable[[], None]) -> None:
        """Let something happen in the program, later if the machine is asleep then."""

        def when_awake() -> None:
            if self._machine.asleep:
                self._timeline.at(self._machine.asleep_until_ms, when_awake)
            elif self.alive:
                self.do(happening)

        self._timeline.after(ms, when_awake)

    def do(self, happening: Callable[[], None]) -> None:
        """Let something happen in the program, which may be the last that does."""
        try:
            happening()
        except Killed:
            self._on_killed()

    def told(self, work: str, report: str) -> None:
        """Write down how a pass went."""
        self._timeline.tell(self._machine.name, f"{work}: {report}")

    def _loops(self, client: Client, key: SigningKey) -> dict[str, Work]:
        sync = SyncLoop(self._uplink(client, key))
        metered = partial(self._metered, self._metering())
        look = AllocationLoop(self._allocations())
        return {
            "allocations": Work(self, "allocations", look, lambda: self._setup.look_ms),
            "metering": Work(self, "metering", metered, lambda: self._setup.tick_ms),
            "sync": Work(self, "sync", sync, sync.period_ms),
        }

    async def _metered(self, metering: Metering) -> str:
        report = await metering()
        self.wake("allocations")
        return report

    def _check_log(self, public_key: bytes) -> None:
        trusted = self.store.run_now(list_trusted)
        keys = audit_keys(registry_domain=DOMAIN, node=public_key, witnesses=list(trusted.values()))
        report = self.store.run_now(verify_log, keys, whole=False)
        if report.fault is not None:
            self.store.run_now(park_broken, report)

    def _moment(self) -> Moment:
        return Moment(
            now_ms=self.clock.now_ms(),
            boot_id=self._machine.boot_id,
            boot_ms=self._machine.boot_ms(),
            wall_ms=self._machine.wall_ms(),
        )

    def _observer(self) -> Observer:
        reading = HostReading(8, 10, 500, 65_536, 32_768, "/", 500_000, 250_000, 1_000)
        return Observer(
            store=self.store,
            source=Cards(self._machine),
            read_host=lambda: reading,
            clock=self.clock,
            backends=self.backends,
            figures=Figures(),
            gateway_url="https://node.example",
            engine="simulated",
            demo=True,
            boot_id=self._machine.boot_id,
        )

    def _allocations(self) -> Allocations:
        return Allocations(
            store=self.store,
            runtime=self._engine,
            guard=Guard(),
            desired=stored_desired,
            paces=lambda _: {},
            notices=Silent(),
            inventory=self.observer.inventory,
            policy=NodePolicy(node_id=self._node_id, demo=True),
            moment=self._moment,
            on_change=lambda: self.wake("metering", "sync"),
        )

    def _metering(self) -> Metering:
        return Metering(
            self.store,
            self.clock,
            running=self._machine.running_ms,
            period_ms=self._setup.tick_ms,
            heartbeat_ms=2 * self._setup.tick_ms,
            prices=_prices,
            skew=lambda: -self.clock.state.correction_ms,
            on_uncovered=lambda: self.wake("allocations"),
        )

    def _uplink(self, client: Client, key: SigningKey) -> Uplink:
        def on_taken(taken: Taken) -> None:
            self._on_taken(taken)
            if taken.change.desired is not None:
                self.wake("allocations")

        chance = self._setup.chance(f"{self._node_id}/{self._timeline.now_ms}")
        return Uplink(
            store=self.store,
            registry=client,
            clock=self.clock,
            wall=self._machine.wall_ms,
            boot_id=self._machine.boot_id,
            keys=Signer(OneKey(key)),
            observe=self.observer.observed,
            on_taken=on_taken,
            chance=lambda: chance.randrange(1_000_000),
            agent_version=__version__,
            period_ms=self._setup.sync_ms,
        )


def _backend() -> Backend:
    return Backend(name="engine", url="http://127.0.0.1:9", models=MODELS)


def _prices(db: Db) -> Sequence[Price]:
    state = stored_desired(db)
    return state.prices if state is not None else ()
