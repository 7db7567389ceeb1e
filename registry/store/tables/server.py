"""Tables of the frame: answers kept for requests that come twice, and which process acts."""

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text

from registry.store.tables.metadata import metadata

idempotent_answer = Table(
    "idempotent_answer",
    metadata,
    Column("scope", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request_hash", Text, nullable=False),
    Column("status", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Index("idempotent_answer_by_expiry", "expires_at_ms"),
)

duty = Table(
    "duty",
    metadata,
    Column("duty_id", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
)
