"""Tables of the catalogue: what is sold, and its price versions, which never change."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Integer, Table, Text

from registry.store.tables.metadata import metadata

APPEND_ONLY = ("price_version",)

sku = Table(
    "sku",
    metadata,
    Column("sku_id", Text, primary_key=True),
    Column("sku_class", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("accelerator_model", Text, nullable=False),
    Column("accelerator_count", Integer, nullable=False),
    Column("accelerator_memory_mib", BigInteger, nullable=False),
    Column("cpu_milli", BigInteger, nullable=False),
    Column("memory_mib", BigInteger, nullable=False),
    Column("disk_mib", BigInteger, nullable=False),
    Column("power_w", Integer, nullable=False),
    Column("simulated", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("retired_at_ms", BigInteger),
    CheckConstraint("sku_class IN ('gpu', 'model')", name="sku_class"),
    CheckConstraint("simulated IN (0, 1)", name="sku_simulated"),
)

price_version = Table(
    "price_version",
    metadata,
    Column("sku_id", Text, ForeignKey("sku.sku_id"), primary_key=True),
    Column("meter", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("num", BigInteger, nullable=False),
    Column("den", BigInteger, nullable=False),
    Column("effective_at_ms", BigInteger, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("created_by", Text, nullable=False),
    CheckConstraint("num >= 0", name="price_version_num"),
    CheckConstraint("den >= 1", name="price_version_den"),
    CheckConstraint("effective_at_ms % 3600000 = 0", name="price_version_hour_edge"),
)
