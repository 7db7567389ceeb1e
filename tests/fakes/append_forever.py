"""A program to be killed: it writes a node's log and leases without end and says what it kept.

`python -m tests.fakes.append_forever FOLDER` prints the size of the log after each unit of work
that ended, and `accepted SIZE` after each cosignature it kept.  When the store fails it tries once
more, says `failed` if that is refused, and ends with 3.
"""

import random
import sys
from pathlib import Path

from agent.leases.operations import close_ended, replace_leases, roll_over
from agent.store.database import Db, StoreFailed
from agent.store.thread import Store
from agent.usage_log.operations import append, begin_log, next_batch, note_answer
from agent.usage_log.queries import get_log, list_streams
from agent.usage_log.stream import stream_of
from protocol.checkpoint import read_checkpoint
from protocol.lease import Lease
from protocol.sync import LogAnswer
from tests.fakes.agent_store import (
    BEGIN_MS,
    DOMAIN,
    MINUTE_MS,
    NODE_ID,
    REGISTRY_PUBLIC,
    WITNESS,
    cosign,
    sign,
    use,
)


def main(folder: Path) -> None:
    with Store(folder / "agent.db") as store:
        store.run_now(begin_log, registry_domain=DOMAIN, node_id=NODE_ID, epoch=0)
        try:
            _write_forever(store, random.Random())
        except StoreFailed:
            try:
                store.run_now(_used, 1)
            except StoreFailed:
                print("failed", flush=True)
            sys.exit(3)


def _write_forever(store: Store, chance: random.Random) -> None:
    while True:
        print(store.run_now(_used, chance.randint(1, 5)), flush=True)
        if chance.random() < 0.2:
            print("accepted", store.run_now(_accepted), flush=True)


def _used(db: Db, count: int) -> int:
    """Write some records, spend for them and renew the lease, in one unit."""
    key = stream_of(use(0))
    end = list_streams(db, [key.owner]).get(key)
    first = 0 if end is None else (end.last_end_ms - BEGIN_MS) // MINUTE_MS
    lease_id = first // 10 + 1
    replace_leases(db, [Lease(lease_id, "t_1", 1_000, 60_000)], sent_boot_ms=0, boot_id="boot")
    roll_over(db, "a_1", tenant_id="t_1", actual=count, worst=20, boot_id="boot", boot_ms=0)
    append(db, [use(at) for at in range(first, first + count)])
    append(db, close_ended(db, boot_id="boot", boot_ms=0, now_ms=BEGIN_MS))
    return get_log(db).frontier.size


def _accepted(db: Db) -> int:
    """Have everything cosigned."""
    batch = next_batch(db, sign)
    if batch is not None:
        checkpoint, _ = read_checkpoint(batch.checkpoint)
        answer = LogAnswer(epoch=0, size=checkpoint.size, cosignature=cosign(checkpoint))
        note_answer(db, answer, sign, witness=WITNESS, witness_keys=[REGISTRY_PUBLIC])
    return get_log(db).accepted.size


if __name__ == "__main__":
    main(Path(sys.argv[1]))
