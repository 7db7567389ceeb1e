"""Where sites are paid, and what was paid."""

from alembic import op

revision = "0008"
down_revision = "0007"

INTEGER = {"sqlite": "INTEGER", "postgresql": "BIGINT"}
TAIL = {"sqlite": " STRICT", "postgresql": ""}


def upgrade() -> None:
    """Add the tables."""
    dialect = op.get_bind().dialect.name
    integer, tail = INTEGER[dialect], TAIL[dialect]
    op.execute(
        f"""
        CREATE TABLE payout_destination (
            site_id TEXT NOT NULL,
            sender TEXT NOT NULL,
            destination TEXT NOT NULL,
            changed_at_ms {integer} NOT NULL,
            CONSTRAINT pk_payout_destination PRIMARY KEY (site_id)
        ){tail}
        """
    )
    op.execute(
        f"""
        CREATE TABLE payout (
            payout_id TEXT NOT NULL,
            site_id TEXT NOT NULL,
            micros {integer} NOT NULL,
            state TEXT NOT NULL,
            sender TEXT NOT NULL,
            account TEXT NOT NULL,
            destination TEXT NOT NULL,
            reference TEXT NOT NULL,
            why TEXT NOT NULL,
            created_at_ms {integer} NOT NULL,
            sent_at_ms {integer},
            returned_at_ms {integer},
            CONSTRAINT pk_payout PRIMARY KEY (payout_id),
            CONSTRAINT payout_whole_cents CHECK (micros > 0 AND micros % 10000 = 0),
            CONSTRAINT payout_state
                CHECK (state IN ('pending', 'sent', 'failed', 'reversed')),
            CONSTRAINT payout_returned
                CHECK ((state IN ('failed', 'reversed')) = (returned_at_ms IS NOT NULL))
        ){tail}
        """
    )
    op.execute("CREATE INDEX ix_payout_site_id_created_at_ms ON payout (site_id, created_at_ms)")
    op.execute("CREATE INDEX ix_payout_state ON payout (state)")
