"""Triggers that let the database itself refuse to change or delete rows that only grow."""

from collections.abc import Iterable


def trigger_statements(dialect: str, names: Iterable[str]) -> list[str]:
    """Return the DDL that makes these tables append-only on `sqlite` or `postgresql`."""
    if dialect == "sqlite":
        return [_sqlite_trigger(name, verb) for name in names for verb in ("UPDATE", "DELETE")]
    return [POSTGRES_FUNCTION, *(_postgres_trigger(name) for name in names)]


POSTGRES_FUNCTION = """
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END
$$
"""


def _sqlite_trigger(name: str, verb: str) -> str:
    return (
        f"CREATE TRIGGER {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
        f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
    )


def _postgres_trigger(name: str) -> str:
    # Per statement, so that TRUNCATE and a change that touches no row are refused as well.
    return (
        f"CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )
