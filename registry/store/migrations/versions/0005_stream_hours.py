"""A stream has a number, so that its hours are a row of numbers each; `usage_hour` is a view."""

from pathlib import Path

from alembic import op

revision = "0005"
down_revision = "0004"

STATEMENTS = Path(__file__).parent / "0005"


def upgrade() -> None:
    """Run every statement of this engine, file by file."""
    for path in sorted((STATEMENTS / op.get_bind().dialect.name).glob("*.sql")):
        for statement in path.read_text(encoding="utf-8").split("\n\n"):
            op.execute(statement)
