"""Tables of the nodes: each machine, its enrolment secrets, its GPUs, and the nonces it spent."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from registry.store.tables.metadata import metadata

node = Table(
    "node",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("site_id", Text, ForeignKey("site.site_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("declared_accelerator", Text, nullable=False),
    Column("declared_gpu_count", Integer, nullable=False),
    Column("declared_power_w", Integer, nullable=False),
    Column("declared_latency_ms", Integer, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("retired_at_ms", BigInteger),
    Column("public_key", Text, unique=True),
    Column("key_id", Text, unique=True),
    Column("enrolled_at_ms", BigInteger),
    Column("gateway_url", Text, nullable=False),
    Column("agent_version", Text, nullable=False),
    Column("boot_id", Text, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("log_epoch", BigInteger, nullable=False),
    Column("desired_generation", BigInteger, nullable=False),
    Column("desired_at_ms", BigInteger),
    Column("held_generation", BigInteger),
    Column("held_at_ms", BigInteger),
    Column("held_key_set", BigInteger, nullable=False),
    Column("last_contact_at_ms", BigInteger),
    Column("skew_ms", BigInteger),
    Column("simulated", Integer, nullable=False),
    Column("host", Text, nullable=False),
    # Boots before the present one, newest last, as JSON; and since when two machines are known to
    # hold its key, until it gets another.
    Column("earlier_boots", Text, nullable=False, server_default="[]"),
    Column("fenced_at_ms", BigInteger),
    # Up to when its calls have used up their pace.
    Column("paced_to_ms", BigInteger, nullable=False, server_default="0"),
    UniqueConstraint("site_id", "name"),
    CheckConstraint("simulated IN (0, 1)", name="node_simulated"),
)

enrolment_secret = Table(
    "enrolment_secret",
    metadata,
    Column("secret_id", Text, primary_key=True),
    Column("node_id", Text, ForeignKey("node.node_id"), nullable=False),
    Column("prefix", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("created_by", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("revoked_at_ms", BigInteger),
    Column("spent_at_ms", BigInteger),
    Column("spent_by_key", Text),
    Column("spent_from", Text),
    Index("enrolment_secret_by_node", "node_id", "created_at_ms"),
)

accelerator = Table(
    "accelerator",
    metadata,
    Column("uuid", Text, primary_key=True),
    Column("node_id", Text, ForeignKey("node.node_id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("model", Text, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("simulated", Integer, nullable=False),
    Column("healthy", Integer, nullable=False),
    Column("present", Integer, nullable=False),
    Column("held_by", Text),
    Column("utilization_percent", Integer),
    Column("memory_used_mib", BigInteger),
    Column("temperature_c", Integer),
    Column("power_mw", BigInteger),
    Column("seen_at_ms", BigInteger, nullable=False),
    CheckConstraint("simulated IN (0, 1)", name="accelerator_simulated"),
    CheckConstraint("healthy IN (0, 1)", name="accelerator_healthy"),
    CheckConstraint("present IN (0, 1)", name="accelerator_present"),
    Index("accelerator_by_node", "node_id"),
)

spent_nonce = Table(
    "spent_nonce",
    metadata,
    Column("signer", Text, primary_key=True),
    Column("nonce", Text, primary_key=True),
    Column("expires_at_ms", BigInteger, nullable=False),
    Index("spent_nonce_by_expiry", "expires_at_ms"),
)
