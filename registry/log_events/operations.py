"""Keep what the rarer entries of a batch say, and move the money that corrections give back."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from protocol.checkpoint import Checkpoint
from protocol.log_events import Adjusted, Gap, KeyChanged, Session
from protocol.merkle import EMPTY_ROOT, read_frontier
from protocol.note import is_note_signed, read_note
from protocol.refusal import LogRefused, Refusal
from protocol.usage import Entry, Use, read_entry
from registry.adjustments.operations import take_back_share
from registry.audit.operations import record
from registry.ledger.operations import net, post
from registry.log_events import queries
from registry.log_events.effective_time import SKEW_MS_TRUE, Span, effective_span
from registry.log_events.facts import EventFacts
from registry.log_events.given_back import GivenBack, correction_journal
from registry.store.database import Db

ADJUSTMENTS_MAX = 256
"""Corrections in one batch: each has its record looked up."""


class LogName(Protocol):
    """Which log it is: `registry/usage/log_state.py:Log`, as far as this room looks."""

    @property
    def node_id(self) -> str: ...
    @property
    def epoch(self) -> int: ...
    @property
    def origin(self) -> str: ...


class LogEnd(LogName, Protocol):
    """The same, and how far it was accepted."""

    @property
    def size(self) -> int: ...
    @property
    def accepted_at_ms(self) -> int | None: ...


def facts_for(
    db: Db,
    log: LogName,
    entries: Sequence[Entry],
    *,
    begin: int,
    public_key: bytes,
    entry_at: Callable[[int], bytes | None],
) -> EventFacts:
    """Return what these entries of a batch are judged by; records need none of it.

    begin       where the batch begins
    public_key  by which the log is signed now
    entry_at    the bytes of an entry, accepted or of this batch; None where there is none
    """
    adjusted = [entry for entry in entries if isinstance(entry, Adjusted)]
    if len(adjusted) > ADJUSTMENTS_MAX:
        raise LogRefused("adjustments_many", f"More than {ADJUSTMENTS_MAX} adjustments at once.")
    references = {entry.reference for entry in adjusted}
    span = queries.find_span(db, log.node_id, log.epoch, begin)
    facts = EventFacts(log.origin, log.epoch, _predecessor(db, log), span=span)
    if any(isinstance(entry, KeyChanged) for entry in entries):
        earlier = queries.list_keys(db, log.node_id, log.epoch)
        facts.keys = frozenset({public_key, *(key.public_key for key in earlier)})
    for index in references:
        found = _stored(entry_at(index))
        if isinstance(found, Use):
            facts.referenced[index] = found
    if references:
        facts.adjusted = queries.adjusted_by_reference(db, log.node_id, log.epoch, references)
        facts.approved = queries.list_approved(db, log.node_id, log.epoch, references)
    return facts


def judge_time(db: Db, log: LogEnd, *, skew_ms: int, now_ms: int) -> Span | None:
    """Return within what times the next batch of a log counts, and keep it; None for its own.

    Refuses one of a node whose clock is beyond use.
    """
    counted_to_ms = 0
    if abs(skew_ms) > SKEW_MS_TRUE:
        counted_to_ms = queries.counted_to_ms(db, log.node_id, log.epoch)
    span = effective_span(
        skew_ms=skew_ms,
        cosigned_at_ms=log.accepted_at_ms,
        counted_to_ms=counted_to_ms,
        now_ms=now_ms,
    )
    if span is not None:
        queries.insert_span(db, log.node_id, log.epoch, log.size, span)
    return span


def check_both_signed(note: str, *, origin: str, public_key: bytes) -> None:
    """Refuse the checkpoint over a change of key that the new key did not sign as well."""
    if not is_note_signed(read_note(note), name=origin, public_key=public_key):
        raise LogRefused("key_unproven", "A log changed to a key that did not sign the change.")


def keep_events(db: Db, log: LogName, events: Iterable[tuple[int, Entry]]) -> None:
    """Keep what was accepted; keys are kept by `keep_key`."""
    found = list(events)
    where = (log.node_id, log.epoch)
    queries.insert_sessions(
        db, *where, [(at, one) for at, one in found if isinstance(one, Session)]
    )
    queries.insert_gaps(db, *where, [(at, one) for at, one in found if isinstance(one, Gap)])
    queries.insert_adjustments(
        db, *where, [(at, one) for at, one in found if isinstance(one, Adjusted)]
    )


def keep_key(
    db: Db, log: LogName, *, before: bytes, public_key: bytes, from_size: int, note: str
) -> None:
    """Keep that another key signs from `from_size` on, and with the first change the first key."""
    if not queries.list_keys(db, log.node_id, log.epoch):
        queries.insert_key(db, log.node_id, log.epoch, from_size=0, public_key=before, note="")
    queries.insert_key(
        db, log.node_id, log.epoch, from_size=from_size, public_key=public_key, note=note
    )


def give_back(
    db: Db,
    log: LogName,
    given: Iterable[GivenBack],
    events: Iterable[tuple[int, Entry]],
    *,
    now_ms: int,
) -> None:
    """Post what corrections give back, one journal for each that comes to anything."""
    reasons = {at: one.reason for at, one in events if isinstance(one, Adjusted)}
    for one in given:
        if one.charge.charged:
            journal = correction_journal(
                one, origin=log.origin, reason=reasons[one.index], at_ms=now_ms
            )
            posted = post(db, journal)
            assert posted is not None
            if one.charge.share:
                # Which hold the share went into is not known any more: it may have matured.
                take_back_share(
                    db,
                    one.charge.site_id,
                    -one.charge.share,
                    cause=journal.src,
                    now_ms=now_ms,
                )
            net(db, one.tenant_id, cause=journal.src, now_ms=now_ms)


def approve_adjustment(
    db: Db, node_id: str, epoch: int, *, reference: int, quantity: int, by: str, now_ms: int
) -> None:
    """Allow a node to count `quantity` more for the record at `reference`.

    Refuses what needs no approval, a log that is not there, and the same approval again.
    """
    if quantity <= 0 or reference < 0:
        raise Refusal(
            code="adjustment_not_upwards",
            status=422,
            message="Only a correction upwards needs an approval.",
            hint="State how much more was used, above zero; less needs nobody's word.",
            field="quantity",
        )
    if queries.find_end(db, node_id, epoch) is None:
        raise Refusal(
            code="not_found",
            status=404,
            message=f"Node {node_id} has no log of epoch {epoch}.",
            hint="Look at the node's page for its epoch.",
        )
    if (reference, quantity) in queries.list_approved(db, node_id, epoch, [reference]):
        raise Refusal(
            code="approved_before",
            status=409,
            message="This very correction was approved before.",
            hint="Nothing is left to do: the node is heard at its next call.",
        )
    queries.insert_approval(db, node_id, epoch, reference, quantity, by=by, now_ms=now_ms)
    record(
        db,
        actor=by,
        action="adjustment.approved",
        object_id=node_id,
        tenant_id=None,
        detail={"epoch": str(epoch), "reference": str(reference), "quantity": str(quantity)},
        now_ms=now_ms,
    )


def _stored(raw: bytes | None) -> Entry | None:
    return None if raw is None else read_entry(raw)


def _predecessor(db: Db, log: LogName) -> Checkpoint | None:
    """Return how far the log of the epoch before was accepted; None for a node's first log."""
    if log.epoch == 0:
        return None
    prefix, _, _ = log.origin.rpartition("/")
    origin = f"{prefix}/{log.epoch - 1}"
    found = queries.find_end(db, log.node_id, log.epoch - 1)
    if found is None:
        return Checkpoint(origin, 0, EMPTY_ROOT)
    size, frontier, _ = found
    return Checkpoint(origin, size, read_frontier(size, frontier).root())
