"""Within what times the records of a batch counted, where its node's clock was off."""

from alembic import op

revision = "0009"
down_revision = "0008"

INTEGER = {"sqlite": "INTEGER", "postgresql": "BIGINT"}
TAIL = {"sqlite": " STRICT", "postgresql": ""}


def upgrade() -> None:
    """Add the table; rows of it are only ever added."""
    dialect = op.get_bind().dialect.name
    integer = INTEGER[dialect]
    op.execute(
        f"""
        CREATE TABLE log_span (
            node_id TEXT NOT NULL,
            epoch {integer} NOT NULL,
            "begin" {integer} NOT NULL,
            low_ms {integer} NOT NULL,
            high_ms {integer} NOT NULL,
            CONSTRAINT pk_log_span PRIMARY KEY (node_id, epoch, "begin")
        ){TAIL[dialect]}
        """
    )
    if dialect == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER log_span_no_{verb.lower()} BEFORE {verb} ON log_span "
                "BEGIN SELECT RAISE(ABORT, 'log_span is append-only'); END"
            )
        return
    op.execute(
        "CREATE TRIGGER log_span_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON log_span "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
