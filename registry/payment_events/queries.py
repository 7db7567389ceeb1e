"""SQL of the webhooks."""

from typing import Any

from sqlalchemy import select, update

from registry.payment_events.webhook import Event
from registry.store.database import Db
from registry.store.tables.payments import payment_event


def insert_event(db: Db, event: Event, *, now_ms: int, done: bool) -> bool:
    """Note a webhook; False if it came before.  done: nothing needs to be worked on"""
    return db.insert_new(
        payment_event,
        {
            "event_id": event.event_id,
            "kind": event.kind,
            "object_id": event.object_id,
            "created_at_ms": event.created_at_ms,
            "received_at_ms": now_ms,
            "done_at_ms": now_ms if done else None,
            "tries": 0,
            "next_at_ms": now_ms,
            "why": "",
        },
    )


def list_waiting_events(db: Db, *, now_ms: int, limit: int) -> list[tuple[Event, int]]:
    """Return webhooks that wait and are due, with how often they were tried, oldest first."""
    rows = db.rows(
        select(payment_event)
        .where(payment_event.c.done_at_ms.is_(None), payment_event.c.next_at_ms <= now_ms)
        .order_by(payment_event.c.next_at_ms)
        .limit(limit)
    )
    return [
        (Event(row.event_id, row.kind, row.object_id, row.created_at_ms), row.tries) for row in rows
    ]


def change_event(db: Db, event_id: str, **values: Any) -> None:
    """Give a webhook other values."""
    db.write(update(payment_event).where(payment_event.c.event_id == event_id).values(**values))
