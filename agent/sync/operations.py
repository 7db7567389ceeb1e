"""The two halves of a sync in the store, and what other rooms read of what it brought.

`outgoing` and `take_answer` are a unit of work each; between them the call is on the wire and the
store is free.  What is read back later is verified again, every time: the disk is not trusted more
than the wire.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from agent.leases.operations import replace_leases
from agent.leases.queries import list_lease_spend
from agent.metering.operations import go_on_after_restore
from agent.store.database import Db
from agent.sync import queries
from agent.sync.exchange import Change, Held, Observed, change, sync_request
from agent.usage_log.log_state import Parked
from agent.usage_log.operations import (
    Sign,
    begin_log,
    count_unsent,
    end_key_change,
    end_restore,
    next_batch,
    note_answer,
    restore_begin,
)
from agent.usage_log.queries import get_log
from protocol import desired, key_set
from protocol.balance import TenantBalance
from protocol.checkpoint import witness_name
from protocol.desired import DesiredState
from protocol.enrolment import EnrolAnswer
from protocol.key_set import KeySet
from protocol.price import Price
from protocol.refusal import Fault, Refusal
from protocol.signing import unseal
from protocol.sync import SyncAnswer, SyncRequest


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A call about to be made, and the keys under which its answer counts."""

    request: SyncRequest
    trusted: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Heard:
    """A verified answer and the moments around it.

    signed_by     key id of the registry's key
    sent_boot_ms  when the request left, by boottime
    skew_ms       the machine's clock minus the registry's
    """

    answer: SyncAnswer
    signed_by: str
    sent_boot_ms: int
    received_boot_ms: int
    skew_ms: int


@dataclass(frozen=True, slots=True)
class Taken:
    """What an answer changed here.

    parked   why the usage log is not taken, or None
    backlog  how many entries could be sent that the registry has not cosigned yet
    balances  the state of each tenant's balance, as it was said
    """

    change: Change
    parked: Parked | None
    backlog: int
    balances: tuple[TenantBalance, ...] = ()


def note_enrolled(db: Db, answer: EnrolAnswer, *, public_key: bytes, now_ms: int) -> None:
    """Keep what enrolment gave; the same answer again changes nothing but the trusted keys."""
    held = queries.find_identity(db)
    if held is not None and (held.node_id, held.public_key) != (answer.node_id, public_key):
        raise Fault(
            f"This machine is node {held.node_id} already; the secret is for {answer.node_id}. "
            "Use an empty data directory to make it another node."
        )
    begin_log(
        db,
        registry_domain=answer.registry_domain,
        node_id=answer.node_id,
        epoch=answer.log_epoch,
        lost=answer.lost_log,
    )
    queries.replace_trusted(db, answer.trust_keys)
    if held is None:
        queries.insert_identity(
            db,
            queries.Identity(
                node_id=answer.node_id,
                node_name=answer.node_name,
                site_name=answer.site_name,
                registry_domain=answer.registry_domain,
                public_key=public_key,
                enrolled_at_ms=now_ms,
            ),
        )


def outgoing(
    db: Db,
    observed: Observed,
    *,
    boot_id: str,
    sent_at_ms: int,
    node_time_ms: int,
    sign: Sign | None,
    agent_version: str,
) -> Outgoing:
    """Return the next call.

    sign  None at the first call after a start: before the registry has said how much of the log it
          has, nothing of it is signed, since this database may be an older copy
    """
    held = _held(db, boot_id)
    contact = queries.find_contact(db)
    sequence = contact.sequence + 1 if contact.boot_id == boot_id else 1
    if contact.boot_id != boot_id:
        contact = replace(contact, boot_id=boot_id, last_answer_boot_ms=None)
    queries.put_contact(db, replace(contact, sequence=sequence))
    request = sync_request(
        held,
        observed,
        sequence=sequence,
        sent_at_ms=sent_at_ms,
        node_time_ms=node_time_ms,
        leases=list_lease_spend(db),
        log=next_batch(db, sign) if sign is not None else None,
        agent_version=agent_version,
    )
    return Outgoing(request=request, trusted=dict(held.trusted))


def take_answer(db: Db, heard: Heard, *, boot_id: str, sign: Sign) -> Taken:
    """Keep everything an answer says: documents, leases, keys, and how far the log is."""
    held = _held(db, boot_id)
    answer = heard.answer
    changed = change(held, answer, signed_by=heard.signed_by)
    queries.replace_trusted(db, changed.trust_keys)
    if changed.desired is not None:
        state, envelope = changed.desired
        queries.put_document(db, envelope, version=state.generation)
    if changed.key_set is not None:
        keys, envelope = changed.key_set
        queries.put_document(db, envelope, version=keys.version)
    queries.replace_balances(db, answer.balances)
    replace_leases(db, answer.leases, sent_boot_ms=heard.sent_boot_ms, boot_id=boot_id)
    identity = queries.get_identity(db)
    parked = note_answer(
        db,
        answer.log,
        sign,
        witness=witness_name(identity.registry_domain),
        witness_keys=[bytes.fromhex(trust.public_key) for trust in changed.trust_keys],
    )
    contact = queries.find_contact(db)
    queries.put_contact(
        db,
        replace(
            contact,
            boot_id=boot_id,
            last_answer_boot_ms=heard.received_boot_ms,
            last_answer_at_ms=answer.now_ms,
            skew_ms=heard.skew_ms,
            held_back_generation=changed.held_back_generation,
        ),
    )
    return Taken(
        change=changed,
        parked=parked,
        backlog=0 if parked else count_unsent(db),
        balances=answer.balances,
    )


def stored_balances(db: Db) -> dict[str, TenantBalance]:
    """Return how the money of tenants stood when the registry was last heard, by tenant."""
    return {one.tenant_id: one for one in queries.list_balances(db)}


def take_key_change(db: Db) -> bool:
    """Go by the new key of this node if the registry has cosigned the change; False if not."""
    public_key = end_key_change(db)
    if public_key is None:
        return False
    queries.move_identity_key(db, public_key)
    return True


def restore_from(db: Db) -> tuple[int, int] | None:
    """Return the epoch and from where on entries are to be pulled back; None if none are."""
    begin = restore_begin(db)
    return None if begin is None else (get_log(db).epoch, begin)


def finish_restore(db: Db, checkpoint: str) -> int:
    """Go on from the log that was pulled back; return its size."""
    identity = queries.get_identity(db)
    replayed = end_restore(
        db,
        checkpoint,
        public_key=identity.public_key,
        witness=witness_name(identity.registry_domain),
        witness_keys=list(queries.list_trusted(db).values()),
    )
    go_on_after_restore(db, replayed)
    return get_log(db).frontier.size


def stored_prices(db: Db) -> Sequence[Price]:
    """Return the prices of the desired state this node holds."""
    state = stored_desired(db)
    return state.prices if state is not None else ()


def stored_paces(db: Db) -> dict[str, int]:
    """Return what each tenant's work on this node costs an hour, as the registry said last."""
    return {one.tenant_id: one.hourly_micros for one in queries.list_balances(db)}


def stored_desired(db: Db) -> DesiredState | None:
    """Return the desired state this node holds; None if it has none that is signed rightly."""
    envelope = queries.find_document(db, desired.PURPOSE)
    identity = queries.find_identity(db)
    if envelope is None or identity is None:
        return None
    try:
        state = unseal(
            envelope, DesiredState, purpose=desired.PURPOSE, trusted=queries.list_trusted(db)
        )
    except Refusal:
        return None
    return state if state.node_id == identity.node_id else None


def stored_key_set(db: Db) -> KeySet | None:
    """Return the key set this node holds; None if it has none that is signed rightly."""
    envelope = queries.find_document(db, key_set.PURPOSE)
    identity = queries.find_identity(db)
    if envelope is None or identity is None:
        return None
    try:
        keys = unseal(envelope, KeySet, purpose=key_set.PURPOSE, trusted=queries.list_trusted(db))
    except Refusal:
        return None
    return keys if keys.node_id == identity.node_id else None


def _held(db: Db, boot_id: str) -> Held:
    identity = queries.get_identity(db)
    return Held(
        node_id=identity.node_id,
        boot_id=boot_id,
        trusted=queries.list_trusted(db),
        desired=stored_desired(db),
        key_set=stored_key_set(db),
        held_back_generation=queries.find_contact(db).held_back_generation,
    )
