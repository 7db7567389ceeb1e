"""How fast a node calls is remembered."""

from alembic import op

revision = "0013"
down_revision = "0012"

INTEGER = {"sqlite": "INTEGER", "postgresql": "BIGINT"}


def upgrade() -> None:
    """Add it to the nodes."""
    integer = INTEGER[op.get_bind().dialect.name]
    op.execute(f"ALTER TABLE node ADD COLUMN paced_to_ms {integer} NOT NULL DEFAULT 0")
