"""The schema of the first release."""

from alembic import op

from registry.store.append_only import trigger_statements
from registry.store.schema import append_only_tables, whole_schema

revision = "0001"
down_revision = None


def upgrade() -> None:
    connection = op.get_bind()
    whole_schema().create_all(connection)
    for statement in trigger_statements(connection.dialect.name, append_only_tables()):
        op.execute(statement)
