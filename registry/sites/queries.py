"""SQL of the sites."""

from typing import Any

from sqlalchemy import Row, func, insert, or_, select, update

from protocol.refusal import Refusal
from registry.sites.site import Site
from registry.store.database import Db
from registry.store.tables.sites import site


def get_site(db: Db, site_id: str) -> Site:
    """Return a site."""
    row = db.row(select(site).where(site.c.site_id == site_id))
    if row is None:
        raise Refusal(
            code="not_found",
            status=404,
            message="This site does not exist, or is not yours to see.",
            hint="Look at the list of your sites.",
        )
    return _site(row)


def find_site(db: Db, *, tenant_id: str, city_key: str, name_key: str) -> Site | None:
    """Return the tenant's site of that name in that city."""
    row = db.row(
        select(site).where(
            site.c.tenant_id == tenant_id,
            site.c.city_key == city_key,
            site.c.name_key == name_key,
        )
    )
    return None if row is None else _site(row)


def list_sites(db: Db, *, tenant_id: str | None = None) -> list[Site]:
    """Return the sites, of one tenant where named, by name."""
    statement = select(site).order_by(site.c.name_key, site.c.site_id)
    if tenant_id is not None:
        statement = statement.where(site.c.tenant_id == tenant_id)
    return [_site(row) for row in db.rows(statement)]


def list_site_ids(db: Db, tenant_id: str) -> frozenset[str]:
    """Return the ids of a tenant's sites."""
    rows = db.rows(select(site.c.site_id).where(site.c.tenant_id == tenant_id))
    return frozenset(row.site_id for row in rows)


def insert_site(db: Db, made: Site, *, name_key: str, city_key: str, now_ms: int) -> None:
    """Add a site."""
    db.write(
        insert(site).values(
            site_id=made.site_id,
            tenant_id=made.tenant_id,
            name=made.name,
            name_key=name_key,
            city=made.city,
            city_key=city_key,
            country=made.country,
            kind=made.kind,
            connectivity=made.connectivity,
            power_kw=made.power_kw,
            created_at_ms=now_ms,
        )
    )


def move_to_open(db: Db, site_id: str, *, now_ms: int) -> bool:
    """Open a site to the market; False if it is open."""
    is_private = or_(site.c.opened_at_ms.is_(None), site.c.closed_at_ms.is_not(None))
    first_ms = func.coalesce(site.c.opened_at_ms, now_ms)
    opening = update(site).where(site.c.site_id == site_id, is_private)
    return db.write(opening.values(opened_at_ms=first_ms, closed_at_ms=None)) == 1


def move_to_closed(db: Db, site_id: str, *, now_ms: int) -> bool:
    """Close a site to the market; False if it is not open."""
    closing = update(site).where(
        site.c.site_id == site_id, site.c.opened_at_ms.is_not(None), site.c.closed_at_ms.is_(None)
    )
    return db.write(closing.values(closed_at_ms=now_ms)) == 1


def _site(row: Row[Any]) -> Site:
    return Site(
        site_id=row.site_id,
        tenant_id=row.tenant_id,
        name=row.name,
        city=row.city,
        country=row.country,
        kind=row.kind,
        connectivity=row.connectivity,
        power_kw=row.power_kw,
        opened_at_ms=row.opened_at_ms,
        closed_at_ms=row.closed_at_ms,
    )
