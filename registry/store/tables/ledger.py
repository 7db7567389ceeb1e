"""Tables of the ledger: accounts, journals and their postings."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from registry.store.tables.metadata import metadata

# A row per account: the materialised sum of its postings, debits above zero.  Only the wallet of a
# tenant has `held` (what open leases may still take) and `credit_limit`.
account = Table(
    "account",
    metadata,
    Column("name", Text, primary_key=True),
    Column("tenant_id", Text),
    Column("spendable", Integer, CheckConstraint("spendable IN (0, 1)"), nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("balance", BigInteger, nullable=False),
    Column("held", BigInteger, CheckConstraint("held >= 0"), nullable=False),
    Column("credit_limit", BigInteger, CheckConstraint("credit_limit >= 0"), nullable=False),
)
Index(None, account.c.tenant_id)

# `src` is the business key: whatever brings the same one again changes nothing.
journal = Table(
    "journal",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("src", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("ref", Text, nullable=False),
    Column("memo", Text, nullable=False),
    Column("meter", Text, nullable=False),
    Column("quantity", BigInteger),
)

posting = Table(
    "posting",
    metadata,
    Column("journal_id", BigInteger, ForeignKey("journal.id"), primary_key=True),
    Column("account", Text, ForeignKey("account.name"), primary_key=True),
    Column("micros", BigInteger, CheckConstraint("micros <> 0"), nullable=False),
)
Index(None, posting.c.account, posting.c.journal_id)

APPEND_ONLY = ("journal", "posting")
