"""States of balances, the mails of their edges, and the feed of events."""

from alembic import op

revision = "0011"
down_revision = "0010"

INTEGER = {"sqlite": "INTEGER", "postgresql": "BIGINT"}
TAIL = {"sqlite": " STRICT", "postgresql": ""}


def upgrade() -> None:
    """Add the tables; rows of the feed are only ever added."""
    dialect = op.get_bind().dialect.name
    integer, tail = INTEGER[dialect], TAIL[dialect]
    op.execute(
        f"""
        CREATE TABLE balance_state (
            tenant_id TEXT NOT NULL,
            state TEXT NOT NULL,
            since_ms {integer} NOT NULL,
            episode {integer} NOT NULL,
            reminded_ms {integer} NOT NULL,
            burn_micros_per_hour {integer} NOT NULL,
            burn_at_ms {integer} NOT NULL,
            window_ms {integer} NOT NULL,
            window_micros {integer} NOT NULL,
            CONSTRAINT pk_balance_state PRIMARY KEY (tenant_id),
            CONSTRAINT balance_state_state CHECK (
                state IN ('funded', 'low', 'critical', 'depleted', 'frozen', 'closed'))
        ){tail}
        """
    )
    op.execute("CREATE INDEX ix_balance_state_burn_at_ms ON balance_state (burn_at_ms)")
    op.execute(
        f"""
        CREATE TABLE balance_letter (
            letter_id TEXT NOT NULL,
            recipient TEXT NOT NULL,
            subject TEXT NOT NULL,
            words TEXT NOT NULL,
            made_at_ms {integer} NOT NULL,
            tries {integer} NOT NULL,
            next_at_ms {integer},
            sent_at_ms {integer},
            CONSTRAINT pk_balance_letter PRIMARY KEY (letter_id)
        ){tail}
        """
    )
    op.execute("CREATE INDEX ix_balance_letter_next_at_ms ON balance_letter (next_at_ms)")
    _feed(dialect)


def _feed(dialect: str) -> None:
    integer, tail = INTEGER[dialect], TAIL[dialect]
    op.execute(
        f"""
        CREATE TABLE feed_event (
            event_id TEXT NOT NULL,
            tenant_id TEXT NOT NULL,
            sequence {integer} NOT NULL,
            kind TEXT NOT NULL,
            subject TEXT NOT NULL,
            facts TEXT NOT NULL,
            at_ms {integer} NOT NULL,
            CONSTRAINT pk_feed_event PRIMARY KEY (event_id)
        ){tail}
        """
    )
    op.execute(
        "CREATE UNIQUE INDEX ix_feed_event_tenant_id_sequence ON feed_event (tenant_id, sequence)"
    )
    _append_only("feed_event", dialect)


def _append_only(table: str, dialect: str) -> None:
    if dialect == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            )
        return
    op.execute(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
