"""Calls opened and closed in the store: each change of money and its row in one unit of work."""

from collections.abc import Sequence
from dataclasses import dataclass

from agent.gateway.metered import Checkpoint, ClosedCall, OpenCall, Stream, Tally
from agent.gateway.price_list import PriceList, Tokens
from agent.gateway.queries import (
    add_to_total,
    delete_recorded,
    insert_call,
    list_left_open,
    list_totals,
    move_call_to_closed,
    put_checkpoint,
)
from agent.leases.operations import release, reserve, settle
from agent.store.database import Db
from protocol.clock import DAY_MS
from protocol.refusal import Refusal

CALL_KEPT_MS = 30 * DAY_MS
DELETED_AT_ONCE_MAX = 5_000


@dataclass(frozen=True, slots=True)
class Batch:
    """What happened to calls since the last batch, in its order."""

    events: Sequence[OpenCall | ClosedCall]
    checkpoints: Sequence[Checkpoint] = ()


def write_batch(db: Db, batch: Batch, *, boot_id: str, boot_ms: int) -> dict[str, Refusal]:
    """Write what happened to many calls; return the refusals of those that have no money.

    One unit for many calls is one wait for the disk.  Each call still stands by itself: a refused
    one leaves no row and touches no lease.
    """
    refusals: dict[str, Refusal] = {}
    for event in batch.events:
        if isinstance(event, ClosedCall):
            _close(db, event)
            continue
        try:
            lease = reserve(
                db,
                event.call_id,
                tenant_id=event.tenant_id,
                worst=event.worst,
                boot_id=boot_id,
                boot_ms=boot_ms,
            )
        except Refusal as refusal:
            refusals[event.call_id] = refusal
        else:
            insert_call(db, event, lease_id=lease.lease_id)
    for checkpoint in batch.checkpoints:
        put_checkpoint(db, checkpoint)
    return refusals


def close_left_open(db: Db, prices: PriceList, *, now_ms: int) -> int:
    """Close the calls that were under way when the agent ended; return how many.

    What counts is their last checkpoint: anything after it the tenant does not pay.
    """
    tally = Tally(list_totals(db))
    left = list_left_open(db)
    for call in left:
        _, model = call.stream
        _close(
            db,
            ClosedCall(
                call_id=call.call_id,
                stream=call.stream,
                tokens=call.tokens,
                micros=tally.cost(call.stream, call.tokens, prices.find(model, at_ms=now_ms)),
                finished_at_ms=now_ms,
                exact=False,
                outcome="cut_off",
                backend="",
            ),
        )
    return len(left)


def get_totals(db: Db) -> dict[Stream, Tokens]:
    """Return what each stream has come to, to begin a Tally from."""
    return list_totals(db)


def forget_old_calls(db: Db, *, now_ms: int) -> int:
    """Remove recorded calls of more than 30 days ago, some thousands at a time."""
    return delete_recorded(db, before_ms=now_ms - CALL_KEPT_MS, most=DELETED_AT_ONCE_MAX)


def _close(db: Db, call: ClosedCall) -> None:
    """Close one call and settle what was set aside for it; one that is not open stays as it is."""
    if not move_call_to_closed(db, call):
        return
    if call.tokens == Tokens():
        release(db, call.call_id)
        return
    settle(db, call.call_id, actual=call.micros)
    add_to_total(db, call.stream, call.tokens)
