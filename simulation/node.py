"""One node: a machine, its line, the program on it, and everything that befalls them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from random import Random

from agent.allocations.plan import STOP_GRACE_MS
from agent.allocations.runtime import Container
from agent.sync.operations import Taken, note_enrolled
from protocol import PROTOCOL_VERSION, __version__
from protocol.clock import DAY_MS, MINUTE_MS
from protocol.enrolment import EnrolRequest
from protocol.observed import AcceleratorFact, HostFacts
from protocol.signing import SigningKey, new_signing_key, public_bytes
from protocol.sync import SyncAnswer
from registry.nodes.enrolment import NodeFacts
from registry.nodes.operations import Registry, add_node, enrol, issue_secret
from registry.store.database import Db
from registry.tenants.roles import console
from simulation.agent import Agent
from simulation.centre import DOMAIN, Centre
from simulation.lies import Liar
from simulation.machine import DRIFT_PPM_MAX, MODEL, STOP_MS_MAX, Engine, Machine, work_ms
from simulation.network import Link
from simulation.people import People
from simulation.setup import Setup
from simulation.timeline import Timeline
from simulation.truth import LeaseRow

DOWN_MS_MAX = 8 * MINUTE_MS
CALL_MS_MAX = 2 * MINUTE_MS
ENDS_PER_MILLE = 400
HOST = HostFacts("node", 8, 65_536, 250_000, "simulated", "simulated")


@dataclass(frozen=True, slots=True)
class Seen:
    """Who watches a node.

    started  a container is about to run
    answered an answer of the registry is about to be taken in
    taken    it was taken in
    granted  returns every lease there is, for those that lie
    """

    started: Callable[["Node", Container], None]
    answered: Callable[["Node", SyncAnswer], None]
    taken: Callable[["Node", Taken], None]
    granted: Callable[[], Mapping[int, LeaseRow]]


class Node:
    """A node from its enrolment on.

    disturbed_until_ms  until when its program or engine was not there to stop or to meter anything
    disturbed           whether that ever was so
    """

    def __init__(
        self, name: str, timeline: Timeline, setup: Setup, centre: Centre, seen: Seen, *, lies: bool
    ) -> None:
        self.name = name
        self.node_id = ""
        self.key: SigningKey = new_signing_key(setup.chance(f"{name}/key").randbytes(32))
        self.disturbed_until_ms = 0
        self.disturbed = False
        self.agent: Agent | None = None
        self.liar = Liar(setup.chance(f"{name}/lies"), timeline, seen.granted) if lies else None
        self._chance: Random = setup.chance(name)
        drift_ppm = self._chance.randint(-DRIFT_PPM_MAX, DRIFT_PPM_MAX)
        self.machine = Machine(
            name,
            timeline,
            cards=setup.cards,
            drift_ppm=drift_ppm if setup.has("drift") else 0,
        )
        self.engine = Engine(
            self.machine,
            timeline,
            setup.chance(f"{name}/engine"),
            on_start=self._starts,
            on_exit=lambda container: None,
        )
        self._timeline = timeline
        self._setup = setup
        self._centre = centre
        self._seen = seen
        self._nonces = 0
        self._quiet = False

    @property
    def honest(self) -> bool:
        """Return whether it does what the program says."""
        return self.liar is None

    def enrols(self, people: People, site_id: str) -> None:
        """Become a node of the registry."""
        facts = NodeFacts(self.name, "rack", MODEL, len(self.machine.cards), 0, 4)
        cards = tuple(
            AcceleratorFact(card.uuid, MODEL, 81_920, simulated=True, healthy=True)
            for card in self.machine.cards
        )

        def work(db: Db) -> None:
            now_ms, caller = self._timeline.now_ms, people.caller()
            self.node_id = add_node(
                db, facts, site_id=site_id, actor=console(), now_ms=now_ms, new_id=caller.new_id
            )
            trust = self._centre.policy.trust_keys
            _, secret = issue_secret(
                db,
                self.node_id,
                registry_key_id=trust[0].key_id,
                actor=console(),
                now_ms=now_ms,
                new_id=caller.new_id,
                entropy=caller.entropy,
            )
            request = EnrolRequest(
                secret=secret,
                public_key=public_bytes(self.key).hex(),
                agent_version=__version__,
                protocol=PROTOCOL_VERSION,
                boot_id=self.machine.boot_id,
                gateway_url="https://node.example",
                host=HOST,
                accelerators=cards,
            )
            answer = enrol(
                db,
                request,
                registry=Registry(DOMAIN, trust[0].key_id, trust, demo=True),
                source="",
                request_id="",
                now_ms=now_ms,
            )
            assert not isinstance(answer, Exception), answer
            with self.machine.disk.db.unit() as disk:
                note_enrolled(disk, answer, public_key=public_bytes(self.key), now_ms=now_ms)

        assert self._centre.do(work) == ""
        self.link = Link(self.name, self._timeline, self._setup, self._centre.receive)

    def begins(self) -> None:
        """Start the program, and let faults come."""
        self.starts_program()
        faults: dict[str, Callable[[], None]] = {
            "partition": self._is_cut_off,
            "crash": self._crashes,
            "reboot": self._reboots,
            "sleep": self._sleeps,
            "steps": self._clock_is_set,
            "engine": self._engine_is_silent,
        }
        for name, fault in faults.items():
            if self._setup.has(name):
                self._later(fault)
        self._timeline.after(self._chance.randrange(self._setup.call_ms), self._is_called)

    def starts_program(self) -> None:
        """Begin a life of the program, unless one is under way."""
        if self.agent is not None and self.agent.alive:
            return
        self.engine.doomed = None
        self._timeline.tell(self.name, f"starts in {self.machine.boot_id}")
        self.agent = Agent(
            self.node_id,
            self.machine,
            self.engine,
            self.link,
            self.key,
            self._timeline,
            self._setup,
            new_nonce=self._new_nonce,
            changed=self._changed,
            on_killed=self._ends,
            on_taken=lambda taken: self._seen.taken(self, taken),
        )

    def calms_down(self) -> None:
        """Let nothing befall it any more, and let it come back from whatever did."""
        self._quiet = True
        self.link.deaf_until_ms = self.link.mute_until_ms = 0
        self.link.calm = True
        self.engine.silent_until_ms = 0
        self.engine.doomed = None
        self.starts_program()
        assert self.agent is not None
        self.agent.store.doomed = None
        self.agent.serves_nothing()

    def is_disturbed(self, *, since_ms: int) -> bool:
        """Whether since then there was a time in which nothing could be stopped here."""
        return self.disturbed_until_ms > since_ms or self.agent is None or not self.agent.alive

    def _new_nonce(self) -> str:
        self._nonces += 1
        return sha256(f"{self.name}/{self._nonces}".encode()).hexdigest()[:32]

    def _changed(self, answer: SyncAnswer) -> SyncAnswer:
        self._seen.answered(self, answer)
        return answer if self.liar is None else self.liar.changed(answer)

    def _starts(self, container: Container) -> None:
        self._seen.started(self, container)
        self._timeline.tell(self.name, f"runs {container.allocation_id}")
        if self._chance.randrange(1_000) < ENDS_PER_MILLE:
            code = self._chance.choice([0, 0, 1])
            end = partial(self._ends_by_itself, container.container_id, code)
            self._timeline.after(work_ms(self._chance), end)

    def _ends_by_itself(self, container_id: str, exit_code: int) -> None:
        if self.machine.asleep:
            end = partial(self._ends_by_itself, container_id, exit_code)
            self._timeline.at(self.machine.asleep_until_ms, end)
        else:
            self.engine.exit(container_id, exit_code)

    def _is_called(self) -> None:
        """A model is called here, for some minutes at most."""
        agent = self.agent
        if agent is not None and agent.alive and not self.machine.asleep and not self._quiet:
            agent.do(lambda: self._call(agent))
        if not self._quiet:
            self._timeline.after(
                self._chance.randrange(1, 2 * self._setup.call_ms), self._is_called
            )

    def _call(self, agent: Agent) -> None:
        call = agent.calls.begin()
        if call is not None:
            ms = self._chance.randrange(CALL_MS_MAX)
            agent.machine_after(ms, lambda: agent.calls.end(call))
        if self.liar is not None:
            self.liar.acts(agent)

    def _is_cut_off(self) -> None:
        until_ms = self._timeline.now_ms + self._chance.randrange(self._setup.length_ms)
        which = self._chance.choice(["both", "deaf", "mute"])
        self._timeline.tell(self.name, f"cut off ({which})")
        if which != "mute":
            self.link.deaf_until_ms = until_ms
        if which != "deaf":
            self.link.mute_until_ms = until_ms

    def _crashes(self) -> None:
        """End the program: here, or at the next thing it keeps or asks its engine."""
        agent = self.agent
        if agent is None or not agent.alive:
            return
        match self._chance.randrange(5):
            case 0:
                self._ends()
            case 1 | 2:
                agent.store.doomed = self._chance.choice(["before", "after"])
            case _:
                self.engine.doomed = self._chance.choice(["before", "after"])

    def _ends(self) -> None:
        assert self.agent is not None
        self._timeline.tell(self.name, "ends")
        self.agent.kill()
        self._is_down_for(self._chance.randrange(DOWN_MS_MAX))

    def _is_down_for(self, ms: int) -> None:
        self._disturbed_for(ms)
        self._timeline.after(ms, self._comes_back)

    def _comes_back(self) -> None:
        if self.machine.asleep:
            self._timeline.at(self.machine.asleep_until_ms, self._comes_back)
        else:
            self.starts_program()

    def _reboots(self) -> None:
        if self.machine.asleep:
            return
        self._timeline.tell(self.name, "reboots")
        if self.agent is not None:
            self.agent.kill()
        self.engine.power_off()
        self.machine.reboot()
        if self._setup.has("steps") and self._chance.random() < 0.3:
            self.machine.wall_error_ms = -self._chance.randrange(2_000) * DAY_MS
        self._is_down_for(self._chance.randrange(DOWN_MS_MAX))

    def _sleeps(self) -> None:
        ms = self._chance.randrange(self._setup.length_ms)
        self._timeline.tell(self.name, f"sleeps for {ms} ms")
        self.engine.sleeps(ms)
        self.machine.sleep_until(self._timeline.now_ms + ms)
        self._disturbed_for(ms)

    def _clock_is_set(self) -> None:
        self.machine.wall_error_ms = self._chance.choice(
            [0, 1_000, -30_000, 2 * DAY_MS, -2 * DAY_MS]
        )
        self._timeline.tell(self.name, f"clock is off by {self.machine.wall_error_ms} ms")

    def _engine_is_silent(self) -> None:
        ms = self._chance.randrange(DOWN_MS_MAX)
        self._timeline.tell(self.name, f"engine silent for {ms} ms")
        self.engine.silent_until_ms = self._timeline.now_ms + ms
        self._disturbed_for(ms)

    def _disturbed_for(self, ms: int) -> None:
        self.disturbed = True
        self.disturbed_until_ms = max(self.disturbed_until_ms, self._timeline.now_ms + ms)

    def _later(self, fault: Callable[[], None]) -> None:
        def falls() -> None:
            if not self._quiet:
                fault()
                self._later(fault)

        self._timeline.after(self._chance.randrange(1, 2 * self._setup.gap_ms), falls)


def stop_ms(setup: Setup) -> int:
    """Return how long after its lease ended work may take to end at a node that is well.

    It is seen at the next look, asked to end, and killed at the first look after its grace.
    """
    return setup.tick_ms + 2 * setup.look_ms + STOP_GRACE_MS + STOP_MS_MAX + MINUTE_MS
