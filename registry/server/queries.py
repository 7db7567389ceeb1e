"""SQL of the frame: answers kept for requests that come twice, and which process acts."""

from dataclasses import dataclass

from sqlalchemy import delete, literal, or_, select, update

from registry.store.database import Db
from registry.store.tables.server import duty, idempotent_answer


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered with, and the hash of what it asked."""

    asked_hash: str
    status: int
    body: str


def answers(db: Db) -> None:
    """Return if the database answers; raises as any query does if it does not."""
    db.value(select(literal(1)))


def find_answer(db: Db, *, scope: str, key: str, now_ms: int) -> Answer | None:
    """Return what the first request with this key was answered with, if that is still kept."""
    found = db.row(
        select(idempotent_answer).where(
            idempotent_answer.c.scope == scope,
            idempotent_answer.c.key == key,
            idempotent_answer.c.expires_at_ms > now_ms,
        )
    )
    return None if found is None else Answer(found.request_hash, found.status, found.body)


def keep_answer(db: Db, answer: Answer, *, scope: str, key: str, expires_at_ms: int) -> None:
    """Keep an answer until it expires, in the place of an expired one."""
    values = {
        "scope": scope,
        "key": key,
        "request_hash": answer.asked_hash,
        "status": answer.status,
        "body": answer.body,
        "expires_at_ms": expires_at_ms,
    }
    db.upsert(idempotent_answer, ["scope", "key"], values)


def forget_expired(db: Db, *, now_ms: int) -> int:
    """Delete the answers that expired; return how many that were."""
    expired = idempotent_answer.c.expires_at_ms <= now_ms
    return db.write(delete(idempotent_answer).where(expired))


def hold_duty(db: Db, duty_id: str, *, holder: str, until_ms: int, now_ms: int) -> bool:
    """Take or keep a duty until `until_ms`; False if another process holds it still."""
    if db.insert_new(duty, {"duty_id": duty_id, "holder": holder, "until_ms": until_ms}):
        return True
    free = or_(duty.c.holder == holder, duty.c.until_ms <= now_ms)
    moved = update(duty).where(duty.c.duty_id == duty_id, free)
    return db.write(moved.values(holder=holder, until_ms=until_ms)) == 1
