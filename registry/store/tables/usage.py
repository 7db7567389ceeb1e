"""Tables of verified usage: one log per node and epoch, and what follows from its entries."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    column,
    table,
)

from registry.store.tables.metadata import metadata

# How far a log was accepted.  `checkpoint` is the last note of the node that was cosigned,
# `evidence` the note of the node that contradicts it, which froze the log.
node_log = Table(
    "node_log",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("origin", Text, nullable=False, unique=True),
    Column("public_key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("frontier", LargeBinary, nullable=False),
    Column("checkpoint", Text, nullable=False),
    Column("cosignature", Text, nullable=False),
    Column("accepted_at_ms", BigInteger),
    Column("problem_code", Text, nullable=False),
    Column("problem_message", Text, nullable=False),
    Column("problem_at_ms", BigInteger),
    Column("evidence", Text, nullable=False),
    CheckConstraint("state IN ('open', 'parked', 'frozen')", name="node_log_state"),
)

# Whole bundles of 256 entries that were sealed together, from bundle `number` on: packed
# (`protocol/packing`) and compressed.
log_bundle = Table(
    "log_bundle",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("entries", LargeBinary, nullable=False),
)

# The entries after the last bundle, a row per batch; gone when the bundle is sealed.
log_tail = Table(
    "log_tail",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("begin", BigInteger, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("entries", LargeBinary, nullable=False),
)

# Roots of the subtrees over 256, 65,536, … entries (levels 8, 16, …), for proofs.
log_subtree = Table(
    "log_subtree",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("root", LargeBinary, nullable=False),
)

# Where each stream stands.  `rated` is what its price says, `charged` what its tenant pays,
# `shared` what its site earns of that.
stream = Table(
    "stream",
    metadata,
    Column("stream_id", BigInteger, primary_key=True),
    Column("node_id", Text, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("owner_id", Text, nullable=False),
    Column("meter", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("first_index", BigInteger, nullable=False),
    Column("last_index", BigInteger, nullable=False),
    Column("begin_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("cumulative", BigInteger, nullable=False),
    Column("rated", BigInteger, nullable=False),
    Column("charged", BigInteger, nullable=False),
    Column("shared", BigInteger, nullable=False),
    UniqueConstraint("node_id", "epoch", "owner_id", "meter", "sku"),
)
Index(None, stream.c.owner_id)
Index(None, stream.c.tenant_id)

# Allocations that hold or held accelerators, by the word of the log.
opening = Table(
    "opening",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("allocation_id", Text, primary_key=True),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("closed_at_ms", BigInteger),
    Column("accelerators", Text, nullable=False),
)

# Who holds each accelerator, and since when it is free otherwise.
accelerator_use = Table(
    "accelerator_use",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("uuid", Text, primary_key=True),
    Column("held_by", Text),
    Column("since_ms", BigInteger, nullable=False),
)

# What each stream came to in each UTC hour.
stream_hour = Table(
    "stream_hour",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("hour_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("stream_id", BigInteger, primary_key=True, autoincrement=False),
    Column("quantity", BigInteger, nullable=False),
    Column("rated", BigInteger, nullable=False),
    Column("charged", BigInteger, nullable=False),
)

# The same with all that its stream says: a view, to read alone.
usage_hour = table(
    "usage_hour",
    *(
        column(name)
        for name in (
            "tenant_id", "hour_ms", "owner_id", "meter", "sku", "node_id", "epoch", "project_id",
            "quantity", "rated", "charged",
        )
    ),
)  # fmt: skip

VIEWS = (
    """
    CREATE VIEW usage_hour AS
    SELECT h.tenant_id, h.hour_ms, s.owner_id, s.meter, s.sku, s.node_id, s.epoch, s.project_id,
           h.quantity, h.rated, h.charged
    FROM stream_hour AS h JOIN stream AS s ON s.stream_id = h.stream_id
    """,
)

APPEND_ONLY = ("log_bundle", "log_subtree")
