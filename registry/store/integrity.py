"""Is the file of an SQLite database whole?  Asked before anything is served from it."""

from sqlalchemy.exc import DatabaseError

from protocol.refusal import Fault
from registry.store.database import Database

PROBLEMS_SHOWN_MAX = 3
INTACT = "ok"


def check_intact(database: Database) -> None:
    """Raise the fault of a damaged file; PostgreSQL looks after its own.

    Nothing is repaired: what is damaged stays as it is until an operator restored a backup.
    """
    if not database.is_sqlite:
        return
    try:
        with database.transaction(writes=False) as connection:
            found = connection.exec_driver_sql(f"PRAGMA quick_check({PROBLEMS_SHOWN_MAX})")
            problems = [str(row[0]) for row in found]
    except DatabaseError as error:
        # Damage in the schema itself shows when the file is opened.
        problems = [str(error.orig)]
    if problems != [INTACT]:
        said = "; ".join(" ".join(problem.split()) for problem in problems)
        raise Fault(
            f"database {database.url.database}: is damaged ({said}); keep the file, restore your "
            "latest backup and run ledger verify."
        )
