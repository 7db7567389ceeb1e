"""Table of the models that nodes serve, as each node last said."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Table, Text

from registry.store.tables.metadata import metadata

served_model = Table(
    "served_model",
    metadata,
    Column("node_id", Text, ForeignKey("node.node_id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("ready", Integer, nullable=False),
    Column("context_tokens", BigInteger),
    Column("owned_by", Text, nullable=False),
    Column("seen_at_ms", BigInteger, nullable=False),
)
