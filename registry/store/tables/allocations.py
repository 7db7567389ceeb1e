"""Tables of the allocations: one row each, and every event that moved one."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
)

from protocol.lifecycle import State
from registry.store.tables.metadata import metadata

STATES = ", ".join(f"'{state.value}'" for state in State)

allocation = Table(
    "allocation",
    metadata,
    Column("allocation_id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenant.tenant_id"), nullable=False),
    Column("project_id", Text, ForeignKey("project.project_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("sku_id", Text, ForeignKey("sku.sku_id"), nullable=False),
    Column("accelerator_count", Integer, nullable=False),
    Column("node_id", Text, ForeignKey("node.node_id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("manifest", Text, nullable=False),
    Column("place", Text, nullable=False, server_default=""),
    Column("hourly_micros", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("ready_at_ms", BigInteger),
    Column("release_at_ms", BigInteger),
    Column("ended_at_ms", BigInteger),
    Column("cleaned_at_ms", BigInteger),
    Column("phase", Text, nullable=False, server_default=""),
    Column("phase_detail", Text, nullable=False, server_default=""),
    Column("observed_at_ms", BigInteger),
    Column("container_id", Text, nullable=False, server_default=""),
    Column("accelerators", Text, nullable=False, server_default="[]"),
    Column("exit_code", Integer),
    CheckConstraint(f"state IN ({STATES})", name="allocation_state"),
    CheckConstraint("accelerator_count >= 1", name="allocation_accelerators"),
    Index("allocation_by_tenant", "tenant_id", "created_at_ms"),
    Index("allocation_by_node", "node_id", "cleaned_at_ms"),
)

allocation_event = Table(
    "allocation_event",
    metadata,
    Column("event_id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("allocation_id", Text, ForeignKey("allocation.allocation_id"), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("fact", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Index("allocation_event_by_allocation", "allocation_id", "event_id"),
)
