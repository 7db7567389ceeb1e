"""Adding sites."""

from protocol.ids import NewId
from protocol.refusal import Refusal
from registry.audit.operations import record
from registry.sites import queries
from registry.sites.site import Site, SiteFacts
from registry.store.database import Db
from registry.tenants.naming import name_key, read_name
from registry.tenants.roles import Actor, require


def add_site(
    db: Db, facts: SiteFacts, *, tenant_id: str, actor: Actor, now_ms: int, new_id: NewId
) -> Site:
    """Add a site of the tenant; refuse a second one of the same name in the same city."""
    require(actor, "site.create", tenant_id=tenant_id)
    name, city, keys = _named(facts)
    if queries.find_site(db, tenant_id=tenant_id, **keys) is not None:
        raise Refusal(
            code="name_taken",
            status=409,
            message=f"You have a site of this name in {city}.",
            hint="Choose another name.",
            field="name",
        )
    made = Site(
        site_id=new_id("site"),
        tenant_id=tenant_id,
        name=name,
        city=city,
        country=facts.country,
        kind=facts.kind,
        connectivity=facts.connectivity,
        power_kw=facts.power_kw,
    )
    queries.insert_site(db, made, now_ms=now_ms, **keys)
    record(
        db,
        actor=actor,
        action="site.created",
        object_id=made.site_id,
        tenant_id=tenant_id,
        detail={"name": name, "city": city, "country": facts.country},
        now_ms=now_ms,
    )
    return made


def find_same_site(db: Db, facts: SiteFacts, *, tenant_id: str) -> Site | None:
    """Return the tenant's site that these facts name, or None."""
    _, _, keys = _named(facts)
    return queries.find_site(db, tenant_id=tenant_id, **keys)


def _named(facts: SiteFacts) -> tuple[str, str, dict[str, str]]:
    name = read_name(facts.name)
    city = read_name(facts.city, field="city", label="The city")
    return name, city, {"name_key": name_key(name), "city_key": name_key(city)}
