"""Table of the feed: what happened to an organization."""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from registry.store.tables.metadata import metadata

APPEND_ONLY = ("feed_event",)

# `sequence` counts the events of one organization from 1 without a gap.
feed_event = Table(
    "feed_event",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)
Index(None, feed_event.c.tenant_id, feed_event.c.sequence, unique=True)
