"""How much processor time does a node spend on 32 usage records, from values to a signed log?

    python -m bench.tick [--json] [--ticks N]

The figure is what the log itself costs: the shipped operation continues the streams, writes the
records in their one byte form, hashes them into the tree, seals bundles, commits with synchronous
FULL, and the checkpoint over the log is signed.  It is measured against the same bytes put into a
bare table of SQLite with the same commit, turn by turn in one run, so a busy machine, which
makes both dearer, changes the ratio little.  The detail has the whole of metering as well: reading
what runs and which calls ended, making the records, spending leases and setting the next stretch
aside.  Thread time is counted; wall time waits for the disk.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec

from agent.leases.operations import replace_leases
from agent.metering.operations import Tick, tick
from agent.metering.timekeeper import TimeState
from agent.store.database import Db, open_database
from agent.store.migrate import migrate, read_steps
from agent.usage_log.operations import append_to, begin_log
from agent.usage_log.queries import get_log, list_streams
from protocol.checkpoint import Checkpoint, signed_checkpoint
from protocol.clock import DAY_MS, MINUTE_MS
from protocol.ids import new_id
from protocol.lease import Lease
from protocol.price import Price
from protocol.signing import new_signing_key
from protocol.usage import Use, entry_bytes

P = ParamSpec("P")

GOAL_MS = 0.5
START_MS = 498_659 * 3_600_000
OWNERS = 8
RECORDS = 32
MODEL = "llama-3.1-8b"
SKU = "h200.1x"
BOOT = "boot"
NODE_KEY = new_signing_key(bytes(range(32)))
PRICES = (
    Price(SKU, "gpu.ms", 1, 2_500_000, 3_600_000, 0),
    Price(MODEL, "tok.in", 1, 150_000, 1_000_000, 0),
    Price(MODEL, "tok.out", 1, 600_000, 1_000_000, 0),
    Price(MODEL, "req", 1, 1, 1, 0),
)


def _id(kind: str, at: int) -> str:
    return new_id(kind, now_ms=START_MS, entropy=at.to_bytes(12, "big"))


TENANT, PROJECT = _id("tenant", 1), _id("project", 1)
ALLOCATIONS = [_id("allocation", at) for at in range(OWNERS)]
KEYS = [_id("api_key", at) for at in range(OWNERS)]


@dataclass(frozen=True, slots=True)
class Measured:
    """Milliseconds of the processor per turn, and of the wall for the log."""

    log_ms: list[float]
    bare_ms: list[float]
    metering_ms: list[float]
    wall_ms: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--ticks", type=int, default=600)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(Path(folder), max(asked.ticks, 16))
    result = report(measured)
    sys.stdout.write(json.dumps(result) + "\n" if asked.json else told(result))


def measure(folder: Path, turns: int) -> Measured:
    """Take turns: the log of one node, a bare table, the metering of another node."""
    measured = Measured([], [], [], [])
    with ExitStack() as resources:
        logging, bare, metering = (
            resources.enter_context(closing(open_database(folder / f"{name}.db")))
            for name in ("logging", "bare", "metering")
        )
        for db in (logging, metering):
            migrate(db, read_steps())
            with db.unit():
                prepare(db)
        with bare.unit():
            bare.write("CREATE TABLE entry (idx INTEGER PRIMARY KEY, entry BLOB) STRICT", {})
        once(metering, 0)
        for minute in range(1, turns + 1):
            uses = recorded(minute)
            wall = time.monotonic()
            measured.log_ms.append(cpu_ms(put_records, logging, uses))
            measured.wall_ms.append((time.monotonic() - wall) * 1e3)
            rows = [entry_bytes(use) for use in uses]
            measured.bare_ms.append(cpu_ms(put_rows, bare, rows))
            with metering.unit():
                put_calls(metering, minute)
            before = get_log(metering).frontier.size
            measured.metering_ms.append(cpu_ms(once, metering, minute))
            assert get_log(metering).frontier.size - before == RECORDS
        assert get_log(logging).frontier.size == turns * RECORDS
    return measured


def cpu_ms(work: Callable[P, object], *args: P.args, **named: P.kwargs) -> float:
    """Return the thread time of a piece of work."""
    begun = time.thread_time()
    work(*args, **named)
    return (time.thread_time() - begun) * 1e3


def recorded(minute: int) -> list[Use]:
    """Return what eight allocations and eight API keys used in a minute."""
    at_ms = START_MS + (minute - 1) * MINUTE_MS
    meters = [(name, "gpu.ms", SKU, MINUTE_MS) for name in ALLOCATIONS]
    meters += [
        (name, meter, MODEL, base + at)
        for at, name in enumerate(KEYS)
        for meter, base in (("tok.in", 48_000), ("tok.out", 9_000), ("req", 60))
    ]
    return [
        Use(
            owner, TENANT, PROJECT, sku, meter, 1, at_ms, at_ms + MINUTE_MS, count, count * minute
        )
        for owner, meter, sku, count in meters
    ]  # fmt: skip


def put_records(db: Db, uses: Sequence[Use]) -> str:
    """Append records durably and return the signed checkpoint over all of them."""
    with db.unit():
        owners = {use.allocation_id for use in uses}
        log = append_to(db, get_log(db), list_streams(db, owners), uses)
    checkpoint = Checkpoint(log.origin, log.frontier.size, log.frontier.root())
    return signed_checkpoint(checkpoint, NODE_KEY)


def put_rows(db: Db, rows: Sequence[bytes]) -> None:
    """Put the same bytes into a table, durably."""
    with db.unit():
        db.write_many("INSERT INTO entry (entry) VALUES (:entry)", [{"entry": row} for row in rows])


def prepare(db: Db) -> None:
    """Begin a log, grant a lease and have eight allocations running."""
    begin_log(db, registry_domain="cloud.example", node_id=_id("node", 1), epoch=0)
    lease = Lease(lease_id=1, tenant_id=TENANT, amount=10**12, expires_in_ms=DAY_MS)
    replace_leases(db, [lease], sent_boot_ms=0, boot_id=BOOT)
    for at, allocation_id in enumerate(ALLOCATIONS):
        db.write(
            """
            INSERT INTO run (
                allocation_id, tenant_id, project_id, sku, kind, known, attempt, generation, phase,
                since_ms, detail, requested_at_ms, accelerators, spec_hash, container_id, address,
                boot_id, ready_at_ms, seen_at_ms
            )
            VALUES (:id, :tenant, :project, :sku, 'service', 1, 1, 1, 'running', 0, '', 0, :gpus,
                    '', 'c0ffee', '', :boot, :now, :later)
            """,
            {
                "id": allocation_id, "tenant": TENANT, "project": PROJECT, "sku": SKU,
                "gpus": json.dumps([f"GPU-{at}"]), "boot": BOOT, "now": START_MS,
                "later": START_MS + 30 * DAY_MS,
            },
        )  # fmt: skip


def put_calls(db: Db, minute: int) -> None:
    """Have one call of each key end in the minute before `minute`."""
    for at, key_id in enumerate(KEYS):
        db.write(
            """
            INSERT INTO call (call_id, key_id, tenant_id, project_id, model, endpoint, lease_id,
                              worst, tokens_in, tokens_out, requests, micros, started_at_ms,
                              finished_at_ms, state)
            VALUES (:call_id, :key_id, :tenant, :project, :model, 'chat', 1, 1, :tokens_in,
                    :tokens_out, 1, 1, :at_ms, :at_ms, 'closed')
            """,
            {
                "call_id": _id("request", minute * OWNERS + at), "key_id": key_id,
                "tenant": TENANT, "project": PROJECT, "model": MODEL,
                "tokens_in": 800 + minute % 97, "tokens_out": 150 + minute % 31,
                "at_ms": START_MS + minute * MINUTE_MS - 5_000,
            },
        )  # fmt: skip


def once(db: Db, minute: int) -> None:
    """Make one tick, as one unit of work."""
    moment = Tick(
        time=TimeState(BOOT, START_MS, 0, 0, True),
        now_ms=START_MS + minute * MINUTE_MS,
        boot_ms=minute * MINUTE_MS,
        running_ms=minute * MINUTE_MS,
        period_ms=MINUTE_MS,
        heartbeat=False,
        skew_ms=0,
    )
    with db.unit():
        tick(db, moment, PRICES)


def report(measured: Measured) -> dict[str, object]:
    """Return the object that is printed."""
    figure, bare = statistics.median(measured.log_ms), statistics.median(measured.bare_ms)
    wall = sorted(measured.wall_ms)
    return {
        "name": "tick",
        "figure": round(figure, 3),
        "unit": "ms CPU for 32 records, signed and committed",
        "against": round(bare, 3),
        "ratio": round(figure / bare, 2),
        "detail": {
            "turns": len(wall),
            "goal_ms": GOAL_MS,
            "best_tenth_ms": round(sorted(measured.log_ms)[len(wall) // 10], 3),
            "metering_ms": round(statistics.median(measured.metering_ms), 3),
            "wall_p50_ms": round(wall[len(wall) // 2], 2),
            "wall_p99_ms": round(wall[len(wall) * 99 // 100], 2),
        },
    }


def told(result: dict[str, object]) -> str:
    """Return the same for a person."""
    return (
        f"{result['figure']} {result['unit']}; {result['against']} for the bare table\n"
        f"{json.dumps(result['detail'], indent=2)}\n"
    )


if __name__ == "__main__":
    main()
