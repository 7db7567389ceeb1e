"""How many usage records does the registry verify, rate, post and store per CPU second?

    python -m bench.ingest [--json] [--records N] [--batch N] [--postgres URL | --no-postgres]

The shipped operation takes in signed batches of a realistic node (eight allocations and eight API
keys, 32 records a minute) from wire bytes to a durable commit on SQLite, synchronous FULL.  The
ratio is that rate over hashing the same entries into the tree alone, measured in the same run and
between the same batches, so a busy machine slows both alike; 1 would mean that everything else
costs nothing.  PostgreSQL runs with fsync on; its figure counts our CPU alone, and wall time.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import text

from protocol.checkpoint import Checkpoint, log_origin, signed_checkpoint
from protocol.ids import new_id
from protocol.merkle import EMPTY_FRONTIER, Frontier
from protocol.packing import packed_entries
from protocol.price import Price
from protocol.signing import new_signing_key, public_bytes
from protocol.sync import LogBatch
from protocol.usage import GPU_MS, Entry, Opened, Use, entry_bytes
from protocol.wire import pack, unpack
from registry.leases.operations import surroundings
from registry.leases.queries import insert_lease
from registry.ledger.operations import add_funds, verify
from registry.ledger.queries import change_held
from registry.store.database import Database, Db
from registry.store.migrate import migrate
from registry.usage.log_state import LogIdentity, OwnerFact
from registry.usage.operations import ingest
from registry.usage.surroundings import Surroundings
from tests.services.postgres import Cluster, start_cluster
from tests.services.shared import stop

DOMAIN = "cloud.example"
HOUR_MS = 3_600_000
MINUTE_MS = 60_000
START_MS = 498_659 * HOUR_MS
OWNERS_PER_KIND = 8
NODE_KEY = new_signing_key(bytes(range(32)))
REGISTRY_KEY = new_signing_key(bytes(range(1, 33)))
PAID_IN = 10**15
PRICES = (
    Price("h200.1x", GPU_MS, 1, 2_500_000, HOUR_MS, 0),
    Price("llama-3.1-8b", "tok.in", 1, 150_000, 1_000_000, 0),
    Price("llama-3.1-8b", "tok.out", 1, 600_000, 1_000_000, 0),
    Price("llama-3.1-8b", "req", 1, 1, 1, 0),
)


def _id(kind: str, at: int) -> str:
    return new_id(kind, now_ms=START_MS, entropy=bytes([at]) * 12)


NODE_ID = _id("node", 1)
SITE_ID = _id("site", 1)
TENANTS = [_id("tenant", at) for at in range(2)]
PROJECT = _id("project", 1)
ALLOCATIONS = [_id("allocation", at) for at in range(OWNERS_PER_KIND)]
KEYS = [_id("api_key", at) for at in range(OWNERS_PER_KIND)]
OWNERS = {
    **{
        name: OwnerFact(TENANTS[at % 2], PROJECT, "h200.1x", 1)
        for at, name in enumerate(ALLOCATIONS)
    },
    **{name: OwnerFact(TENANTS[at % 2], PROJECT) for at, name in enumerate(KEYS)},
}
IDENTITY = LogIdentity(NODE_ID, 0, public_bytes(NODE_KEY), SITE_ID, 7_000)


@dataclass(frozen=True, slots=True)
class Sent:
    """A batch as it is sent, and its entries for the hashing that it is compared with."""

    body: bytes
    entries: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Measured:
    """CPU seconds per batch of taking in and of hashing alone, and what was stored."""

    ingest_s: list[float]
    hashing_s: list[float]
    wall_s: float
    wire_bytes: int
    rest_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--records", type=int, default=204_800)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--postgres", help="address of an empty database instead of one of its own")
    parser.add_argument("--no-postgres", action="store_true")
    asked = parser.parse_args()
    batches = max(asked.records // asked.batch, 20)

    with tempfile.TemporaryDirectory() as folder:
        measured = measure(f"sqlite:///{folder}/registry.sqlite", batches, asked.batch)
    postgres = None
    if not asked.no_postgres:
        with postgres_address(asked.postgres) as address:
            postgres = measure(address, max(batches // 4, 20), asked.batch)
    result = report(measured, postgres, asked.batch)
    sys.stdout.write(json.dumps(result) + "\n" if asked.json else told(result))


def measure(address: str, batches: int, width: int) -> Measured:
    """Take so many batches in and measure each, with hashing alone in between."""
    migrate(address)
    database = Database(address)
    prepare(database)
    empty_bytes = stored_bytes(database)
    seams = surroundings(
        list_owners=lambda _db, _node, ids: {name: OWNERS[name] for name in ids},
        list_prices=lambda _db, skus: [price for price in PRICES if price.sku in skus],
    )
    ingest_s, hashing_s = [], []
    wire = 0
    frontier = EMPTY_FRONTIER
    begun = time.monotonic()
    for sent in sent_batches(batches, width):
        wire += len(sent.body)
        started = time.thread_time()
        take(database, sent.body, seams)
        ingest_s.append(time.thread_time() - started)
        started = time.thread_time()
        frontier = frontier.extended(sent.entries)
        frontier.root()
        hashing_s.append(time.thread_time() - started)
    wall_s = time.monotonic() - begun
    with database.reading() as db:
        assert verify(db).problems == ()
    rest = stored_bytes(database) - empty_bytes
    database.close()
    return Measured(ingest_s, hashing_s, wall_s, wire, rest)


def take(database: Database, body: bytes, seams: Surroundings[Db]) -> None:
    """Take one batch in, from wire bytes to a durable commit."""
    batch = unpack(body, LogBatch)
    answer = database.run(
        ingest,
        IDENTITY,
        batch,
        surroundings=seams,
        now_ms=2 * START_MS,
        registry_key=REGISTRY_KEY,
        domain=DOMAIN,
    )
    assert answer.problem is None, answer.problem
    assert answer.size == batch.begin + batch.entries.count


def prepare(database: Database) -> None:
    """Give each tenant money and one lease of it."""

    def fund(db: Db) -> None:
        for tenant_id in TENANTS:
            add_funds(db, tenant_id, src=tenant_id, micros=PAID_IN, memo="", now_ms=START_MS)
            assert change_held(db, tenant_id, PAID_IN)
            insert_lease(
                db,
                tenant_id=tenant_id,
                node_id=NODE_ID,
                amount=PAID_IN,
                granted_at_ms=START_MS,
                expires_at_ms=3 * START_MS,
                hold_until_ms=3 * START_MS,
            )

    database.run(fund)


def sent_batches(batches: int, width: int) -> Iterator[Sent]:
    """Return a node's log in signed batches; making them is not measured."""
    frontier: Frontier = EMPTY_FRONTIER
    entries = recorded()
    for _ in range(batches):
        made = [entry_bytes(next(entries)) for _ in range(width)]
        begin, frontier = frontier.size, frontier.extended(made)
        checkpoint = Checkpoint(log_origin(DOMAIN, NODE_ID, 0), frontier.size, frontier.root())
        batch = LogBatch(
            epoch=0,
            begin=begin,
            entries=packed_entries(made),
            checkpoint=signed_checkpoint(checkpoint, NODE_KEY),
        )
        yield Sent(pack(batch), made)


def recorded() -> Iterator[Entry]:
    """Return what a node records, minute by minute, without end."""
    for at, name in enumerate(ALLOCATIONS):
        owner = OWNERS[name]
        yield Opened(
            name, owner.tenant_id, PROJECT, "h200.1x", START_MS, "boot", "c0ffee", (f"GPU-{at}",)
        )
    counts: dict[tuple[str, str], int] = {}
    minute = 0
    while True:
        for at in range(OWNERS_PER_KIND):
            yield _use(ALLOCATIONS[at], GPU_MS, "h200.1x", MINUTE_MS, minute, counts)
            for meter, base in (("tok.in", 48_000), ("tok.out", 9_000), ("req", 60)):
                quantity = base + (minute * 7919 + at * 104_729) % (base // 2)
                yield _use(KEYS[at], meter, "llama-3.1-8b", quantity, minute, counts)
        minute += 1


def _use(
    owner_id: str,
    meter: str,
    sku: str,
    quantity: int,
    minute: int,
    counts: dict[tuple[str, str], int],
) -> Use:
    owner = OWNERS[owner_id]
    total = counts.get((owner_id, meter), 0) + quantity
    counts[owner_id, meter] = total
    begin_ms = START_MS + minute * MINUTE_MS
    lease_id = 1 + TENANTS.index(owner.tenant_id)
    return Use(
        owner_id, owner.tenant_id, PROJECT, sku, meter, lease_id, begin_ms,
        begin_ms + MINUTE_MS, quantity, total,
    )  # fmt: skip


@contextmanager
def postgres_address(given: str | None) -> Iterator[str]:
    """Return the address of an empty database: the one given, or one on a server of our own."""
    if given is not None:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="outstation-bench-"))
    folder.chmod(0o711)
    service = start_cluster(folder)
    try:
        cluster = Cluster(service.facts["socket_folder"])
        make_durable(cluster)
        yield cluster.url(cluster.new_database())
    finally:
        stop(service)
        shutil.rmtree(folder)


def make_durable(cluster: Cluster) -> None:
    """Undo what makes the server of the tests fast and forgetful."""
    with psycopg.connect(
        host=cluster.socket_folder, user="postgres", dbname="postgres", autocommit=True
    ) as connection:
        for name in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {name} = on")
        connection.execute("SELECT pg_reload_conf()")


def stored_bytes(database: Database) -> int:
    """Return the size of the database at rest."""
    if not database.is_sqlite:
        with database.reading() as db:
            return int(db.value(text("SELECT pg_database_size(current_database())")))
    with database.engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return Path(str(database.url.database)).stat().st_size


def report(measured: Measured, postgres: Measured | None, width: int) -> dict[str, object]:
    """Return the object that is printed."""
    records = len(measured.ingest_s) * width
    rate = records / sum(measured.ingest_s)
    hashing = records / sum(measured.hashing_s)
    tenth = len(measured.ingest_s) // 10
    first, last = sum(measured.ingest_s[:tenth]), sum(measured.ingest_s[-tenth:])
    detail: dict[str, object] = {
        "records": records,
        "batch": width,
        "wire_bytes_per_record": round(measured.wire_bytes / records, 1),
        "rest_bytes_per_record": round(measured.rest_bytes / records, 1),
        "last_tenth_over_first": round(first / last, 3),
        "wall_records_per_s": round(records / measured.wall_s),
        "postgres": None,
    }
    if postgres is not None:
        count = len(postgres.ingest_s) * width
        detail["postgres"] = {
            "records": count,
            "client_records_per_cpu_s": round(count / sum(postgres.ingest_s)),
            "wall_records_per_s": round(count / postgres.wall_s),
            "rest_bytes_per_record": round(postgres.rest_bytes / count, 1),
        }
    return {
        "name": "ingest",
        "figure": round(rate),
        "unit": "records per CPU second",
        "against": round(hashing),
        "ratio": round(rate / hashing, 4),
        "detail": detail,
    }


def told(result: dict[str, object]) -> str:
    """Return the same for a person."""
    lines = [
        f"{result['figure']:,} {result['unit']}, verified, rated, posted and stored",
        f"{result['against']:,} hashed into the tree alone: ratio {result['ratio']}",
        json.dumps(result["detail"], indent=2),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
