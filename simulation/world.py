"""One run from its seed to its end: everything is put together, let go, calmed and looked over."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from sqlite3 import Connection

from agent.store.database import Db as AgentDb
from agent.usage_log.queries import get_log, list_entries
from protocol.clock import HOUR_MS, MINUTE_MS, SECOND_MS
from protocol.lifecycle import FINAL
from protocol.signing import public_bytes
from protocol.sync import SyncAnswer, SyncRequest
from registry.leases.queries import list_open
from registry.market.operations import open_site
from registry.sites.operations import add_site
from registry.sites.site import SiteFacts
from registry.store.database import Database, Db
from registry.tenants.operations import add_organization
from registry.tenants.roles import console
from registry.usage.queries import find_latest_log
from registry.usage.queries import list_entries as list_accepted
from registry.verification.operations import verify_everything
from simulation.centre import DOMAIN, SHARE_BASIS_POINTS, Centre
from simulation.disk import registry_database
from simulation.node import Node, Seen, stop_ms
from simulation.people import People, Told
from simulation.setup import Setup
from simulation.timeline import Timeline
from simulation.truth import Violated, check_times, must, parsed
from simulation.watch import Watch

BEGIN_MS = 1_795_176_000_000
"""An hour edge."""

AWAY_MS_MAX = 40 * MINUTE_MS
DUTY_MS = 15 * MINUTE_MS


@dataclass(slots=True)
class Result:
    """What one run came to.  violated, what: the rule that does not hold, and the figures"""

    seed: int
    steps: int
    checks: int
    entries: int
    digest: str
    lines: list[tuple[int, str, str]] = field(repr=False)
    violated: str = ""
    what: str = ""
    at_ms: int = 0


def run(setup: Setup) -> Result:
    """Let one run happen and return what it came to; it ends at the first rule that is broken."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        # Shipped code asks for a running loop here and there; nothing of ours waits for one.
        return asyncio.run(_run(setup))
    finally:
        logging.disable(before)


async def _run(setup: Setup) -> Result:
    timeline = Timeline(begin_ms=BEGIN_MS)
    with registry_database() as (database, aside):
        world = World(setup, timeline, database, aside)
        violated: Violated | None = None
        try:
            world.lives()
        except Violated as found:
            violated = found
        except Exception as error:
            # What breaks, breaks a rule as well: no step of either side may.
            violated = Violated("nothing_breaks", f"{type(error).__name__}: {error}"[:2_000])
        return Result(
            seed=setup.seed,
            steps=timeline.steps,
            checks=world.watch.checks,
            entries=sum(get_log(node.machine.disk.db).frontier.size for node in world.nodes),
            digest=timeline.digest,
            lines=timeline.lines,
            violated=violated.name if violated else "",
            what=violated.what if violated else "",
            at_ms=timeline.now_ms - BEGIN_MS,
        )


class World:
    """Everything of one run."""

    def __init__(
        self, setup: Setup, timeline: Timeline, database: Database, aside: Connection
    ) -> None:
        self._setup = setup
        self._timeline = timeline
        self._chance = setup.chance("world")
        self.watch = Watch(aside, timeline, setup)
        self.centre = Centre(database, aside, timeline, setup, on_answered=self._answered)
        told = Told(
            launched=lambda allocation_id: None,
            suspended=self.watch.suspended,
            changed=self.watch.stepped,
            debited=self.watch.debited,
            priced=self.watch.rater.priced,
        )
        self.people = People(self.centre, timeline, setup, told)
        self.watch.tenants = self.people.tenants
        seen = Seen(
            started=self.watch.starts,
            answered=self.watch.hears,
            taken=self.watch.takes,
            granted=lambda: self.watch.ledger.leases,
        )
        liars = set(self._chance.sample(range(setup.nodes), setup.liars))
        self.nodes = [
            Node(f"n{at}", timeline, setup, self.centre, seen, lies=at in liars)
            for at in range(setup.nodes)
        ]

    def lives(self) -> None:
        """Let everything happen; raises `Violated` at the first rule that is broken."""
        setup, timeline = self._setup, self._timeline
        site_id = self._site()
        for node in self.nodes:
            node.enrols(self.people, site_id)
            self.watch.nodes[node.node_id] = node
        self.people.begin()
        for node in self.nodes:
            node.begins()
        timeline.after(DUTY_MS, self._duty)
        if setup.has("outage"):
            self._later(self._registry_fails)
        end_ms = timeline.now_ms + setup.hours * HOUR_MS
        timeline.run_until(end_ms)
        timeline.tell("world", "calms down")
        self.centre.away_until_ms, self.centre.doomed = 0, None
        for node in self.nodes:
            node.calms_down()
        # A machine that is asleep wakes first, and a message that is late comes in.
        timeline.run_until(end_ms + setup.length_ms)
        self.people.goes_home()
        timeline.run_until(end_ms + setup.length_ms + _settling_ms(setup))
        self._looks_over()

    def _answered(self, node_id: str, _request: SyncRequest, answer: SyncAnswer) -> None:
        self.watch.answered(node_id, answer)
        self.people.contacted()

    def _site(self) -> str:
        made: list[str] = []

        def work(db: Db) -> None:
            caller = self.people.caller()
            owner, _ = add_organization(
                db, "host", "host@site.example", intent="host", caller=caller
            )
            site = add_site(
                db,
                SiteFacts("Edge room", "Nairobi", "KE", "edge_room", "fibre", 1_000),
                tenant_id=owner.tenant_id,
                actor=console(),
                now_ms=self._timeline.now_ms,
                new_id=caller.new_id,
            )
            open_site(db, site.site_id, actor=console(), now_ms=self._timeline.now_ms)
            made.append(site.site_id)

        assert self.centre.do(work) == ""
        return made[0]

    def _duty(self) -> None:
        self.centre.duty()
        self.watch.stepped()
        self._timeline.after(DUTY_MS, self._duty)

    def _registry_fails(self) -> None:
        if self._chance.random() < 0.5:
            self.centre.doomed = self._chance.choice(["before", "after"])
        else:
            ms = self._chance.randrange(AWAY_MS_MAX)
            self._timeline.tell("registry", f"away for {ms} ms")
            self.centre.away_until_ms = self._timeline.now_ms + ms
        self._later(self._registry_fails)

    def _later(self, happening: Callable[[], None]) -> None:
        if not self.people.quiet:
            self._timeline.after(self._chance.randrange(1, 2 * self._setup.gap_ms), happening)

    def _looks_over(self) -> None:
        """Check that nothing is stuck, nothing was lost, and the books prove themselves."""
        with self.centre.database.reading() as db:
            for node in self.nodes:
                if node.honest:
                    self._check_settled(db, node)
                    self._check_times(node)
            must(not self._states(db), "allocations_end", self._states(db))
            report = verify_everything(
                db,
                domain=DOMAIN,
                registry_key=public_bytes(self.centre.key),
                site_share_basis_points=SHARE_BASIS_POINTS,
            )
        must(not report.problems, "the_books_prove_themselves", report.problems)

    def _check_settled(self, db: Db, node: Node) -> None:
        disk = node.machine.disk.db
        mine, theirs = get_log(disk), find_latest_log(db, node.node_id)
        assert theirs is not None
        unsent = [parsed(raw) for raw in list_entries(disk, mine.accepted.size, mine.frontier.size)]
        must(
            theirs.size >= mine.accepted.size and all(entry["k"] == "hb" for entry in unsent),
            "every_record_is_taken_once",
            f"{node.name}: wrote {mine.frontier.size}, registry {theirs.size}, "
            f"cosigned {mine.accepted.size}",
        )
        must(
            list_entries(disk, 0, theirs.size) == list_accepted(db, theirs, 0, theirs.size),
            "every_record_is_taken_as_it_was_written",
            node.name,
        )
        must(not _rows(disk, "reservation"), "no_reservation_is_stuck", _rows(disk, "reservation"))
        must(not _rows(disk, "gpu_claim"), "no_gpu_is_stuck", _rows(disk, "gpu_claim"))
        must(not node.engine.running(), "no_container_is_left", node.name)
        left = list_open(db, node.node_id)
        must(not left, "no_hold_is_stuck", f"{node.name}: {left}")

    def _check_times(self, node: Node) -> None:
        """Check each allocation's GPU time against when its containers ran in truth."""
        # A clock that is set between a container's end and the next look moves that end.
        unsure_ms = SECOND_MS + (self._setup.look_ms if self._setup.has("steps") else 0)
        ran: dict[str, int] = {}
        unsure: dict[str, int] = {}
        for stretch in node.engine.stretches:
            assert stretch.end_ms is not None
            ms = stretch.end_ms - stretch.begin_ms - stretch.slept_ms
            ran[stretch.allocation_id] = ran.get(stretch.allocation_id, 0) + ms * len(stretch.cards)
            before_ms = unsure.get(stretch.allocation_id, 0)
            unsure[stretch.allocation_id] = before_ms + unsure_ms * len(stretch.cards)
        for allocation_id, ran_ms in ran.items():
            counted = self.watch.rater.quantity.get((allocation_id, "gpu.ms"), 0)
            check_times(
                allocation_id,
                counted_ms=counted,
                ran_ms=ran_ms,
                unsure_ms=unsure[allocation_id],
                lost_ms=None,
            )

    def _states(self, db: Db) -> list[tuple[str, str]]:
        """Return the allocations of honest nodes that have not come to an end."""
        honest = {node.node_id for node in self.nodes if node.honest}
        done = {state.value for state in FINAL} | {"insufficient_balance"}
        rows = self.centre.aside.execute("SELECT allocation_id, node_id, state FROM allocation")
        return [
            (row["allocation_id"], row["state"])
            for row in rows
            if row["node_id"] in honest and row["state"] not in done
        ]


def _settling_ms(setup: Setup) -> int:
    """Return how long everything may take to end once nothing stands in its way."""
    return 6 * setup.sync_ms + 4 * setup.tick_ms + 2 * stop_ms(setup)


def _rows(disk: AgentDb, table: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in disk.rows(f"SELECT * FROM {table}", {})]
