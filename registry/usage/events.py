"""What the rarer entries of a log mean: sessions, keys, corrections, losses, new beginnings.

A correction downwards gives money back at the price of the record that it corrects, never more than
its stream was charged; one upwards counts only with an operator's approval.  A gap moves a stream
on with nothing counted.  A changed key ends its batch, so that one checkpoint has both signatures.
"""

import base64
from dataclasses import replace

from protocol.checkpoint import Checkpoint
from protocol.log_events import EVERYTHING, Adjusted, EpochBegun, Gap, KeyChanged, Session
from protocol.note import TYPE_ED25519, note_key_id, strict_base64
from protocol.refusal import LogRefused
from protocol.signing import read_public_key
from protocol.usage import TIME_METERS, Use, quantity_max
from registry.usage.log_state import NO_LEASE, OwnerFact, Standing
from registry.usage.tally import Tally

Event = Session | KeyChanged | Adjusted | Gap | EpochBegun
EVENTS = (Session, KeyChanged, Adjusted, Gap, EpochBegun)

FILES = "storage"
"""The way of a session whose object is a bucket of files, of which the registry knows nothing."""


def check_session(session: Session, standing: Standing) -> None:
    """Refuse a session with what is not its tenant's on this node."""
    owner = standing.owners.get(session.object_id)
    if owner is None:
        if session.via == FILES:
            return
        raise LogRefused("owner_unknown", f"{session.object_id} is not of this node's to record.")
    check_payer(session, owner)


def check_payer(entry: Session | Adjusted, owner: OwnerFact) -> None:
    """Refuse an entry that names another tenant or project than its owner's."""
    if entry.tenant_id != owner.tenant_id:
        raise LogRefused("tenant_wrong", "An entry names another tenant than its owner's.")
    if entry.project_id != owner.project_id:
        raise LogRefused("project_wrong", "An entry names another project than its owner's.")


def changed_key(changed: KeyChanged, standing: Standing, *, is_last: bool) -> bytes:
    """Return the public key that signs from here on; refuse one that nobody could verify."""
    if not is_last:
        raise LogRefused("key_not_last", "A batch must end where its log changes its key.")
    raw = strict_base64(changed.public_key)
    assert raw is not None
    public_key = raw[1:]
    if note_key_id(standing.events.origin, public_key, TYPE_ED25519).hex() != changed.key_id:
        raise LogRefused("key_unreadable", "A key does not match its own id.")
    read_public_key(public_key)
    if public_key in standing.events.keys:
        raise LogRefused("key_again", "A log changed to a key that it had before.")
    return public_key


def take_gap(gap: Gap, standing: Standing) -> set[tuple[str, str, str]]:
    """Move the streams of a gap's owner over it and return them; nothing is counted."""
    if gap.allocation_id == EVERYTHING:
        standing.counted_to_ms = max(standing.counted_to_ms, gap.end_ms)
        return set()
    opening = standing.openings.get(gap.allocation_id)
    if opening is None or opening.closed_at_ms is not None:
        raise LogRefused("gap_unopened", "Time was lost of an allocation that is not open.")
    if gap.begin_ms < opening.opened_at_ms:
        raise LogRefused("interval_before_open", "Time was lost before the opening.")
    moved = set()
    for key, stream in standing.streams.items():
        if key[0] == gap.allocation_id and key[1] in TIME_METERS:
            if gap.begin_ms < stream.end_ms:
                raise LogRefused("interval_overlap", "Time was lost that had been counted.")
            if gap.begin_ms > max(stream.end_ms, opening.opened_at_ms):
                raise LogRefused("interval_gap", "Time was left out before a gap.")
            stream.end_ms = gap.end_ms
            moved.add(key)
    return moved


def check_epoch(begun: EpochBegun, standing: Standing, *, index: int) -> None:
    """Refuse a beginning that is not this log's, or of another predecessor than the one we have."""
    if index != 0 or begun.epoch != standing.events.epoch:
        raise LogRefused("epoch_wrong", "A log states its epoch once, as its first entry.")
    if standing.events.predecessor != Checkpoint(
        begun.origin, begun.size, base64.b64decode(begun.root)
    ):
        raise LogRefused("epoch_wrong", "A log names another predecessor than the one we have.")


def take_adjusted(adjusted: Adjusted, index: int, standing: Standing, tally: Tally) -> None:
    """Count a correction in, or refuse it by name."""
    owner = standing.owners.get(adjusted.allocation_id)
    if owner is None:
        raise LogRefused("owner_unknown", f"{adjusted.allocation_id} is not of this node's.")
    check_payer(adjusted, owner)
    use = standing.events.referenced.get(adjusted.reference)
    if use is None or adjusted.reference >= index or not _is_of(adjusted, use):
        raise LogRefused("adjustment_unfounded", "An adjustment is of no record of its stream.")
    before = standing.events.adjusted.get(adjusted.reference, 0)
    after = before + adjusted.quantity
    if use.quantity + after < 0:
        raise LogRefused("adjustment_too_large", "An adjustment takes away more than was counted.")
    if adjusted.quantity > 0:
        _check_more(adjusted, use, use.quantity + after, owner, standing)
    standing.events.adjusted[adjusted.reference] = after
    stream = standing.streams[use.allocation_id, use.meter, use.sku]
    counted = replace(
        use, quantity=abs(adjusted.quantity), cumulative=use.cumulative + max(before, after)
    )
    if adjusted.quantity > 0:
        lease = standing.leases.get(use.lease_id, NO_LEASE)
        tally.add(counted, tally.rated(counted), stream=stream, owner=owner, lease=lease)
    else:
        tally.give_back(counted, index=index, stream=stream)


def _is_of(adjusted: Adjusted, use: Use) -> bool:
    """Whether an adjustment names the stream of the record that it corrects."""
    return (adjusted.allocation_id, adjusted.meter, adjusted.sku, adjusted.tenant_id) == (
        use.allocation_id,
        use.meter,
        use.sku,
        use.tenant_id,
    )


def _check_more(
    adjusted: Adjusted, use: Use, quantity: int, owner: OwnerFact, standing: Standing
) -> None:
    """Refuse an adjustment upwards that nobody approved, or to more than could have been used."""
    if (adjusted.reference, adjusted.quantity) not in standing.events.approved:
        raise LogRefused(
            "adjustment_unapproved",
            "More was to be counted afterwards, and no operator approved it: "
            "see `outstation-registry approve-adjustment`.",
        )
    held_ms = (use.end_ms - use.begin_ms) * owner.accelerator_count
    most = held_ms if use.meter in TIME_METERS else quantity_max(use.meter)
    if quantity > most:
        raise LogRefused("over_capacity", "More was counted than there was.")
