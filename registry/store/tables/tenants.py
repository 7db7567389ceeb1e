"""Tables of organizations: tenants, departments, projects, members with their roles."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
)

from registry.store.tables.metadata import metadata

tenant = Table(
    "tenant",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("name_key", Text, nullable=False, unique=True),
    Column("use_case", Text, nullable=False),
    Column("intent", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    CheckConstraint("intent IN ('use', 'host', 'both')", name="tenant_intent"),
)

department = Table(
    "department",
    metadata,
    Column("department_id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenant.tenant_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "name"),
)

project = Table(
    "project",
    metadata,
    Column("project_id", Text, primary_key=True),
    Column("tenant_id", Text, ForeignKey("tenant.tenant_id"), nullable=False),
    Column("department_id", Text, ForeignKey("department.department_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    UniqueConstraint("tenant_id", "name"),
)

member_role = Table(
    "member_role",
    metadata,
    Column("tenant_id", Text, ForeignKey("tenant.tenant_id"), primary_key=True),
    Column("person_id", Text, ForeignKey("person.person_id"), primary_key=True),
    Column("role", Text, primary_key=True),
    Column("since_ms", BigInteger, nullable=False),
    CheckConstraint(
        "role IN ('owner', 'admin', 'billing', 'member', 'viewer', 'site_operator', 'site_owner')",
        name="member_role_role",
    ),
    Index("member_role_by_person", "person_id"),
)
