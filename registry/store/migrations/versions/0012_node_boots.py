"""A node's earlier boots are remembered, and a node whose key two machines hold is fenced."""

from alembic import op

revision = "0012"
down_revision = "0011"

INTEGER = {"sqlite": "INTEGER", "postgresql": "BIGINT"}


def upgrade() -> None:
    """Add both to the nodes."""
    op.execute("ALTER TABLE node ADD COLUMN earlier_boots TEXT NOT NULL DEFAULT '[]'")
    integer = INTEGER[op.get_bind().dialect.name]
    op.execute(f"ALTER TABLE node ADD COLUMN fenced_at_ms {integer}")
