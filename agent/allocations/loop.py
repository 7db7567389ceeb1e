"""The background work that makes what runs into what should run.

A pass takes steps until nothing moves any more: each looks at the engine afresh, plans, and does
what was planned.  Killed between any two of them, the next pass goes on from what is really there.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.allocations import moves, operations, queries
from agent.allocations.actions import (
    Action,
    Adopt,
    Ask,
    Begin,
    Claim,
    Create,
    Discard,
    Finish,
    Forget,
    Free,
    Kill,
    NoteReleased,
    NoteUnknown,
    PullImage,
    Refuse,
    Remove,
    Start,
    Stop,
    Wait,
    allocation_of,
)
from agent.allocations.client import answers
from agent.allocations.container_spec import Holding, NodePolicy, container_spec
from agent.allocations.notices import Notices, ending, notice_detail, notice_text
from agent.allocations.operations import Inventory, Moment
from agent.allocations.plan import Sight, plan, strangers
from agent.allocations.probes import Readiness, readiness
from agent.allocations.run import Run
from agent.allocations.runtime import (
    ContainerSpec,
    EgressGuard,
    EngineFault,
    EngineUnreachable,
    Pulling,
    Runtime,
)
from agent.store.database import Db
from agent.store.thread import Store
from protocol.desired import DesiredAllocation, DesiredState
from protocol.refusal import Fault, Refusal

STEPS_MAX = 12
"""From an order to a running container it takes six."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Allocations:
    """What this work needs.

    guard      keeps containers off the site's network
    desired    reads what the registry wants, None before it was ever heard
    paces      reads what each tenant's work here costs an hour
    notices    files that workloads can read
    inventory  returns the GPUs of this machine as they are now
    policy     returns what the site's operator settled
    moment     returns the time
    on_change  called after a pass in which anything observed changed: wakes metering and sync
    """

    store: Store
    runtime: Runtime
    guard: EgressGuard
    desired: Callable[[Db], DesiredState | None]
    paces: Callable[[Db], Mapping[str, int]]
    notices: Notices
    inventory: Callable[[], Awaitable[Inventory]]
    policy: NodePolicy
    moment: Callable[[], Moment]
    on_change: Callable[[], None]


class AllocationLoop:
    """One pass: steps until nothing moves.  One broken allocation never holds up the others."""

    def __init__(self, needs: Allocations) -> None:
        self._needs = needs
        self._store = needs.store
        self._runtime = needs.runtime

    async def __call__(self) -> str:
        """Return a line for the status page."""
        is_guarded = await self._assert_guard()
        inventory = await self._needs.inventory()
        moved = 0
        try:
            for _ in range(STEPS_MAX):
                sight = await self._sight()
                step = _Step(self._needs, sight, inventory, is_guarded)
                changes = await step.take_all(plan(sight))
                moved += sum(changes)
                if not any(changes):
                    break
        except EngineUnreachable as fault:
            now_ms = self._needs.moment().now_ms
            await self._store.run(
                operations.note_engine, queries.ENGINE, fault.message, now_ms=now_ms
            )
            log.warning("engine unreachable", extra={"fault": str(fault)})
            return f"engine unreachable, {moved} steps"
        finally:
            if moved:
                self._needs.on_change()
        if await self._give_notice(sight):
            self._needs.on_change()
        odd = strangers(sight)
        for container in odd:
            log.error("container of no allocation", extra={"container_id": container.container_id})
        return (
            f"{len(sight.runs)} allocations, {len(sight.containers)} containers, "
            f"{moved} steps, {len(odd)} strangers"
        )

    async def _sight(self) -> Sight:
        # The time is taken first: what is seen running ran at that moment, or a little later.
        moment = self._needs.moment()
        containers = await self._runtime.list_containers()
        return await self._store.run(
            operations.sight, containers, moment, self._needs.desired, self._needs.paces
        )

    async def _give_notice(self, sight: Sight) -> int:
        """Tell runs whose cover ends soon, take back what is no longer so; return the changes."""
        changes = 0
        for run in sight.runs.values():
            ends_at_ms = ending(run, sight.covers.get(run.tenant_id), now_ms=sight.now_ms)
            text = None if ends_at_ms is None else notice_text(ends_at_ms)
            try:
                changed = self._needs.notices.put(run.allocation_id, text)
            except Fault as fault:
                log.warning(
                    "no notice", extra={"allocation_id": run.allocation_id, "why": str(fault)}
                )
                continue
            if changed:
                detail = "" if text is None else notice_detail()
                after = moves.waiting(run, detail)
                changes += after != run and await self._store.run(queries.move_run, run, after)
        self._needs.notices.keep_only(frozenset(sight.runs))
        return changes

    async def _assert_guard(self) -> bool:
        fault = await self._needs.guard.asserted()
        now_ms = self._needs.moment().now_ms
        if await self._store.run(operations.note_engine, queries.EGRESS, fault, now_ms=now_ms):
            log.warning("egress guard changed", extra={"fault": fault})
        return fault is None


class _Step:
    """Takes the actions of one plan; each returns whether anything moved."""

    def __init__(
        self, needs: Allocations, sight: Sight, inventory: Inventory, is_guarded: bool
    ) -> None:
        self._needs = needs
        self._store = needs.store
        self._runtime = needs.runtime
        self._inventory = inventory
        self._is_guarded = is_guarded
        self._generation = 0 if sight.desired is None else sight.desired.generation

    async def take_all(self, actions: Sequence[Action]) -> list[bool]:
        """Take each in turn; only questions, which may go unanswered for long, all at once."""
        questions = [action for action in actions if isinstance(action, Ask)]
        others = [action for action in actions if not isinstance(action, Ask)]
        changes = [await self._take(action) for action in others]
        return changes + await asyncio.gather(*map(self._take, questions))

    async def _take(self, action: Action) -> bool:
        """Take one action; what goes wrong is noted on its allocation alone."""
        try:
            return await self._done(action)
        except EngineUnreachable:
            raise
        except EngineFault as fault:
            return await self._failed(action, fault.code, fault.message)
        except Refusal as refusal:
            return await self._failed(action, refusal.code, refusal.message)

    async def _done(self, action: Action) -> bool:
        match action:
            case Begin() | Claim() | NoteUnknown() | NoteReleased():
                return await self._written(action)
            case PullImage() | Create() | Start():
                return await self._brought_up(action)
            case Adopt() | Finish() | Refuse() | Wait():
                return await self._noted(action)
            case Ask():
                return await self._asked(action)
            case Stop():
                after = moves.stopping(action, now_ms=self._now_ms())
                moved = await self._move(action.run, after)
                await self._runtime.terminate(action.container.container_id)
                return moved
            case Kill():
                await self._runtime.kill(action.container.container_id)
                return False
            case Discard():
                await self._runtime.remove(action.container.container_id)
                return True
            case Remove():
                return await self._removed(action)
            case Free():
                return await self._store.run(operations.free, action) > 0
            case Forget():
                return await self._store.run(queries.delete_run, action.run.allocation_id)

    async def _written(self, action: Begin | Claim | NoteUnknown | NoteReleased) -> bool:
        moment = self._needs.moment()
        run = await self._store.run(
            operations.write,
            action,
            self._inventory,
            generation=self._generation,
            moment=moment,
        )
        log.info("run written", extra={"allocation_id": run.allocation_id, "phase": run.phase})
        before = action.run if isinstance(action, Claim) else None
        return before is None or (before.accelerators, before.phase) != (
            run.accelerators,
            run.phase,
        )

    async def _brought_up(self, action: PullImage | Create | Start) -> bool:
        """One step up; the intent is written, or mended, before anything is made by it."""
        run = action.run
        spec = await self._spec(action.desired, run)
        if spec is None:
            return False
        if run.phase == "pulling" or spec.spec_hash != run.spec_hash:
            intended = moves.intended(run, spec_hash=spec.spec_hash, now_ms=self._now_ms())
            return await self._move(run, intended)
        if isinstance(action, Start):
            await self._runtime.start(action.container.container_id, spec)
        else:
            self._needs.notices.prepare(run.allocation_id)
            await self._runtime.create(spec)
        return True

    async def _spec(self, desired: DesiredAllocation, run: Run) -> ContainerSpec | None:
        """Return the container that is to be, None while its image is on the way."""
        image = await self._runtime.ensure_image(
            desired.manifest.image, allowed_registries=self._needs.policy.allowed_registries
        )
        if isinstance(image, Pulling):
            await self._move(run, moves.waiting(run, f"pulling the image: {image.detail}"))
            return None
        return container_spec(
            desired,
            self._needs.policy,
            generation=self._generation,
            holdings=self._holdings(run),
            image=image,
            is_egress_guarded=self._is_guarded,
        )

    def _holdings(self, run: Run) -> Sequence[Holding]:
        cards = {card.uuid: card for card in self._inventory.accelerators}
        if not cards.keys() >= set(run.accelerators):
            raise EngineFault(operations.GPU_LOST, "A GPU that it holds is not there any more.")
        return [Holding(uuid, cards[uuid].simulated) for uuid in run.accelerators]

    async def _noted(self, action: Adopt | Finish | Refuse | Wait) -> bool:
        moment = self._needs.moment()
        now_ms = moment.now_ms
        match action:
            case Adopt():
                after = moves.adopted(
                    action, boot_id=moment.boot_id, now_ms=now_ms, skew_ms=moment.skew_ms
                )
            case Finish():
                after = moves.finished(action, generation=self._generation, now_ms=now_ms)
            case Refuse():
                after = moves.refused(action, generation=self._generation, now_ms=now_ms)
            case Wait():
                await self._move(action.run, moves.waiting(action.run, action.detail))
                return False
        log.info(
            "run moved",
            extra={
                "allocation_id": after.allocation_id,
                "phase": after.phase,
                "failure": after.failure,
            },
        )
        return await self._move(action.run, after)

    async def _asked(self, action: Ask) -> bool:
        run = action.run
        answered = await answers(run.address, action.probe)
        now_ms = self._now_ms()
        started_at_ms = run.started_at_ms if run.started_at_ms is not None else now_ms
        match readiness(
            action.probe, started_at_ms=started_at_ms, answered=answered, now_ms=now_ms
        ):
            case Readiness.READY:
                return await self._move(run, moves.ready(run, now_ms=now_ms))
            case Readiness.WAITING:
                return False
            case Readiness.GIVEN_UP:
                stop = Stop(run, action.container, "probe_timeout")
                return await self._done(stop)

    async def _removed(self, action: Remove) -> bool:
        if action.container is not None:
            await self._runtime.remove(action.container.container_id)
        await self._runtime.remove_network(action.run.allocation_id)
        after = moves.absent(action.run, now_ms=self._now_ms())
        return await self._store.run(operations.removed, action.run, after)

    async def _failed(self, action: Action, code: str, sentence: str) -> bool:
        """Note what went wrong: it ends what was coming up, and is said of anything else."""
        log.warning(
            "step failed",
            extra={"allocation_id": allocation_of(action), "code": code, "sentence": sentence},
        )
        match action:
            case PullImage() | Create() | Start():
                return await self._noted(Refuse(action.run, code, sentence))
            case Begin() | NoteReleased() | NoteUnknown():
                return False
            case _:
                await self._move(action.run, moves.waiting(action.run, sentence))
                return False

    async def _move(self, before: Run, after: Run) -> bool:
        if after == before:
            return False
        return await self._store.run(queries.move_run, before, after)

    def _now_ms(self) -> int:
        return self._needs.moment().now_ms
