"""How many usage records a CPU second does the registry take in again from its raw logs?

    python -m bench.rebuild [--json] [--records N] [--batch N]

A log is taken in by the shipped operation; then everything that follows from it (streams, hours,
leases, journals) is computed again from the stored entries, the price book and the leases, and
compared to the last micro, as `outstation-registry ledger rebuild --verify` does.  The goal is
150,000.
"""

import argparse
import json
import sys
import tempfile
import time

from bench.ingest import (
    DOMAIN,
    OWNERS,
    PRICES,
    REGISTRY_KEY,
    SITE_ID,
    prepare,
    sent_batches,
    take,
)
from protocol.checkpoint import witness_name
from protocol.signing import public_bytes
from registry.leases.operations import surroundings
from registry.store.database import Database
from registry.store.migrate import migrate
from registry.usage.operations import verify

GOAL = 150_000
SHARE_BASIS_POINTS = 7_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--records", type=int, default=204_800)
    parser.add_argument("--batch", type=int, default=1024)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(f"sqlite:///{folder}/registry.sqlite", asked.records, asked.batch)
    sys.stdout.write(json.dumps(result, indent=None if asked.json else 2) + "\n")


def measure(address: str, records: int, width: int) -> dict[str, object]:
    """Take a log in, rebuild what follows from it, and return what is printed."""
    migrate(address)
    database = Database(address)
    prepare(database)
    seams = surroundings(
        list_owners=lambda _db, _node, ids: {name: OWNERS[name] for name in ids},
        list_prices=lambda _db, skus: [price for price in PRICES if price.sku in skus],
    )
    for sent in sent_batches(max(records // width, 1), width):
        take(database, sent.body, seams)
    begun, started = time.monotonic(), time.thread_time()
    with database.reading() as db:
        report = verify(
            db,
            surroundings=seams,
            site_of=lambda _db, _node_id: (SITE_ID, SHARE_BASIS_POINTS),
            witness=witness_name(DOMAIN),
            witness_key=public_bytes(REGISTRY_KEY),
        )
    spent_s, wall_s = time.thread_time() - started, time.monotonic() - begun
    database.close()
    assert report.problems == (), report.problems
    rate = report.entries / spent_s
    return {
        "name": "rebuild",
        "figure": round(rate),
        "unit": "records per CPU second",
        "against": GOAL,
        "ratio": round(rate / GOAL, 3),
        "detail": {
            "records": report.entries,
            "batch": width,
            "wall_records_per_s": round(report.entries / wall_s),
        },
    }


if __name__ == "__main__":
    main()
