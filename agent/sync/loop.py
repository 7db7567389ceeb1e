"""The background work that talks with the registry, and the call by which a node is enrolled."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from agent.metering.timekeeper import NodeClock
from agent.store.thread import Store
from agent.sync.client import Registry
from agent.sync.exchange import (
    Observed,
    RefusedByRegistry,
    RegistrySilent,
    backoff_ms,
    interval_ms,
)
from agent.sync.operations import (
    Heard,
    Taken,
    finish_restore,
    note_enrolled,
    outgoing,
    restore_from,
    take_answer,
    take_key_change,
)
from agent.sync.queries import list_trusted
from agent.sync.time_estimate import estimate
from agent.usage_log.key_change import KeyChange
from agent.usage_log.operations import begin_key_change, take_back
from protocol.checkpoint import Checkpoint
from protocol.clock import Clock
from protocol.enrolment import EnrolAnswer, EnrolRequest
from protocol.packing import ENTRIES_MAX
from protocol.refusal import LogRefused
from protocol.sync import SYNC_INTERVAL_MS, LogPull, SyncAnswer

log = logging.getLogger(__name__)

CALLS_MAX = 64
"""Calls of one pass: a backlog of 262,144 entries, then others have their turn."""

ERROR_MS_MAX = 5_000
"""An answer that was longer on the way says too little about what time it is."""

STALE = "signature_stale"
UNKNOWN_KEY = "unknown_key"


class Keys(Protocol):
    """The keys of this node: `agent/sync/signer.py:Signer` over the files."""

    def sign(self, checkpoint: Checkpoint, change: KeyChange | None) -> str:
        """Return the checkpoint signed by whoever signs the log at that size."""

    def find_next(self) -> bytes | None:
        """Return the public key that this node is asked to change to, or None."""

    def call_with_next(self, *, yes: bool) -> None:
        """Have calls signed with the next key, or with the present one again."""

    def promote(self) -> None:
        """Go by the next key from now on."""


@dataclass(frozen=True, slots=True)
class Uplink:
    """What talking with the registry needs.

    wall        the machine's own clock, looked at only to say how wrong it is
    keys        sign the log and the calls
    observe     returns what the other rooms see now
    on_taken    called after each answer that was kept, with what it changed
    chance      returns 0 to 999,999, each as likely as the other
    period_ms   a fixed time between calls, from the configuration; None to do as the registry asks
    """

    store: Store
    registry: Registry
    clock: NodeClock
    wall: Clock
    boot_id: str
    keys: Keys
    observe: Callable[[], Awaitable[Observed]]
    on_taken: Callable[[Taken], None]
    chance: Callable[[], int]
    agent_version: str
    period_ms: int | None = None


class SyncLoop:
    """One pass: call, keep the answer, and go on at once while a backlog of the log waits."""

    def __init__(self, uplink: Uplink) -> None:
        self._uplink = uplink
        self._log_known = False
        self._failures = 0
        self._next_ms = 0
        self._registry_offset_ms: int | None = None

    def period_ms(self) -> int:
        """Return the time until the next call, settled by the last one."""
        return self._next_ms

    async def __call__(self) -> str:
        """Return a line for the status page.  A registry that is away is no failure of ours."""
        try:
            taken = await self._caught_up()
        except RefusedByRegistry as refused:
            self._wait(refused.retry_after_ms)
            log.warning("sync refused", extra={"code": refused.code, "why": refused.message})
            return f"refused by the registry: {refused.message}"
        except RegistrySilent as silent:
            self._wait(silent.retry_after_ms)
            log.info("registry silent", extra={"why": str(silent), "failures": self._failures})
            return f"registry silent, {self._failures} in a row: {silent}"
        self._failures = 0
        for why in taken.change.refused:
            log.warning("part of an answer does not count", extra={"why": why})
        if taken.parked is not None and await self._uplink.store.run(restore_from) is not None:
            return await self._restored()
        if taken.parked is not None:
            return f"answered; the usage log is parked: {taken.parked.why}"
        return "answered" + ("".join(f"; {why}" for why in taken.change.refused))

    async def _restored(self) -> str:
        """Pull the entries back that an older copy of the database lacks, and go on from there.

        Begun anew by the next pass, if this one does not come to its end.
        """
        uplink = self._uplink
        wanted = await uplink.store.run(restore_from)
        assert wanted is not None
        epoch, begin = wanted
        trusted = await uplink.store.run(list_trusted)
        try:
            while True:
                back = await uplink.registry.pull(
                    LogPull(epoch, begin, ENTRIES_MAX), trusted=trusted, now_ms=self._signing_ms()
                )
                entries = [entry.encode() for entry in back.entries]
                begin = await uplink.store.run(
                    take_back, begin, entries, now_ms=uplink.clock.now_ms()
                )
                if begin >= back.size:
                    break
            size = await uplink.store.run(finish_restore, back.checkpoint)
        except (RefusedByRegistry, RegistrySilent, LogRefused) as stopped:
            log.warning("usage log not pulled back", extra={"why": str(stopped)})
            return f"the usage log is not pulled back yet: {stopped}"
        log.warning("usage log pulled back", extra={"size": size})
        return f"answered; the usage log was pulled back, {size} entries"

    async def _caught_up(self) -> Taken:
        taken = await self._exchanged()
        before = taken.backlog + 1
        for _ in range(CALLS_MAX - 1):
            if not 0 < taken.backlog < before:
                break
            before = taken.backlog
            taken = await self._exchanged()
        return taken

    async def _exchanged(self) -> Taken:
        """Make one call; if only our clock was wrong, set it by the refusal and call again."""
        try:
            return await self._called()
        except RefusedByRegistry as refused:
            if refused.code == UNKNOWN_KEY and self._uplink.keys.find_next() is not None:
                return await self._called_with_next()
            if refused.code != STALE or refused.registry_ms is None:
                raise
            self._set_clock(self._uplink.clock.boot_ms(), refused.registry_ms)
            return await self._called()

    async def _called_with_next(self) -> Taken:
        """Call as whom this node becomes: the answer that said so may have got lost."""
        keys = self._uplink.keys
        keys.call_with_next(yes=True)
        try:
            return await self._called()
        finally:
            keys.call_with_next(yes=False)

    async def _called(self) -> Taken:
        uplink = self._uplink
        if self._log_known and (following := uplink.keys.find_next()) is not None:
            await uplink.store.run(begin_key_change, following, now_ms=uplink.clock.now_ms())
        observed = await uplink.observe()
        call = await uplink.store.run(
            outgoing,
            observed,
            boot_id=uplink.boot_id,
            sent_at_ms=self._signing_ms(),
            node_time_ms=uplink.clock.now_ms(),
            sign=uplink.keys.sign if self._log_known else None,
            agent_version=uplink.agent_version,
        )
        sent_boot_ms = uplink.clock.boot_ms()
        answer, signed_by = await uplink.registry.sync(
            call.request, trusted=call.trusted, now_ms=self._signing_ms()
        )
        heard = self._heard(answer, signed_by, sent_boot_ms)
        taken = await uplink.store.run(
            take_answer, heard, boot_id=uplink.boot_id, sign=uplink.keys.sign
        )
        self._log_known = True
        if await uplink.store.run(take_key_change):
            uplink.keys.promote()
            log.info("this node signs with its next key")
        period_ms = uplink.period_ms or answer.next_interval_ms or SYNC_INTERVAL_MS
        self._next_ms = interval_ms(period_ms, chance=uplink.chance())
        uplink.on_taken(taken)
        return taken

    def _heard(self, answer: SyncAnswer, signed_by: str, sent_boot_ms: int) -> Heard:
        """Return the answer with its moments, and set our time by the registry's."""
        clock = self._uplink.clock
        received_boot_ms, wall_ms = clock.boot_ms(), self._uplink.wall()
        found = estimate(
            sent_boot_ms=sent_boot_ms,
            received_at_ms=answer.now_ms
            if answer.received_at_ms is None
            else answer.received_at_ms,
            answered_at_ms=answer.now_ms,
            received_boot_ms=received_boot_ms,
        )
        if found is not None and found.error_ms <= ERROR_MS_MAX:
            self._set_clock(received_boot_ms, received_boot_ms + found.offset_ms)
        offset_ms = answer.now_ms - received_boot_ms if found is None else found.offset_ms
        return Heard(
            answer=answer,
            signed_by=signed_by,
            sent_boot_ms=sent_boot_ms,
            received_boot_ms=received_boot_ms,
            skew_ms=wall_ms - received_boot_ms - offset_ms,
        )

    def _set_clock(self, boot_ms: int, registry_ms: int) -> None:
        self._registry_offset_ms = registry_ms - boot_ms
        self._uplink.clock.correct(boot_ms=boot_ms, registry_ms=registry_ms)

    def _signing_ms(self) -> int:
        """Return the time by the registry's clock, as far as known, else by ours.

        What is billed goes by our own time, which nobody can jolt; a signature only has to be
        fresh in the eyes of its reader.
        """
        if self._registry_offset_ms is None:
            return self._uplink.clock.now_ms()
        return self._uplink.clock.boot_ms() + self._registry_offset_ms

    def _wait(self, retry_after_ms: int) -> None:
        self._failures += 1
        self._next_ms = backoff_ms(
            self._failures, chance=self._uplink.chance(), retry_after_ms=retry_after_ms
        )


async def enrol(
    store: Store, registry: Registry, request: EnrolRequest, *, now_ms: int
) -> EnrolAnswer:
    """Spend the secret, keep what the registry answers; refused or silent, nothing is kept.

    Sent again with the same key, after an answer that got lost, it gives the same node.
    """
    answer = await registry.enrol(request, now_ms=now_ms)
    await store.run(
        note_enrolled, answer, public_key=bytes.fromhex(request.public_key), now_ms=now_ms
    )
    return answer
