"""Putting an event into the feed, in the unit of what happened."""

from registry.feed.event import ID_CHARACTERS_MAX, KINDS, Event
from registry.feed.queries import insert_event
from registry.store.database import Db


def tell(db: Db, event: Event) -> bool:
    """Add an event; False, and nothing done, if it was told before."""
    assert event.kind in KINDS
    assert 0 < len(event.event_id) <= ID_CHARACTERS_MAX
    return insert_event(db, event)
