"""Whether a node has ever spoken of a lease, so that one that never reached it is given back."""

from alembic import op

revision = "0010"
down_revision = "0009"

MOMENT = {"sqlite": "INTEGER", "postgresql": "BIGINT"}


def upgrade() -> None:
    """Add both columns; leases that are out already count as heard of."""
    dialect = op.get_bind().dialect.name
    op.execute(
        "ALTER TABLE lease ADD COLUMN heard INTEGER NOT NULL DEFAULT 1 "
        "CONSTRAINT lease_heard CHECK (heard IN (0, 1))"
    )
    op.execute(
        f"ALTER TABLE lease ADD COLUMN stated_at_ms {MOMENT[dialect]} NOT NULL DEFAULT 0"
    )
