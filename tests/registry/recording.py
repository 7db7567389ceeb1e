"""A node that records usage, as bytes; and a registry desk that takes its batches in.

The node keeps no rule: it signs whatever a test lets it record.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from protocol.checkpoint import Checkpoint, log_origin, signed_checkpoint
from protocol.merkle import EMPTY_FRONTIER
from protocol.packing import packed_entries
from protocol.price import Price
from protocol.signing import public_bytes
from protocol.sync import LogAnswer, LogBatch
from protocol.usage import GPU_MS, Closed, Entry, LeaseClosed, Opened, Use, entry_bytes
from registry.leases.operations import grant_first, surroundings
from registry.store.database import Database, Db
from registry.usage.log_state import LogIdentity, OwnerFact
from registry.usage.operations import ingest
from registry.usage.surroundings import Surroundings
from tests.registry.books import books, give
from tests.services.databases import Databases

T = TypeVar("T")

DOMAIN = "cloud.example"
HOUR_MS = 3_600_000
START_MS = 498_659 * HOUR_MS
NOW_MS = START_MS + HOUR_MS
NODE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
REGISTRY_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
IDENTITY = LogIdentity(
    node_id="n_1",
    epoch=0,
    public_key=public_bytes(NODE_KEY),
    site_id="s_1",
    site_share_basis_points=7_000,
)
PRICES = (
    Price("h200.1x", GPU_MS, 1, 2_500_000, HOUR_MS, START_MS - HOUR_MS),
    Price("h200.1x", GPU_MS, 2, 3_100_000, HOUR_MS, START_MS + HOUR_MS),
    Price("h200.2x", GPU_MS, 1, 2_500_000, HOUR_MS, START_MS - HOUR_MS),
    Price("demo-echo", "tok.in", 1, 150_001, 1_000_000, START_MS - HOUR_MS),
    Price("demo-echo", "tok.out", 1, 600_007, 1_000_000, START_MS - HOUR_MS),
    Price("demo-echo", "req", 1, 3, 1, START_MS - HOUR_MS),
)
OWNERS = {
    "a_1": OwnerFact("t_1", "p_1", "h200.1x", 1),
    "a_2": OwnerFact("t_2", "p_2", "h200.2x", 2),
    "a_3": OwnerFact("t_1", "p_1", "h200.1x", 1),
    "k_1": OwnerFact("t_1", "p_1"),
}


@dataclass(slots=True)
class Recorder:
    """A node's log: every entry it recorded, and its signature over any size of it."""

    key: Ed25519PrivateKey = NODE_KEY
    origin: str = log_origin(DOMAIN, "n_1", 0)
    entries: list[bytes] = field(default_factory=list)

    def record(self, *entries: Entry | bytes) -> None:
        """Append entries, made or as bytes."""
        self.entries += [
            entry if isinstance(entry, bytes) else entry_bytes(entry) for entry in entries
        ]

    def note(self, size: int) -> str:
        """The signed checkpoint over the first `size` entries."""
        root = EMPTY_FRONTIER.extended(self.entries[:size]).root()
        return signed_checkpoint(Checkpoint(self.origin, size, root), self.key)

    def batch(self, begin: int = 0, end: int | None = None) -> LogBatch:
        """Entries [begin, end) and the checkpoint over the log up to there."""
        stop = len(self.entries) if end is None else end
        packed = packed_entries(self.entries[begin:stop])
        return LogBatch(epoch=0, begin=begin, entries=packed, checkpoint=self.note(stop))


@dataclass(slots=True)
class Desk:
    """The registry's side: a unit of work at a time."""

    database: Database
    owners: dict[str, OwnerFact] = field(default_factory=lambda: dict(OWNERS))
    prices: tuple[Price, ...] = PRICES
    now_ms: int = NOW_MS

    def surroundings(self) -> Surroundings[Db]:
        """What usage is taken in with here."""

        def list_owners(_db: Db, node_id: str, ids: Sequence[str]) -> dict[str, OwnerFact]:
            assert node_id == "n_1"
            return {name: self.owners[name] for name in ids if name in self.owners}

        def list_prices(_db: Db, skus: Sequence[str]) -> list[Price]:
            return [price for price in self.prices if price.sku in skus]

        return surroundings(list_owners=list_owners, list_prices=list_prices)

    def take(self, batch: LogBatch, identity: LogIdentity = IDENTITY) -> LogAnswer:
        """Take a batch in, in a unit of its own."""
        return self.within(lambda db: self.take_in(db, batch, identity))

    def take_in(self, db: Db, batch: LogBatch, identity: LogIdentity = IDENTITY) -> LogAnswer:
        """Take a batch in, in the caller's unit."""
        return ingest(
            db,
            identity,
            batch,
            surroundings=self.surroundings(),
            now_ms=self.now_ms,
            registry_key=REGISTRY_KEY,
            domain=DOMAIN,
        )

    def within(self, work: Callable[[Db], T]) -> T:
        """Run a piece of work in a unit of its own."""
        with self.database.unit() as db:
            return work(db)


@contextmanager
def desk(databases: Databases) -> Iterator[Desk]:
    """A desk over a database of its own."""
    with books(databases) as database:
        yield Desk(database)


def node_with_lease(here: Desk) -> Recorder:
    """A node that holds lease 1 of tenant t_1, who paid in 50 units."""

    def prepare(db: Db) -> None:
        give(db, "t_1", 50_000_000)
        assert grant_first(db, "t_1", "n_1", hourly_micros=2_500_000, now_ms=START_MS) == 1

    here.within(prepare)
    return Recorder()


def opened(allocation_id: str = "a_1", *uuids: str, at_ms: int = START_MS) -> Opened:
    """An opening of an allocation of OWNERS."""
    owner = OWNERS[allocation_id]
    assert owner.sku is not None
    return Opened(
        allocation_id=allocation_id,
        tenant_id=owner.tenant_id,
        project_id=owner.project_id,
        sku=owner.sku,
        at_ms=at_ms,
        boot_id="boot-1",
        container_id="c0ffee",
        accelerators=uuids,
    )


def closed(allocation_id: str = "a_1", *, at_ms: int) -> Closed:
    """Its end."""
    return Closed(allocation_id=allocation_id, at_ms=at_ms, reason="release")


def lease_closed(lease_id: int, tenant_id: str = "t_1", at_ms: int = START_MS) -> LeaseClosed:
    """The end of a lease by the word of the node."""
    return LeaseClosed(
        lease_id=lease_id, tenant_id=tenant_id, at_ms=at_ms, spent=0, reason="stopped"
    )


def time_use(
    begin_ms: int, end_ms: int, *, before: int, lease_id: int, allocation_id: str = "a_1"
) -> Use:
    """All accelerators of an allocation over an interval."""
    owner = OWNERS[allocation_id]
    assert owner.sku is not None
    quantity = (end_ms - begin_ms) * owner.accelerator_count
    return Use(
        allocation_id=allocation_id,
        tenant_id=owner.tenant_id,
        project_id=owner.project_id,
        sku=owner.sku,
        meter=GPU_MS,
        lease_id=lease_id,
        begin_ms=begin_ms,
        end_ms=end_ms,
        quantity=quantity,
        cumulative=before + quantity,
    )


def minutes(count: int, *, lease_id: int, allocation_id: str = "a_1", first: int = 0) -> list[Use]:
    """Consecutive minutes of an allocation, from minute `first` of its stream on."""
    width = 60_000 * OWNERS[allocation_id].accelerator_count
    return [
        time_use(
            START_MS + at * 60_000,
            START_MS + (at + 1) * 60_000,
            before=at * width,
            lease_id=lease_id,
            allocation_id=allocation_id,
        )
        for at in range(first, first + count)
    ]


def tokens(
    quantity: int, *, before: int, lease_id: int, meter: str = "tok.in", at_ms: int = START_MS
) -> Use:
    """Tokens of an API key in a minute."""
    return Use(
        allocation_id="k_1",
        tenant_id="t_1",
        project_id="p_1",
        sku="demo-echo",
        meter=meter,
        lease_id=lease_id,
        begin_ms=at_ms,
        end_ms=at_ms + 60_000,
        quantity=quantity,
        cumulative=before + quantity,
    )
