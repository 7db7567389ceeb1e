"""SQL of the audit."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row, insert, select

from registry.audit.event import FIRST_HASH, AuditEvent
from registry.store.database import Db
from registry.store.tables.audit import audit_event

PAGE = 1000


def get_head(db: Db) -> tuple[int, str]:
    """Return sequence and hash of the last event; zeros before the first."""
    found = db.row(
        select(audit_event.c.sequence, audit_event.c.hash)
        .order_by(audit_event.c.sequence.desc())
        .limit(1)
    )
    return (0, FIRST_HASH) if found is None else (found.sequence, found.hash)


def insert_event(db: Db, event: AuditEvent, *, event_hash: str) -> None:
    """Add an event to the chain."""
    db.write(
        insert(audit_event).values(
            sequence=event.sequence,
            at_ms=event.at_ms,
            actor=event.actor,
            on_behalf_of=event.on_behalf_of,
            action=event.action,
            object=event.object_id,
            tenant_id=event.tenant_id,
            result=event.result,
            request_id=event.request_id,
            source=event.source,
            detail=event.detail,
            previous_hash=event.previous_hash,
            hash=event_hash,
        )
    )


def list_chain(db: Db) -> Iterator[tuple[AuditEvent, str]]:
    """Yield every event with its kept hash, oldest first, a page at a time."""
    after = 0
    while True:
        rows = db.rows(
            select(audit_event)
            .where(audit_event.c.sequence > after)
            .order_by(audit_event.c.sequence)
            .limit(PAGE)
        )
        yield from ((_event(row), row.hash) for row in rows)
        if len(rows) < PAGE:
            return
        after = rows[-1].sequence


def list_events(
    db: Db, *, tenant_id: str | None = None, object_id: str | None = None, limit: int = 50
) -> list[AuditEvent]:
    """Return the newest events, of one tenant or object where named."""
    statement = select(audit_event).order_by(audit_event.c.sequence.desc()).limit(limit)
    if tenant_id is not None:
        statement = statement.where(audit_event.c.tenant_id == tenant_id)
    if object_id is not None:
        statement = statement.where(audit_event.c.object == object_id)
    return [_event(row) for row in db.rows(statement)]


def _event(row: Row[Any]) -> AuditEvent:
    return AuditEvent(
        sequence=row.sequence,
        at_ms=row.at_ms,
        actor=row.actor,
        on_behalf_of=row.on_behalf_of,
        action=row.action,
        object_id=row.object,
        tenant_id=row.tenant_id,
        result=row.result,
        request_id=row.request_id,
        source=row.source,
        detail=row.detail,
        previous_hash=row.previous_hash,
    )
