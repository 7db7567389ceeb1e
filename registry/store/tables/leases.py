"""Tables of the budget leases."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, Table, Text

from registry.store.tables.metadata import metadata

# open      the node may spend it, or may have: amount - settled is held in the wallet's row
# closed    the node said that nothing more will be spent of it; nothing is held
# released  nothing was heard until hold_until_ms, or it never reached its node: the hold was given
#           back
# heard     the node has spoken of it; stated_at_ms: when an answer last stated it, until then
lease = Table(
    "lease",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("node_id", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("settled", BigInteger, nullable=False),
    Column("granted_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("hold_until_ms", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("heard", Integer, nullable=False, server_default="1"),
    Column("stated_at_ms", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("heard IN (0, 1)", name="lease_heard"),
    CheckConstraint("amount > 0", name="lease_amount"),
    CheckConstraint("settled BETWEEN 0 AND amount", name="lease_settled"),
    CheckConstraint("state IN ('open', 'closed', 'released')", name="lease_state"),
)
Index(None, lease.c.node_id, lease.c.state)
Index(None, lease.c.tenant_id, lease.c.state)

# On which terms a tenant's money is handed to nodes; a tenant without a row has the usual ones.
lease_terms = Table(
    "lease_terms",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("trust", Text, nullable=False),
    Column("suspended_at_ms", BigInteger),
    Column("suspended_why", Text, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
    CheckConstraint("trust IN ('unproven', 'standard', 'contracted')", name="lease_terms_trust"),
    CheckConstraint(
        "(suspended_at_ms IS NULL) = (suspended_why = '')", name="lease_terms_suspended"
    ),
)

APPEND_ONLY: tuple[str, ...] = ()
