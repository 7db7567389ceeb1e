"""Sites serve their own organization alone until they are opened to the market."""

from alembic import op

revision = "0007"
down_revision = "0006"

INTEGER = {"sqlite": "INTEGER", "postgresql": "BIGINT"}


def upgrade() -> None:
    """Add the two moments; sites that stand already are private until the operator opens them."""
    integer = INTEGER[op.get_bind().dialect.name]
    op.execute(f"ALTER TABLE site ADD COLUMN opened_at_ms {integer}")
    op.execute(
        f"""
        ALTER TABLE site ADD COLUMN closed_at_ms {integer}
            CONSTRAINT site_closed CHECK (closed_at_ms IS NULL OR opened_at_ms IS NOT NULL)
        """
    )
