"""Payers, top-ups, refunds and disputes by card, and what the card processor told of them."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = Path(__file__).parent / revision


def upgrade() -> None:
    """Run every statement of this engine, file by file."""
    for path in sorted((STATEMENTS / op.get_bind().dialect.name).glob("*.sql")):
        for statement in path.read_text(encoding="utf-8").split("\n\n"):
            op.execute(statement)
