"""Background works of the gateway: calls written in batches, and backends watched.

Opening a call waits until its row and its reservation are on the disk; many that wait together
share one unit of work.  Closing waits for nobody: what a crash loses there is in the tenant's
favour, and the next start closes the row at its last checkpoint.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from agent.gateway.backends import Backend, BackendFailed, Backends, Discovered
from agent.gateway.metered import Checkpoint, ClosedCall, OpenCall
from agent.gateway.operations import Batch, forget_old_calls, write_batch
from agent.gateway.price_list import Tokens
from agent.gateway.token_count import Count
from agent.store.thread import Store
from protocol.clock import HOUR_MS, Clock
from protocol.refusal import Fault, Refusal

log = logging.getLogger(__name__)

BATCH_MAX = 512
WAITING_MAX = 16_384
CHECKPOINT_S = 1.0
"""How often calls under way are noted: what a crash may cost the site, never the tenant."""

CLOSED_WAIT_S = 0.05
"""How long closed calls wait for an opening to share its unit of work."""

PAUSE_AFTER_FAULT_S = 0.5


class CallBook:
    """Every call of this node as it goes into the store."""

    def __init__(self, store: Store, *, boot_id: str, boot_clock: Clock) -> None:
        self._store = store
        self._boot_id = boot_id
        self._boot_clock = boot_clock
        self._events: deque[OpenCall | ClosedCall] = deque()
        self._opening: dict[str, asyncio.Future[None]] = {}
        self._under_way: dict[str, Count] = {}
        self._noted: dict[str, Tokens] = {}
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()

    async def open(self, call: OpenCall, count: Count) -> None:
        """Return once the call is in the store with money set aside; raises the Refusal if not.

        count  is looked at from time to time until the call is closed
        """
        if len(self._events) >= WAITING_MAX:
            raise _behind()
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._opening[call.call_id] = opened
        self._events.append(call)
        self._wake.set()
        self._hurry.set()
        await opened
        self._under_way[call.call_id] = count

    def close(self, call: ClosedCall) -> None:
        """Note what a call came to, also one whose opening nobody waits for any more."""
        self._under_way.pop(call.call_id, None)
        self._noted.pop(call.call_id, None)
        self._events.append(call)
        self._wake.set()

    async def run(self) -> None:
        """Write what happens to calls until cancelled, and then what still waits."""
        try:
            while True:
                await self._next_work()
                try:
                    await self.write()
                except Fault as fault:
                    log.error("calls cannot be written", extra={"fault": str(fault)})
                    await asyncio.sleep(PAUSE_AFTER_FAULT_S)
        finally:
            while self._events:
                await self.write()

    async def write(self) -> str:
        """Write one batch and return a line about it.  After a fault closed calls wait on."""
        self._wake.clear()
        self._hurry.clear()
        events = [self._events.popleft() for _ in range(min(BATCH_MAX, len(self._events)))]
        if self._events:
            self._wake.set()
            self._hurry.set()
        checkpoints = self._checkpoints()
        if not events and not checkpoints:
            return "nothing to write"
        try:
            refusals = await self._store.run(
                write_batch,
                Batch(events, checkpoints),
                boot_id=self._boot_id,
                boot_ms=self._boot_clock(),
            )
        except (Fault, Refusal) as failure:
            self._put_back(events, failure)
            raise Fault(f"write {len(events)} calls: {failure}") from failure
        for event in events:
            if isinstance(event, OpenCall):
                self._answer(event.call_id, refusals.get(event.call_id))
        return f"{len(events)} events, {len(refusals)} refused, {len(checkpoints)} checkpoints"

    async def _next_work(self) -> None:
        """Return when a call waits to be opened, or closed ones or a checkpoint have waited."""
        try:
            async with asyncio.timeout(CHECKPOINT_S if self._under_way else None):
                await self._wake.wait()
            async with asyncio.timeout(CLOSED_WAIT_S):
                await self._hurry.wait()
        except TimeoutError:
            return

    def _checkpoints(self) -> Sequence[Checkpoint]:
        """Return the calls under way that have come further since they were last noted."""
        found = []
        for call_id, count in self._under_way.items():
            tokens = count.tokens()
            if tokens != self._noted.get(call_id, Tokens()):
                self._noted[call_id] = tokens
                found.append(Checkpoint(call_id, tokens))
        return found

    def _answer(self, call_id: str, failure: Exception | None) -> None:
        opened = self._opening.pop(call_id, None)
        if opened is None or opened.done():
            return
        if failure is None:
            opened.set_result(None)
        else:
            opened.set_exception(failure)

    def _put_back(self, events: Sequence[OpenCall | ClosedCall], failure: Exception) -> None:
        """Refuse what was to be opened; keep what was closed for the next try."""
        self._noted.clear()
        kept = [event for event in events if isinstance(event, ClosedCall)]
        self._events.extendleft(reversed(kept))
        self._wake.set()
        for event in events:
            if isinstance(event, OpenCall):
                self._answer(event.call_id, _cannot_write())


class BackendWatch:
    """One pass: every backend is asked for its models, all at the same time."""

    def __init__(
        self,
        backends: Backends,
        list_models: Callable[[Backend], Awaitable[Sequence[Discovered]]],
        *,
        find_backends: Callable[[], Awaitable[Sequence[Backend]]],
        on_change: Callable[[], None],
    ) -> None:
        """Watch `backends`.

        list_models    asks one backend; raises BackendFailed
        find_backends  configured ones and those of containers, as they are now
        on_change      called when what is offered has changed
        """
        self._backends = backends
        self._list_models = list_models
        self._find_backends = find_backends
        self._on_change = on_change

    async def __call__(self) -> str:
        """Return a line for the status page."""
        self._backends.take(await self._find_backends())
        standings = self._backends.standings()
        changes = await asyncio.gather(*(self._probed(standing.backend) for standing in standings))
        if any(changes):
            self._on_change()
        ready = sum(standing.ready for standing in standings)
        return f"{ready} of {len(standings)} backends ready"

    async def _probed(self, backend: Backend) -> bool:
        try:
            models = await self._list_models(backend)
        except BackendFailed as failure:
            changed = self._backends.note_silence(backend, str(failure))
            if changed:
                log.warning("backend silent", extra={"backend": backend.name, "why": str(failure)})
            return changed
        return self._backends.note_answer(backend, models)


class OldCalls:
    """One pass: calls that are long recorded are forgotten."""

    PERIOD_MS = HOUR_MS

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def __call__(self) -> str:
        """Return a line for the status page."""
        gone = await self._store.run(forget_old_calls, now_ms=self._clock())
        return f"{gone} old calls forgotten"


def _behind() -> Refusal:
    return Refusal(
        code="node_busy",
        status=503,
        message="This node has more calls to write down than its disk takes.",
        hint="Try again in a moment, or use another node.",
        retry_after_s=1,
    )


def _cannot_write() -> Refusal:
    return Refusal(
        code="node_cannot_write",
        status=503,
        message="This node cannot write down calls at present, so it takes none.",
        hint="Use another node; the operator of this one sees the reason in its findings.",
        retry_after_s=5,
    )
