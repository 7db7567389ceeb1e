"""Tables of payments by card: payers, top-ups, refunds, disputes, and what the processor told."""

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
    text,
)

from registry.store.tables.metadata import metadata

# An organization as the processor knows it: its customer, a card it let us keep, and when that
# card is charged by itself.  That rule holds `since_ms`; refusals end it at `stopped_at_ms`.
payer = Table(
    "payer",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenant.tenant_id"), primary_key=True),
    Column("customer_id", Text, nullable=False, unique=True),
    Column("method_id", Text),
    Column("brand", Text),
    Column("last4", Text),
    Column("exp_month", Integer),
    Column("exp_year", Integer),
    Column("auto_on", Integer, CheckConstraint("auto_on IN (0, 1)"), nullable=False),
    Column("threshold_micros", BigInteger, nullable=False),
    Column("amount_micros", BigInteger, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("stopped_at_ms", BigInteger),
    Column("stopped_why", Text, nullable=False),
    Column("receipt_email", Text, nullable=False),
)

# `nonce` is the form's key: the same form is one top-up.  `micros` is what is credited, and only
# if the processor took exactly that.
top_up = Table(
    "top_up",
    metadata,
    Column("top_up_id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenant.tenant_id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("nonce", Text, nullable=False),
    Column("micros", BigInteger, CheckConstraint("micros > 0"), nullable=False),
    Column("state", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("receipt_email", Text, nullable=False),
    Column("return_to", Text, nullable=False),
    Column("keep_card", Integer, CheckConstraint("keep_card IN (0, 1)"), nullable=False),
    Column("method_id", Text, nullable=False),
    Column("session_id", Text, unique=True),
    Column("session_url", Text, nullable=False),
    Column("payment_id", Text, unique=True),
    Column("charge_id", Text, unique=True),
    Column("decline", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("refunded_micros", BigInteger, nullable=False),
    Column("tax_jurisdiction", Text, nullable=False),
    Column("tax_micros", BigInteger, nullable=False),
    Column("journal_id", BigInteger),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("checked_at_ms", BigInteger, nullable=False),
    Column("confirmed_at_ms", BigInteger),
    UniqueConstraint("tenant_id", "nonce"),
    CheckConstraint("kind IN ('checkout', 'auto')", name="top_up_kind"),
    CheckConstraint(
        "state IN ('created', 'pending', 'succeeded', 'failed', 'canceled', 'expired', "
        "'refunded', 'disputed', 'charged_back')",
        name="top_up_state",
    ),
    Index("top_up_by_tenant", "tenant_id", "created_at_ms"),
    Index("top_up_by_state", "state", "checked_at_ms"),
)
_IN_FLIGHT = text("kind = 'auto' AND state IN ('created', 'pending')")
Index(
    "top_up_one_auto_in_flight",
    top_up.c.tenant_id,
    unique=True,
    sqlite_where=_IN_FLIGHT,
    postgresql_where=_IN_FLIGHT,
)

refund = Table(
    "refund",
    metadata,
    Column("refund_key", Text, primary_key=True),
    Column("top_up_id", Text, ForeignKey("top_up.top_up_id"), nullable=False),
    Column("refund_id", Text, unique=True),
    Column("micros", BigInteger, CheckConstraint("micros > 0"), nullable=False),
    Column("tax_micros", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    CheckConstraint("state IN ('asked', 'sent', 'failed', 'refused')", name="refund_state"),
    Index("refund_by_top_up", "top_up_id"),
)

dispute = Table(
    "dispute",
    metadata,
    Column("dispute_id", Text, primary_key=True),
    Column("top_up_id", Text, ForeignKey("top_up.top_up_id"), nullable=False),
    Column("tenant_id", Text, ForeignKey("tenant.tenant_id"), nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("tax_micros", BigInteger, nullable=False),
    Column("fee_micros", BigInteger, nullable=False),
    Column("fee_returned_micros", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("due_at_ms", BigInteger),
    Column("opened_at_ms", BigInteger, nullable=False),
    Column("closed_at_ms", BigInteger),
    CheckConstraint("state IN ('open', 'won', 'lost')", name="dispute_state"),
    Index("dispute_by_tenant", "tenant_id", "state"),
)

# A webhook as it came: what it is about is fetched when it is worked on.
payment_event = Table(
    "payment_event",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("received_at_ms", BigInteger, nullable=False),
    Column("done_at_ms", BigInteger),
    Column("tries", BigInteger, nullable=False),
    Column("next_at_ms", BigInteger, nullable=False),
    Column("why", Text, nullable=False),
    Index("payment_event_waiting", "done_at_ms", "next_at_ms"),
)

# The processor's own list of what moved our balance there; `posted`: the books know of it.
provider_entry = Table(
    "provider_entry",
    metadata,
    Column("transaction_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("micros", BigInteger, nullable=False),
    Column("fee_micros", BigInteger, nullable=False),
    Column("net_micros", BigInteger, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("noted_at_ms", BigInteger, nullable=False),
    Column("posted", Integer, CheckConstraint("posted IN (0, 1)"), nullable=False),
    Index("provider_entry_unposted", "posted", "created_at_ms"),
)

# One row: how far the list was read, and how the last comparison came out.
reconciliation = Table(
    "reconciliation",
    metadata,
    Column("name", Text, primary_key=True),
    Column("last_transaction_id", Text, nullable=False),
    Column("checked_at_ms", BigInteger, nullable=False),
    Column("provider_micros", BigInteger, nullable=False),
    Column("book_micros", BigInteger, nullable=False),
    Column("differs_since_ms", BigInteger),
)

payment_finding = Table(
    "payment_finding",
    metadata,
    Column("code", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("detail", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("closed_at_ms", BigInteger),
)
