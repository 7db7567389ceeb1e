"""The whole schema as one: the tables of every room, and the triggers of rows that only grow."""

import importlib
import pkgutil

from sqlalchemy import MetaData

from registry.store import tables
from registry.store.tables.metadata import metadata

_ROOMS = [
    importlib.import_module(f"{tables.__name__}.{module.name}")
    for module in pkgutil.iter_modules(tables.__path__)
]


def whole_schema() -> MetaData:
    """Return the metadata with the tables of every room in it."""
    assert _ROOMS
    return metadata


def append_only_tables() -> tuple[str, ...]:
    """Return the names in every room's APPEND_ONLY: rows of these are only ever added."""
    names = [name for room in _ROOMS for name in getattr(room, "APPEND_ONLY", ())]
    assert all(name in metadata.tables for name in names)
    return tuple(sorted(names))
