"""Take in what a node recorded: verify, rate, post, store, cosign; and prove it again later."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from protocol.checkpoint import (
    Checkpoint,
    cosignature,
    log_origin,
    read_signed_checkpoint,
    witness_name,
)
from protocol.clock import SECOND_MS
from protocol.merkle import EMPTY_FRONTIER, Frontier, Subtree, inclusion_proof
from protocol.note import cosigned_at_s, read_note
from protocol.price import Price
from protocol.receipt import Receipt, receipt_text
from protocol.refusal import Fault, LogRefused, Refusal
from protocol.signing import SigningKey
from protocol.sync import LogAnswer, LogBatch, LogProblem
from protocol.usage import Closed, Entry, LeaseClosed, Opened, Use
from registry.ledger.operations import post
from registry.ledger.postings import usage
from registry.ledger.queries import get_purse, list_journals
from registry.rating.price_book import PriceBook
from registry.store.database import Db
from registry.usage import queries
from registry.usage.acceptance import Accepted, accept
from registry.usage.entries import read_entries
from registry.usage.extension import Extension, ForkFound, checked_root, extension, signed_end
from registry.usage.log_state import LeaseStanding, Log, LogIdentity, OwnerFact, Standing
from registry.usage.log_tree import frontier_at, grown, subtrees
from registry.usage.recount import (
    Findings,
    Part,
    Recount,
    UsageReport,
    owner_at,
    parts_of,
    usage_src,
    whole_parts,
)
from registry.usage.tally import Tally

MESSAGE_CHARACTERS_MAX = 512
OF_OWNERS = (Use, Opened, Closed)
OF_LEASES = (Use, LeaseClosed)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What entries speak of and this room does not hold.

    list_owners   (db, node_id, ids): allocations of that node and API keys, by id
    list_prices   (db, skus): every price version of these SKUs
    list_leases   (db, lease ids): leases by id
    settle_lease  (db, lease_id, micros): charge them to a lease; how many it covered
    close_lease   (db, lease_id, now_ms): nothing more will be spent of it
    """

    list_owners: Callable[[Db, str, Sequence[str]], Mapping[str, OwnerFact]]
    list_prices: Callable[[Db, Sequence[str]], Iterable[Price]]
    list_leases: Callable[[Db, Sequence[int]], Mapping[int, LeaseStanding]]
    settle_lease: Callable[[Db, int, int], int]
    close_lease: Callable[[Db, int, int], bool]


@dataclass(frozen=True, slots=True)
class Witness:
    """By which name and key the registry cosigns, and when."""

    name: str
    key: SigningKey
    now_ms: int

    def cosignature(self, checkpoint: Checkpoint) -> str:
        """Return the registry's line under a checkpoint."""
        return cosignature(
            checkpoint, witness=self.name, key=self.key, at_s=self.now_ms // SECOND_MS
        )


def ingest(
    db: Db,
    identity: LogIdentity,
    batch: LogBatch,
    *,
    surroundings: Surroundings,
    now_ms: int,
    registry_key: SigningKey,
    domain: str,
) -> LogAnswer:
    """Take a batch in as one step of the caller's unit and answer how far the log now is.

    A batch that breaks a rule changes nothing but the log's problem, which the answer carries;
    one that begins beyond our size is answered with the size; one that was taken in before, with
    the cosignature it got.
    """
    log = _log_of(db, identity, domain)
    witness = Witness(witness_name(domain), registry_key, now_ms)
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


def receipts_of(db: Db, owner_id: str) -> list[str]:
    """Return the receipts that prove what an allocation or API key used: of each stream the first
    and the last record, whose cumulative counts differ by all that lies between."""
    return [
        receipt_for(db, cost.node_id, index, epoch=cost.epoch)
        for cost in queries.list_costs(db, owner_id=owner_id)
        for index in sorted({cost.first_index, cost.last_index})
    ]


def subtree_lookup(db: Db, log: Log) -> Subtree:
    """Return the lookup of perfect subtrees of an accepted log."""
    return subtrees(
        lambda level, first, last: queries.list_roots(db, log, level, first, last),
        lambda number: queries.list_bundle(db, log, number),
    )


def verify(
    db: Db,
    *,
    surroundings: Surroundings,
    site_of: Callable[[Db, str], tuple[str, int]],
    witness: str,
    witness_key: bytes,
) -> UsageReport:
    """Take every log in again from its first entry, and name whatever does not follow from it.

    site_of               (db, node id): the site that earns, and its share in basis points
    witness, witness_key  the name and public key by which the registry cosigned
    """
    journals = [journal for _, journal in list_journals(db) if journal.kind == "usage"]
    prices = PriceBook(surroundings.list_prices(db, queries.list_skus_used(db)))
    found = Findings()
    logs = queries.list_logs(db)
    for log in logs:
        site_id, basis_points = site_of(db, log.node_id)
        recount = Recount(log.node_id, log.origin, prices, site_id, basis_points)
        try:
            parts = parts_of(log.origin, journals)
            frontier = _recounted(db, log, parts, recount, surroundings)
            _check_signed(log, frontier, witness=witness, witness_key=witness_key)
        except LogRefused as refused:
            recount.note(refused)
        stored = queries.list_streams(db, log)
        found.add(recount, stored, entries=log.size)
    leases = surroundings.list_leases(db, sorted(found.settled))
    problems = found.compared(queries.list_hours(db), journals, leases)
    return UsageReport(logs=len(logs), entries=found.entries, problems=problems)


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


def _ids(entries: Sequence[Entry]) -> tuple[list[str], list[int]]:
    """Return the owners and the leases that entries name."""
    owners = {entry.allocation_id for entry in entries if isinstance(entry, OF_OWNERS)}
    leases = {entry.lease_id for entry in entries if isinstance(entry, OF_LEASES)}
    return sorted(owners), sorted(leases - {0})


def _taken_in(
    db: Db,
    log: Log,
    identity: LogIdentity,
    batch: LogBatch,
    surroundings: Surroundings,
    witness: Witness,
) -> LogAnswer:
    if len(log.frontier.roots) != log.size.bit_count():
        raise Fault(f"{log.origin}: the stored frontier is damaged; run ledger verify")
    checkpoint = signed_end(log, batch)
    if batch.begin > log.size:
        return LogAnswer(epoch=log.epoch, size=log.size)
    added = _extension(db, log, batch, checkpoint)
    if not added.entries:
        return _repeated(db, log, checkpoint)
    raw = [entry.encode("utf-8", "surrogatepass") for entry in added.entries]
    frontier, roots = grown(log.frontier, raw)
    moved = replace(
        log,
        frontier=checked_root(frontier, checkpoint),
        checkpoint=batch.checkpoint,
        cosignature=witness.cosignature(checkpoint),
        accepted_at_ms=witness.now_ms,
    )
    entries = read_entries(added.entries, first_index=log.size)
    standing = _standing(db, log, entries, surroundings, witness.now_ms)
    skus = sorted({entry.sku for entry in entries if isinstance(entry, Use)})
    tally = Tally(
        PriceBook(surroundings.list_prices(db, skus)),
        site_id=identity.site_id,
        share_basis_points=identity.site_share_basis_points,
    )
    accepted = accept(
        entries,
        first_index=log.size,
        node_id=log.node_id,
        standing=standing,
        tally=tally,
        now_ms=witness.now_ms,
    )
    queries.insert_entries(db, log, raw, roots)
    _store(db, log, standing, accepted, tally)
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


def _standing(
    db: Db, log: Log, entries: Sequence[Entry], surroundings: Surroundings, now_ms: int
) -> Standing:
    """Return what the rules between these entries look at, as it is stored."""
    owners, leases = _ids(entries)
    facts = surroundings.list_owners(db, log.node_id, owners)
    return Standing(
        owners={name: owner_at(fact, now_ms) for name, fact in facts.items()},
        leases=dict(surroundings.list_leases(db, leases)),
        streams=queries.list_streams(db, log, owners),
        openings=queries.list_openings(db, log, owners),
        accelerators=queries.list_accelerator_uses(db, log),
        counted_to_ms=queries.counted_to_ms(db, log),
    )


def _extension(db: Db, log: Log, batch: LogBatch, checkpoint: Checkpoint) -> Extension:
    end = min(checkpoint.size, log.size)
    lookup = subtree_lookup(db, log)
    return extension(
        log,
        batch,
        checkpoint,
        known=queries.list_entries(db, log, batch.begin, end) if batch.begin < end else (),
        frontier_at=lambda size: log.frontier if size == log.size else frontier_at(size, lookup),
    )


def _store(db: Db, log: Log, standing: Standing, accepted: Accepted, tally: Tally) -> None:
    """Store where everything that moved now stands."""
    queries.upsert_streams(db, log, {key: standing.streams[key] for key in accepted.streams})
    queries.upsert_openings(db, log, {key: standing.openings[key] for key in accepted.openings})
    queries.upsert_accelerator_uses(
        db, log, {uuid: standing.accelerators[uuid] for uuid in accepted.accelerators}
    )
    queries.add_hours(db, log, tally.hours)


def _settle(
    db: Db,
    log: Log,
    end: int,
    tally: Tally,
    accepted: Accepted,
    surroundings: Surroundings,
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
    for lease_id, micros in sorted(tally.settled.items()):
        covered = surroundings.settle_lease(db, lease_id, micros)
        assert covered == micros
    for lease_id in sorted(accepted.leases_closed):
        surroundings.close_lease(db, lease_id, now_ms)


def _read_back(db: Db, log: Log, part: Part) -> list[bytes]:
    """Return the stored entries of a part; refuse if some are damaged or missing."""
    try:
        raw = queries.list_entries(db, log, part.begin, part.end)
    except ValueError as error:
        raise LogRefused("bundle_damaged", str(error), index=part.begin) from None
    if len(raw) != part.end - part.begin:
        raise LogRefused("entries_missing", "Entries are missing.", index=part.begin)
    return raw


def _recounted(
    db: Db, log: Log, parts: Sequence[Part], recount: Recount, surroundings: Surroundings
) -> Frontier:
    """Take the log in again, part by part; return the frontier over what is stored of it."""
    frontier = EMPTY_FRONTIER
    for part in whole_parts(parts, size=log.size, at_ms=log.accepted_at_ms or 0):
        raw = _read_back(db, log, part)
        frontier, roots = grown(frontier, raw)
        for root in roots:
            kept = queries.list_roots(db, log, root.level, root.number, root.number + 1)
            if kept != [root.root]:
                raise LogRefused("subtree_wrong", "A kept root is not its entries'.")
        text = [entry.decode("utf-8", "surrogatepass") for entry in raw]
        entries = read_entries(text, first_index=part.begin)
        owners, leases = _ids(entries)
        facts = surroundings.list_owners(db, log.node_id, owners)
        granted = surroundings.list_leases(db, leases)
        recount.add(part, entries, owners=facts, leases=granted)
    return frontier


def _check_signed(log: Log, frontier: Frontier, *, witness: str, witness_key: bytes) -> None:
    """Refuse a log whose stored entries are not what node and registry signed."""
    if not log.size:
        return
    checkpoint = read_signed_checkpoint(
        log.checkpoint, origin=log.origin, public_key=log.public_key
    )
    if checkpoint.size != log.size or frontier != log.frontier:
        raise LogRefused("frontier_wrong", "The log does not stand where its entries lead.")
    checked_root(frontier, checkpoint)
    note = read_note(log.checkpoint + log.cosignature)
    if cosigned_at_s(note, name=witness, public_key=witness_key) is None:
        raise LogRefused("cosignature_wrong", "The registry's cosignature does not verify.")
