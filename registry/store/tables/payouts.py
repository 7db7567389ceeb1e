"""Tables of payouts: where a site is paid, and what was paid."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Table, Text

from registry.store.tables.metadata import metadata

# Where a site's share goes: `destination` as the sender reads it.
payout_destination = Table(
    "payout_destination",
    metadata,
    Column("site_id", Text, primary_key=True),
    Column("sender", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("changed_at_ms", BigInteger, nullable=False),
)

# One payment to a site.  `account` is the account of the ledger that pays, `reference` how whoever
# pays knows it.
payout = Table(
    "payout",
    metadata,
    Column("payout_id", Text, primary_key=True),
    Column("site_id", Text, nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("destination", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("sent_at_ms", BigInteger),
    Column("returned_at_ms", BigInteger),
    CheckConstraint("micros > 0 AND micros % 10000 = 0", name="payout_whole_cents"),
    CheckConstraint("state IN ('pending', 'sent', 'failed', 'reversed')", name="payout_state"),
    CheckConstraint(
        "(state IN ('failed', 'reversed')) = (returned_at_ms IS NOT NULL)", name="payout_returned"
    ),
)
Index(None, payout.c.site_id, payout.c.created_at_ms)
Index(None, payout.c.state)

APPEND_ONLY: tuple[str, ...] = ()
