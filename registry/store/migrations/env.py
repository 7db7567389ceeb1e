"""Runs the steps on the connection that registry/store/migrate.py hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
