"""Steps that tests of the usage log share."""

from agent.store.database import Db
from agent.usage_log import queries
from agent.usage_log.log_state import Parked
from agent.usage_log.operations import append, audit_keys, next_batch, note_answer
from protocol.checkpoint import Checkpoint, read_signed_checkpoint
from protocol.sync import LogAnswer, LogBatch
from tests.fakes.agent_store import (
    DOMAIN,
    NODE_PUBLIC,
    ORIGIN,
    REGISTRY_PUBLIC,
    WITNESS,
    cosign,
    sign,
    use,
)

KEYS = audit_keys(registry_domain=DOMAIN, node=NODE_PUBLIC, witnesses=[REGISTRY_PUBLIC])


def fill(db: Db, end: int, *, begin: int = 0) -> None:
    with db.unit():
        append(db, [use(at) for at in range(begin, end)])


def next_piece(db: Db, *, entries_max: int = 4096) -> LogBatch | None:
    with db.unit():
        return next_batch(db, sign, entries_max=entries_max)


def checkpoint(db: Db) -> Checkpoint:
    log = queries.get_log(db)
    return Checkpoint(origin=ORIGIN, size=log.frontier.size, root=log.frontier.root())


def note(db: Db, answer: LogAnswer) -> Parked | None:
    with db.unit():
        return note_answer(db, answer, sign, witness=WITNESS, witness_keys=[REGISTRY_PUBLIC])


def accept(db: Db, batch: LogBatch) -> None:
    checkpoint = read_signed_checkpoint(batch.checkpoint, origin=ORIGIN, public_key=NODE_PUBLIC)
    answer = LogAnswer(epoch=0, size=checkpoint.size, cosignature=cosign(checkpoint))
    with db.unit():
        assert (
            note_answer(db, answer, sign, witness=WITNESS, witness_keys=[REGISTRY_PUBLIC]) is None
        )


def accept_all(db: Db) -> None:
    batch = next_piece(db)
    assert batch is not None
    accept(db, batch)
