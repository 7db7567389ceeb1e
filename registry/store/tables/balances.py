"""Tables of the balance states, and of the mails that go out with their edges."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Table, Text

from registry.store.tables.metadata import metadata

# How an organization's money stands.  Calls charged in the hours from `window_ms` on came to
# `window_micros` when they were last looked at, at `burn_at_ms`.
balance_state = Table(
    "balance_state",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),
    Column("episode", BigInteger, nullable=False),
    Column("reminded_ms", BigInteger, nullable=False),
    Column("burn_micros_per_hour", BigInteger, nullable=False),
    Column("burn_at_ms", BigInteger, nullable=False),
    Column("window_ms", BigInteger, nullable=False),
    Column("window_micros", BigInteger, nullable=False),
    CheckConstraint(
        "state IN ('funded', 'low', 'critical', 'depleted', 'frozen', 'closed')",
        name="balance_state_state",
    ),
)
Index(None, balance_state.c.burn_at_ms)

# A mail about money, until it was handed over.  `letter_id` is made of what it is about.
balance_letter = Table(
    "balance_letter",
    metadata,
    Column("letter_id", Text, primary_key=True),
    Column("recipient", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("made_at_ms", BigInteger, nullable=False),
    Column("tries", BigInteger, nullable=False),
    Column("next_at_ms", BigInteger),
    Column("sent_at_ms", BigInteger),
)
Index(None, balance_letter.c.next_at_ms)

APPEND_ONLY: tuple[str, ...] = ()
