"""What the rarer entries of usage logs say: sessions, gaps, corrections, keys."""

from alembic import op

revision = "0003"
down_revision = "0002"

INTEGER = {"sqlite": "INTEGER", "postgresql": "BIGINT"}
TAIL = {"sqlite": " STRICT", "postgresql": ""}
TABLES = {
    "log_session": (
        "node_id TEXT, epoch INTEGER, idx INTEGER, object_id TEXT, tenant_id TEXT, "
        "project_id TEXT, who TEXT, via TEXT, path TEXT, begin_ms INTEGER, end_ms INTEGER, "
        "bytes_in INTEGER, bytes_out INTEGER, reason TEXT",
        "node_id, epoch, idx",
    ),
    "log_gap": (
        "node_id TEXT, epoch INTEGER, idx INTEGER, allocation_id TEXT, begin_ms INTEGER, "
        "end_ms INTEGER, reason TEXT",
        "node_id, epoch, idx",
    ),
    "log_adjustment": (
        "node_id TEXT, epoch INTEGER, idx INTEGER, reference INTEGER, allocation_id TEXT, "
        "meter TEXT, sku TEXT, quantity INTEGER, reason TEXT",
        "node_id, epoch, idx",
    ),
    "adjustment_approval": (
        "node_id TEXT, epoch INTEGER, reference INTEGER, quantity INTEGER, approved_by TEXT, "
        "approved_at_ms INTEGER",
        "node_id, epoch, reference, quantity",
    ),
    "log_key": (
        "node_id TEXT, epoch INTEGER, from_size INTEGER, public_key TEXT, note TEXT",
        "node_id, epoch, from_size",
    ),
}


def upgrade() -> None:
    """Add the tables; rows of them are only ever added."""
    dialect = op.get_bind().dialect.name
    for name, (columns, key) in TABLES.items():
        spelled = ", ".join(
            f"{column.replace('INTEGER', INTEGER[dialect])} NOT NULL"
            for column in columns.split(", ")
        )
        op.execute(
            f"CREATE TABLE {name} ({spelled}, CONSTRAINT pk_{name} PRIMARY KEY ({key}))"
            f"{TAIL[dialect]}"
        )
        for statement in _only_added(name, dialect):
            op.execute(statement)
    op.execute(
        "CREATE INDEX ix_log_session_tenant_id_end_ms ON log_session (tenant_id, end_ms)"
    )


def _only_added(name: str, dialect: str) -> list[str]:
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
            f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
            for verb in ("UPDATE", "DELETE")
        ]
    return [
        f"CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    ]
