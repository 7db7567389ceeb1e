"""What operators told the books, tax rates, what has matured; and sums of zero by the database.

PostgreSQL checks each journal by a deferred constraint trigger.  SQLite has none: there the sum of
a journal is a row that refers, from the commit on, to the only row of the table `zero`.
"""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = Path(__file__).parent / "0004"


def upgrade() -> None:
    """Run every statement of this engine, file by file."""
    for path in sorted((STATEMENTS / op.get_bind().dialect.name).glob("*.sql")):
        for statement in path.read_text(encoding="utf-8").split("\n\n"):
            op.execute(statement)
