"""Table of the apps: manifests that can be launched, by name and version."""

from sqlalchemy import BigInteger, Column, Table, Text

from registry.store.tables.metadata import metadata

app = Table(
    "app",
    metadata,
    Column("slug", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("publisher", Text, nullable=False),
    Column("manifest", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)
