"""Tables of access: API keys, and the version of the key set that nodes hold."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from registry.store.tables.metadata import metadata

api_key = Table(
    "api_key",
    metadata,
    Column("api_key_id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenant.tenant_id"), nullable=False),
    Column("project_id", Text, ForeignKey("project.project_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    Column("scopes", Text, nullable=False),
    Column("models", Text, nullable=False),
    Column("requests_per_minute", Integer, nullable=False),
    Column("concurrency", Integer, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger),
    Column("revoked_at_ms", BigInteger),
    Column("changed_in_version", BigInteger, nullable=False),
    Index("api_key_by_tenant", "tenant_id", "created_at_ms"),
)

key_set_version = Table(
    "key_set_version",
    metadata,
    Column("key_set_version_id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    CheckConstraint("key_set_version_id = 1", name="key_set_version_single"),
)
