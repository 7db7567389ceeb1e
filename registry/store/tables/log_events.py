"""Tables of what the rarer entries of usage logs say: sessions, gaps, corrections, keys."""

from sqlalchemy import BigInteger, Column, Index, Table, Text

from registry.store.tables.metadata import metadata

# Who used an allocation or its files, over which way, from when to when.
log_session = Table(
    "log_session",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("object_id", Text, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("project_id", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("begin_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("bytes_in", BigInteger, nullable=False),
    Column("bytes_out", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)
Index(None, log_session.c.tenant_id, log_session.c.end_ms)

# Time of which a node says that it does not know what was used; `*` stands for all of it.
log_gap = Table(
    "log_gap",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("allocation_id", Text, nullable=False),
    Column("begin_ms", BigInteger, nullable=False),
    Column("end_ms", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

# Corrections of records: by how much, and in which entry.
log_adjustment = Table(
    "log_adjustment",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("reference", BigInteger, nullable=False),
    Column("allocation_id", Text, nullable=False),
    Column("meter", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("quantity", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
)

# Corrections upwards that an operator has allowed a node to make.
adjustment_approval = Table(
    "adjustment_approval",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("reference", BigInteger, primary_key=True, autoincrement=False),
    Column("quantity", BigInteger, primary_key=True, autoincrement=False),
    Column("approved_by", Text, nullable=False),
    Column("approved_at_ms", BigInteger, nullable=False),
)

# Which key signs a log from which size on.  `note` is the checkpoint that both keys signed, empty
# for the first key.
log_key = Table(
    "log_key",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("from_size", BigInteger, primary_key=True, autoincrement=False),
    Column("public_key", Text, nullable=False),
    Column("note", Text, nullable=False),
)

# Within what times the records of a batch counted, where its node's clock was off.
log_span = Table(
    "log_span",
    metadata,
    Column("node_id", Text, primary_key=True),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("begin", BigInteger, primary_key=True, autoincrement=False),
    Column("low_ms", BigInteger, nullable=False),
    Column("high_ms", BigInteger, nullable=False),
)

APPEND_ONLY = (
    "log_session",
    "log_gap",
    "log_adjustment",
    "adjustment_approval",
    "log_key",
    "log_span",
)
