"""What a search finds: pages, sites, nodes and keys whose words hold all that was typed."""

from collections.abc import Iterable
from dataclasses import dataclass

from registry.access.api_keys import ApiKey
from registry.nodes.node import Node
from registry.sites.site import Site
from web.navigation import Place
from web.view_models.overview import SearchHit

HITS_PER_KIND = 10


@dataclass(frozen=True, slots=True)
class ActionPage:
    """A page that no entry of the navigation leads to.

    action  what its reader must be allowed to do, as a role's table names it
    words   by which it is looked for besides its label
    """

    label: str
    href: str
    action: str
    words: str = ""


ACTION_PAGES = (
    ActionPage("Launch a workload", "/launch", "allocation.launch", "deploy run start gpu app"),
    ActionPage("Add funds", "/billing/add-funds", "billing.top_up", "pay top up money balance"),
    ActionPage("Add a site", "/sites/new", "site.create", "new host place"),
    ActionPage("Add a node", "/nodes/new", "node.create", "new machine enrol agent host"),
)


def page_hits(
    query: str, places: Iterable[Place], actions: Iterable[ActionPage]
) -> list[SearchHit]:
    """Return the pages; actions: those the reader may take"""
    found = [
        SearchHit("Page", page.label, "", page.href)
        for page in actions
        if _holds(query, page.label, page.words)
    ]
    found += [
        SearchHit("Page", place.label, place.within, place.href)
        for place in places
        if _holds(query, place.label, place.within)
    ]
    return found


def site_hits(query: str, sites: Iterable[Site]) -> list[SearchHit]:
    """Return the sites, by name, place or id."""
    return [
        SearchHit("Site", site.name, site.place, f"/nodes?site={site.site_id}")
        for site in sites
        if _holds(query, site.name, site.place, site.site_id)
    ][:HITS_PER_KIND]


def node_hits(query: str, nodes: Iterable[Node]) -> list[SearchHit]:
    """Return the nodes, by name, site or id."""
    return [
        SearchHit("Node", node.name, node.site_name, f"/nodes/{node.node_id}")
        for node in nodes
        if _holds(query, node.name, node.site_name, node.node_id, node.facts.external_id)
    ][:HITS_PER_KIND]


def key_hits(query: str, keys: Iterable[ApiKey]) -> list[SearchHit]:
    """Return the API keys, by name, prefix or id."""
    return [
        SearchHit("Key", key.name, f"{key.prefix}…", f"/access/api-keys#key-{key.api_key_id}")
        for key in keys
        if _holds(query, key.name, key.prefix, key.api_key_id)
    ][:HITS_PER_KIND]


def _holds(query: str, *texts: str) -> bool:
    words = " ".join(texts).casefold()
    return all(term in words for term in query.casefold().split())
