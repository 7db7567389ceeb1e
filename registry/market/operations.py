"""Open a site to the market and close it again."""

from dataclasses import replace

from registry.access.queries import bump_key_set_version
from registry.allocations.operations import release
from registry.allocations.queries import list_on_node
from registry.audit.operations import record
from registry.nodes.queries import list_nodes
from registry.sites import queries
from registry.sites.queries import get_site
from registry.store.database import Db
from registry.tenants.roles import SignedIn, require


def open_site(db: Db, site_id: str, *, actor: SignedIn, now_ms: int) -> bool:
    """Let every organization's work, keys and money reach a site; False if they could before."""
    site = get_site(db, site_id)
    require(actor, "site.govern", tenant_id=site.tenant_id)
    if not queries.move_to_open(db, site_id, now_ms=now_ms):
        return False
    # Its nodes hear of everybody's keys with their next call.
    bump_key_set_version(db)
    record(
        db,
        actor=actor,
        action="site.opened",
        object_id=site_id,
        tenant_id=site.tenant_id,
        detail={"name": site.name},
        now_ms=now_ms,
    )
    return True


def close_site(db: Db, site_id: str, *, actor: SignedIn, now_ms: int) -> int | None:
    """Make a site private again; return how many workloads of others end, None if it was private.

    Their charging stops now.  At its next call each node hears neither of others' keys nor of their
    leases, and cleans up.
    """
    site = get_site(db, site_id)
    require(actor, "site.govern", tenant_id=site.tenant_id)
    if not queries.move_to_closed(db, site_id, now_ms=now_ms):
        return None
    bump_key_set_version(db)
    ended = 0
    for node in list_nodes(db, site_id=site_id, retired=True):
        for found in list_on_node(db, node.node_id):
            if found.tenant_id == site.tenant_id or found.release_at_ms or found.ended_at_ms:
                continue
            owner = replace(actor, tenant_id=found.tenant_id)
            why = "The operator closed this site to others"
            release(db, found.allocation_id, actor=owner, now_ms=now_ms, why=why)
            ended += 1
    record(
        db,
        actor=actor,
        action="site.closed",
        object_id=site_id,
        tenant_id=site.tenant_id,
        detail={"name": site.name, "workloads_ended": ended},
        now_ms=now_ms,
    )
    return ended
