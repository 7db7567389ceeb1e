"""Table of the findings: what is or was wrong with a node, by its own word or the registry's."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from registry.store.tables.metadata import metadata

finding = Table(
    "finding",
    metadata,
    Column("finding_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("node_id", Text, ForeignKey("node.node_id"), nullable=False),
    Column("source", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("closed_at_ms", BigInteger),
    CheckConstraint("source IN ('node', 'registry')", name="finding_source"),
    CheckConstraint("severity IN ('info', 'warning', 'critical')", name="finding_severity"),
    Index("finding_by_node", "node_id", "closed_at_ms"),
)
