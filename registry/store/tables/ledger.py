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
Index(None, journal.c.at_ms)
Index(None, journal.c.kind, journal.c.ref)

# What an operator told the books: the journal with the same `src` follows from it.
# `amounts` holds micros by class of usage (`gpu=5 inference=7`) where a charge was set right and
# `share` what a site earns of it; `ref` is what was set right.
adjustment = Table(
    "adjustment",
    metadata,
    Column("src", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("site_id", Text, nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("tax_jurisdiction", Text, nullable=False),
    Column("tax_micros", BigInteger, nullable=False),
    Column("share", BigInteger, nullable=False),
    Column("grant_name", Text, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("amounts", Text, nullable=False),
    Column("ref", Text, nullable=False),
    Column("memo", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("made_by", Text, nullable=False),
    CheckConstraint("micros >= 0", name="adjustment_micros"),
    CheckConstraint("tax_micros >= 0", name="adjustment_tax"),
    CheckConstraint("share BETWEEN 0 AND micros", name="adjustment_share"),
    CheckConstraint(
        "kind IN ('bank_payment', 'demo_payment', 'bank_refund', 'promo', 'correction', "
        "'right_entry', 'write_off', 'clawback')",
        name="adjustment_kind",
    ),
)

# The rate of the tax that a tenant's payments hold, in 1/10,000; none where there is no row.
tax_rate = Table(
    "tax_rate",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("jurisdiction", Text, nullable=False),
    Column("basis_points", Integer, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
    CheckConstraint("basis_points BETWEEN 1 AND 10000", name="tax_rate_basis_points"),
)

# Shares of journals before `through_ms`, and not of an earlier row, have matured.
maturity = Table(
    "maturity",
    metadata,
    Column("through_ms", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
)

APPEND_ONLY = ("journal", "posting", "adjustment", "maturity")
