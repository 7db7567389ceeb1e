"""SQL of the apps."""

from dataclasses import dataclass

import msgspec
from sqlalchemy import select

from protocol.manifest import Manifest
from registry.store.database import Db
from registry.store.tables.apps import app


@dataclass(frozen=True, slots=True)
class App:
    """A version of an app."""

    slug: str
    version: str
    name: str
    publisher: str
    manifest: Manifest
    created_at_ms: int


def list_apps(db: Db) -> list[App]:
    """Return every version of every app, by slug, youngest first."""
    wanted = select(app).order_by(app.c.slug, app.c.created_at_ms.desc())
    return [
        App(
            slug=row.slug,
            version=row.version,
            name=row.name,
            publisher=row.publisher,
            manifest=msgspec.json.decode(row.manifest, type=Manifest),
            created_at_ms=row.created_at_ms,
        )
        for row in db.rows(wanted)
    ]


def insert_app(db: Db, made: App) -> bool:
    """Add a version; False, and nothing done, if it is there."""
    return db.insert_new(
        app,
        {
            "slug": made.slug,
            "version": made.version,
            "name": made.name,
            "publisher": made.publisher,
            "manifest": msgspec.json.encode(made.manifest).decode(),
            "created_at_ms": made.created_at_ms,
        },
    )
