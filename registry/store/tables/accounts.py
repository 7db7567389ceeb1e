"""Tables of people: who they are, their sessions, their sign-in links, and how often they tried."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, Integer, Table, Text

from registry.store.tables.metadata import metadata

person = Table(
    "person",
    metadata,
    Column("person_id", Text, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("is_platform_admin", Integer, nullable=False),
    Column("is_disabled", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    CheckConstraint("is_platform_admin IN (0, 1)", name="person_is_platform_admin"),
    CheckConstraint("is_disabled IN (0, 1)", name="person_is_disabled"),
)

session = Table(
    "session",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("session_id", Text, nullable=False, unique=True),
    Column("person_id", Text, ForeignKey("person.person_id"), nullable=False),
    Column("tenant_id", Text),
    Column("project_id", Text),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("ended_at_ms", BigInteger),
    Column("source", Text, nullable=False),
    Index("session_by_person", "person_id"),
)

sign_in_link = Table(
    "sign_in_link",
    metadata,
    Column("link_id", Text, primary_key=True),
    Column("email", Text, nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("code_hash", Text, nullable=False),
    Column("attempt_hash", Text, nullable=False, unique=True),
    Column("code_tries", Integer, nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("used_at_ms", BigInteger),
    Column("source", Text, nullable=False),
    Index("sign_in_link_by_email", "email", "created_at_ms"),
)

sign_in_throttle = Table(
    "sign_in_throttle",
    metadata,
    Column("subject", Text, primary_key=True),
    Column("tries", Integer, nullable=False),
    Column("begun_at_ms", BigInteger, nullable=False),
)
