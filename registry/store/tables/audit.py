"""Table of the audit: who did what, each row chained to the one before by its hash."""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from registry.store.tables.metadata import metadata

APPEND_ONLY = ("audit_event",)

audit_event = Table(
    "audit_event",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("on_behalf_of", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("tenant_id", Text),
    Column("result", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Index("audit_event_by_tenant", "tenant_id", "sequence"),
)
