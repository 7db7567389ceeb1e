"""Take in what a node recorded: verify, rate, post, store, cosign; and prove it again later."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from protocol.checkpoint import Checkpoint, log_origin, witness_name
from protocol.log_events import Gap
from protocol.merkle import EMPTY_FRONTIER, Frontier, Subtree, inclusion_proof
from protocol.packing import Unpacked
from protocol.receipt import Receipt, receipt_text
from protocol.refusal import Fault, LogRefused, Refusal
from protocol.signing import SigningKey
from protocol.sync import LogAnswer, LogBatch, LogProblem
from protocol.usage import Closed, Opened
from registry.ledger.operations import post
from registry.ledger.postings import usage
from registry.ledger.queries import get_purse, list_journals
from registry.log_events.facts import EventFacts
from registry.log_events.operations import (
    check_both_signed,
    facts_for,
    give_back,
    judge_time,
    keep_events,
    keep_key,
)
from registry.log_events.queries import lost_to_ms
from registry.rating.price_book import PriceBook
from registry.store.database import Db
from registry.usage import queries
from registry.usage.acceptance import Accepted, accept
from registry.usage.bounds import check_counts
from registry.usage.entries import ReadBatch, read_unpacked
from registry.usage.entry_ids import named_ids, named_skus
from registry.usage.extension import (
    Extension,
    ForkFound,
    check_signed,
    checked_root,
    extension,
    signed_end,
)
from registry.usage.log_state import Log, LogIdentity, Standing
from registry.usage.log_tree import grown, subtrees
from registry.usage.recount import (
    Findings,
    Part,
    Recount,
    UsageReport,
    is_of_usage,
    log_problems,
    owner_at,
    parts_of,
    usage_src,
    whole_parts,
)
from registry.usage.surroundings import Surroundings
from registry.usage.tally import Tally
from registry.usage.witness import Witness

MESSAGE_CHARACTERS_MAX = 512


def ingest(
    db: Db,
    identity: LogIdentity,
    batch: LogBatch,
    *,
    surroundings: Surroundings[Db],
    now_ms: int,
    registry_key: SigningKey,
    domain: str,
    skew_ms: int = 0,
) -> LogAnswer:
    """Take a batch in as one step of the caller's unit and answer how far the log now is.

    A batch that breaks a rule changes nothing but the log's problem, which the answer carries;
    one that begins beyond our size is answered with the size; one that was taken in before, with
    the cosignature it got.

    skew_ms  the node's time less ours
    """
    log = _log_of(db, identity, domain)
    witness = Witness(witness_name(domain), registry_key, now_ms, skew_ms)
    try:
        with db.savepoint():
            return _taken_in(db, log, identity, batch, surroundings, witness)
    except LogRefused as refused:
        place = "" if refused.index is None else f" (entry {refused.index})"
        message = f"{refused.message}{place}"[:MESSAGE_CHARACTERS_MAX]
        queries.note_problem(
            db,
            log,
            state="frozen" if isinstance(refused, ForkFound) else "parked",
            code=refused.code,
            message=message,
            evidence=refused.evidence if isinstance(refused, ForkFound) else "",
            now_ms=now_ms,
        )
        problem = LogProblem(code=refused.code, message=message)
        return LogAnswer(epoch=log.epoch, size=log.size, problem=problem)


def standing_answer(db: Db, identity: LogIdentity, *, domain: str) -> LogAnswer:
    """Return how far a node's log is, for a node that has nothing to send."""
    log = _log_of(db, identity, domain)
    problem = None
    if log.problem_code:
        problem = LogProblem(code=log.problem_code, message=log.problem_message)
    return LogAnswer(
        epoch=log.epoch, size=log.size, cosignature=log.cosignature or None, problem=problem
    )


def receipt_for(db: Db, node_id: str, index: int, *, epoch: int | None = None) -> str:
    """Return the proof that entry `index` stands in a node's log, as C2SP tlog-proof text.

    epoch  of the log, or None for the node's present one
    """
    if epoch is None:
        log = queries.find_latest_log(db, node_id)
    else:
        log = queries.find_log(db, node_id, epoch)
    if log is None or not 0 <= index < log.size:
        raise Refusal(
            code="receipt_not_found",
            status=404,
            message="No accepted log has an entry at that place.",
            hint="Take the index from the bill or from the allocation's page.",
        )
    (entry,) = queries.list_entries(db, log, index, index + 1)
    return receipt_text(
        Receipt(
            entry=entry,
            index=index,
            proof=tuple(inclusion_proof(index, log.size, subtree_lookup(db, log))),
            checkpoint_note=log.checkpoint + log.cosignature,
        )
    )


def subtree_lookup(db: Db, log: Log) -> Subtree:
    """Return the lookup of perfect subtrees of an accepted log."""
    return subtrees(
        lambda level, first, last: queries.list_roots(db, log, level, first, last),
        lambda number: queries.list_bundle(db, log, number),
    )


def verify(
    db: Db,
    *,
    surroundings: Surroundings[Db],
    site_of: Callable[[Db, str], tuple[str, int]],
    witness: str,
    witness_key: bytes,
) -> UsageReport:
    """Take every log in again from its first entry, and name whatever does not follow from it.

    site_of               (db, node id): the site that earns, and its share in basis points
    witness, witness_key  the name and public key by which the registry cosigned
    """
    journals = [journal for _, journal in list_journals(db) if is_of_usage(journal)]
    prices = PriceBook(surroundings.list_prices(db, queries.list_skus_used(db)))
    found = Findings()
    logs = queries.list_logs(db)
    for log in logs:
        site_id, basis_points = site_of(db, log.node_id)
        recount = Recount(log.node_id, log.origin, prices, site_id, basis_points)
        try:
            parts = parts_of(log.origin, journals)
            frontier = _recounted(db, log, parts, recount, surroundings)
            check_signed(log, frontier, witness=witness, witness_key=witness_key)
        except LogRefused as refused:
            recount.note(refused)
        stored = queries.list_streams(db, log)
        found.add(recount, stored, entries=log.size)
        found.problems += log_problems(log)
    leases = surroundings.list_leases(db, sorted(found.settled))
    problems = found.compared(queries.list_hours(db), journals, leases)
    seen = frozenset(found.settled)
    return UsageReport(len(logs), found.entries, problems, leases=seen)


def _log_of(db: Db, identity: LogIdentity, domain: str) -> Log:
    """Return the log of a node, begun now if this is the first that is heard of it."""
    log = queries.find_log(db, identity.node_id, identity.epoch)
    if log is None:
        log = Log(
            node_id=identity.node_id,
            epoch=identity.epoch,
            origin=log_origin(domain, identity.node_id, identity.epoch),
            public_key=identity.public_key,
            state="open",
            frontier=EMPTY_FRONTIER,
            checkpoint="",
            cosignature="",
            accepted_at_ms=None,
        )
        queries.insert_log(db, log)
    return log


def _taken_in(
    db: Db,
    log: Log,
    identity: LogIdentity,
    batch: LogBatch,
    surroundings: Surroundings[Db],
    witness: Witness,
) -> LogAnswer:
    if len(log.frontier.roots) != log.size.bit_count():
        raise Fault(f"{log.origin}: the stored frontier is damaged; run ledger verify")
    checkpoint = signed_end(log, batch)
    if batch.begin > log.size:
        return LogAnswer(epoch=log.epoch, size=log.size)
    added = _extension(db, log, batch, checkpoint)
    if added is None:
        return _repeated(db, log, checkpoint)
    raw = added.unpacked.entries
    frontier, roots = grown(log.frontier, raw)
    moved = replace(
        log,
        frontier=checked_root(frontier, checkpoint),
        checkpoint=batch.checkpoint,
        cosignature=witness.cosignature(checkpoint),
        accepted_at_ms=witness.now_ms,
    )
    read = read_unpacked(added.unpacked, first_index=log.size)
    standing = _standing(db, log, read, surroundings, witness)
    tally = Tally(
        PriceBook(surroundings.list_prices(db, named_skus(read))).within(standing.events.span),
        site_id=identity.site_id,
        share_basis_points=identity.site_share_basis_points,
    )
    accepted = accept(
        read, node_id=log.node_id, standing=standing, tally=tally, now_ms=witness.now_ms
    )
    if accepted.public_key is not None:
        check_both_signed(batch.checkpoint, origin=log.origin, public_key=accepted.public_key)
        moved = replace(moved, public_key=accepted.public_key)
    check_counts(tally.counts, queries.list_counts(db, log.node_id, tally.counts))
    queries.insert_entries(db, log, added.packed, raw, roots)
    _store(db, log, moved, standing, accepted, tally)
    _settle(db, log, moved.size, tally, accepted, surroundings, witness.now_ms)
    if not queries.move_log(db, moved, before=log.size):
        raise Fault(f"{log.origin}: moved on from {log.size} inside one unit of work")
    return LogAnswer(epoch=log.epoch, size=moved.size, cosignature=moved.cosignature)


def _repeated(db: Db, log: Log, checkpoint: Checkpoint) -> LogAnswer:
    """Return the answer to what was taken in before; all of it repeated, the log is open again."""
    if checkpoint.size < log.size:
        return LogAnswer(epoch=log.epoch, size=log.size)
    if log.problem_code:
        queries.move_log(db, log, before=log.size)
    return LogAnswer(epoch=log.epoch, size=log.size, cosignature=log.cosignature or None)


def _events(db: Db, log: Log, read: ReadBatch) -> EventFacts:
    def entry_at(index: int) -> bytes | None:
        at = index - read.first_index
        if 0 <= at < len(read.raw):
            return read.raw[at]
        return next(iter(queries.list_entries(db, log, index, index + 1)), None)

    others, begin = list(read.others.values()), read.first_index
    return facts_for(db, log, others, begin=begin, public_key=log.public_key, entry_at=entry_at)


def _standing(
    db: Db,
    log: Log,
    read: ReadBatch,
    surroundings: Surroundings[Db],
    witness: Witness,
) -> Standing:
    """Return what the rules between these entries look at, as it is stored."""
    owners, leases = named_ids(read)
    facts = surroundings.list_owners(db, log.node_id, owners)
    events = _events(db, log, read)
    events.span = judge_time(db, log, skew_ms=witness.skew_ms, now_ms=witness.now_ms)
    leases += [use.lease_id for use in events.referenced.values()]
    standing = Standing(
        owners={name: owner_at(fact, witness.now_ms) for name, fact in facts.items()},
        leases=dict(surroundings.list_leases(db, sorted({*leases} - {0}))),
        streams=queries.list_streams(db, log, owners),
        openings=queries.list_openings(db, log, owners),
        events=events,
    )
    if any(isinstance(entry, Opened | Closed | Gap) for entry in read.others.values()):
        standing.accelerators = queries.list_accelerator_uses(db, log)
        lost_ms = lost_to_ms(db, log.node_id, log.epoch)
        standing.counted_to_ms = max(queries.counted_to_ms(db, log), lost_ms)
    return standing


def _extension(db: Db, log: Log, batch: LogBatch, checkpoint: Checkpoint) -> Extension | None:
    end = min(checkpoint.size, log.size)
    return extension(
        log,
        batch,
        checkpoint,
        known=queries.list_entries(db, log, batch.begin, end) if batch.begin < end else (),
        subtree=subtree_lookup(db, log),
    )


def _store(
    db: Db, log: Log, moved: Log, standing: Standing, accepted: Accepted, tally: Tally
) -> None:
    """Store where everything that moved now stands, and what was said besides."""
    if accepted.public_key is not None:
        keep_key(
            db,
            log,
            before=log.public_key,
            public_key=moved.public_key,
            from_size=moved.size,
            note=moved.checkpoint,
        )
    keep_events(db, log, accepted.events)
    streams = {key: standing.streams[key] for key in accepted.streams}
    queries.upsert_streams(db, log, streams)
    queries.upsert_openings(db, log, {key: standing.openings[key] for key in accepted.openings})
    queries.upsert_accelerator_uses(
        db, log, {uuid: standing.accelerators[uuid] for uuid in accepted.accelerators}
    )
    queries.add_hours(db, streams, tally.hours)


def _settle(
    db: Db,
    log: Log,
    end: int,
    tally: Tally,
    accepted: Accepted,
    surroundings: Surroundings[Db],
    now_ms: int,
) -> None:
    """Post one journal per tenant, take what was charged off its leases, close those that ended."""
    for tenant_id in sorted(tally.tenants):
        charge = tally.usage_charge(tenant_id)
        if charge is not None:
            src = usage_src(log.origin, log.size, end, tenant_id)
            purse = get_purse(db, tenant_id)
            posted = post(db, usage(src=src, at_ms=now_ms, purse=purse, charge=charge))
            assert posted is not None
    give_back(db, log, tally.given_back, accepted.events, now_ms=now_ms)
    for lease_id, micros in sorted(tally.settled.items()):
        covered = surroundings.settle_lease(db, lease_id, micros)
        assert covered == micros
    for lease_id in sorted(accepted.leases_closed):
        surroundings.close_lease(db, lease_id, now_ms)


def _read_back(db: Db, log: Log, part: Part) -> Unpacked:
    """Return the stored entries of a part; refuse if some are damaged or missing."""
    try:
        found = queries.list_unpacked(db, log, part.begin, part.end)
    except ValueError as error:
        raise LogRefused("bundle_damaged", str(error), index=part.begin) from None
    if len(found.entries) != part.end - part.begin:
        raise LogRefused("entries_missing", "Entries are missing.", index=part.begin)
    return found


def _recounted(
    db: Db, log: Log, parts: Sequence[Part], recount: Recount, surroundings: Surroundings[Db]
) -> Frontier:
    """Take the log in again, part by part; return the frontier over what is stored of it."""
    frontier = EMPTY_FRONTIER
    for part in whole_parts(parts, size=log.size, at_ms=log.accepted_at_ms or 0):
        found = _read_back(db, log, part)
        frontier, roots = grown(frontier, found.entries)
        for root in roots:
            kept = queries.list_roots(db, log, root.level, root.number, root.number + 1)
            if kept != [root.root]:
                raise LogRefused("subtree_wrong", "A kept root is not its entries'.")
        read = read_unpacked(found, first_index=part.begin)
        owners, leases = named_ids(read)
        facts = surroundings.list_owners(db, log.node_id, owners)
        events = _events(db, log, read)
        leases += [use.lease_id for use in events.referenced.values() if use.lease_id]
        recount.add(
            part,
            read,
            owners=facts,
            leases=surroundings.list_leases(db, sorted({*leases})),
            events=events,
        )
    return frontier
