"""The one MetaData of the registry, and the two rules that make tables alike on both engines.

Columns are Text, BigInteger, Integer or LargeBinary: money is micros, time milliseconds, a flag 0
or 1 with a CHECK, JSON text.  On SQLite every table is STRICT, which knows no BIGINT: its INTEGER
has 64 bits already, and as a primary key it counts by itself as PostgreSQL's BIGSERIAL does.
"""

from typing import Any

from sqlalchemy import BigInteger, MetaData, Table, event
from sqlalchemy.ext.compiler import compiles

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)


@event.listens_for(Table, "after_parent_attach")
def _make_strict(table: Table, parent: Any) -> None:
    if parent is metadata:
        table.dialect_options["sqlite"]["strict"] = True


@compiles(BigInteger, "sqlite")
def _sqlite_whole(_type: BigInteger, _compiler: Any, **_options: Any) -> str:
    return "INTEGER"
