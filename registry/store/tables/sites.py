"""Table of the sites: where nodes stand and whose they are."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Integer,
    Table,
    Text,
    UniqueConstraint,
)

from registry.store.tables.metadata import metadata

# A site serves its own organization alone until it is opened to the market.  `opened_at_ms` is when
# that first happened and stays; `closed_at_ms` is set while it is closed again.
site = Table(
    "site",
    metadata,
    Column("site_id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenant.tenant_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("city", Text, nullable=False),
    Column("city_key", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("connectivity", Text, nullable=False),
    Column("power_kw", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("opened_at_ms", BigInteger),
    Column("closed_at_ms", BigInteger),
    UniqueConstraint("tenant_id", "city_key", "name_key"),
    CheckConstraint("closed_at_ms IS NULL OR opened_at_ms IS NOT NULL", name="site_closed"),
)
