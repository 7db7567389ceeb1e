"""Brings a database to the schema of this release, step by step, or says that it is not there."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from protocol.refusal import Fault
from registry.store.database import Database

MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x6F757473
"""The PostgreSQL advisory lock that one migration holds at a time."""


def migrate(url: str) -> None:
    """Run the steps that this database has not seen; all of them are kept, or none."""
    database = Database(url)
    try:
        # Not SERIALIZABLE: whoever waits for the lock must then see what the other one did.
        with database.transaction(writes=True, isolation="READ COMMITTED") as connection:
            if not database.is_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})")
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    finally:
        database.close()


def check_schema(database: Database) -> None:
    """Raise the fault of a database that is not at the schema of this release."""
    with database.transaction(writes=False) as connection:
        present = MigrationContext.configure(connection).get_current_revision()
    wanted = ScriptDirectory.from_config(_config()).get_current_head()
    if present != wanted:
        raise Fault(
            f"the database is at schema step {present or 'none'} and this release needs {wanted}: "
            "run outstation-registry migrate"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
