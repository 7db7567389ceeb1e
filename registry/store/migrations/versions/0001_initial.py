"""The schema of the first release, in each engine's own words; blank lines part the statements."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None

STATEMENTS = Path(__file__).parent / "0001"


def upgrade() -> None:
    """Run every statement of this engine, file by file."""
    for path in sorted((STATEMENTS / op.get_bind().dialect.name).glob("*.sql")):
        for statement in path.read_text(encoding="utf-8").split("\n\n"):
            op.execute(statement)
