"""On which terms a tenant's money is handed to nodes."""

from alembic import op

revision = "0002"
down_revision = "0001"

INTEGER = {"sqlite": "INTEGER", "postgresql": "BIGINT"}
TAIL = {"sqlite": " STRICT", "postgresql": ""}


def upgrade() -> None:
    """Add the table; a tenant without a row has the usual terms."""
    dialect = op.get_bind().dialect.name
    integer = INTEGER[dialect]
    op.execute(
        f"""
        CREATE TABLE lease_terms (
            tenant_id TEXT NOT NULL,
            trust TEXT NOT NULL,
            suspended_at_ms {integer},
            suspended_why TEXT NOT NULL,
            changed_at_ms {integer} NOT NULL,
            CONSTRAINT pk_lease_terms PRIMARY KEY (tenant_id),
            CONSTRAINT lease_terms_trust
                CHECK (trust IN ('unproven', 'standard', 'contracted')),
            CONSTRAINT lease_terms_suspended
                CHECK ((suspended_at_ms IS NULL) = (suspended_why = ''))
        ){TAIL[dialect]}
        """
    )
