"""SQL of the feed."""

import json
from typing import Any

from sqlalchemy import func, select

from registry.feed.event import Event
from registry.store.database import Db
from registry.store.tables.feed import feed_event

EVENTS_MAX = 200


def insert_event(db: Db, made: Event) -> bool:
    """Insert an event behind the newest of its organization; False, and nothing done, if its id
    is there already."""
    newest = select(func.coalesce(func.max(feed_event.c.sequence), 0)).where(
        feed_event.c.tenant_id == made.tenant_id
    )
    values = {
        "event_id": made.event_id,
        "tenant_id": made.tenant_id,
        "sequence": int(db.value(newest)) + 1,
        "kind": made.kind,
        "subject": made.subject,
        "facts": json.dumps(dict(made.facts), sort_keys=True),
        "at_ms": made.at_ms,
    }
    return db.insert_new(feed_event, values)


def list_events(db: Db, tenant_id: str, *, after: int = 0, limit: int = EVENTS_MAX) -> list[Event]:
    """Return an organization's events in their order, those after a sequence number."""
    rows = db.rows(
        select(feed_event)
        .where(feed_event.c.tenant_id == tenant_id, feed_event.c.sequence > after)
        .order_by(feed_event.c.sequence)
        .limit(limit)
    )
    return [read_event(row._mapping) for row in rows]


def read_event(row: Any) -> Event:
    """Return the event of a row."""
    return Event(
        event_id=row["event_id"],
        tenant_id=row["tenant_id"],
        kind=row["kind"],
        subject=row["subject"],
        facts=json.loads(row["facts"]),
        at_ms=row["at_ms"],
        sequence=row["sequence"],
    )
