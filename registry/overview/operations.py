"""Figures that the pages of earlier rooms show and cannot ask themselves."""

from collections.abc import Iterable

from protocol.clock import DAY_MS
from registry.allocations.queries import find_seen, list_on_node
from registry.allocations.seen import SeenAllocation
from registry.incidents.queries import OpenFinding, list_open, severities_by_node
from registry.nodes.node import Node
from registry.nodes.pages import NodeFigures, finding_row, log_head, power_w
from registry.nodes.queries import list_every_accelerator, list_nodes
from registry.nodes.standing import WORRYING, standing
from registry.overview.queries import charged_by_node
from registry.overview.tenant_panels import TroubledNode
from registry.sites.site import SiteFigures
from registry.store.database import Db
from registry.usage.queries import find_latest_log


def node_figures(db: Db, nodes: Iterable[Node], now_ms: int) -> dict[str, NodeFigures]:
    """Return what each node earned today, how far its usage is proven, what is wrong with it."""
    charged = charged_by_node(db, from_ms=now_ms - now_ms % DAY_MS)
    return {
        node.node_id: _figures(db, node.node_id, charged.get(node.node_id, 0)) for node in nodes
    }


def allocations_on(db: Db, node: Node, tenant_id: str | None) -> list[SeenAllocation]:
    """Return what holds the node, of one organization where named."""
    found = [find_seen(db, one.allocation_id) for one in list_on_node(db, node.node_id)]
    return [one for one in found if one is not None and tenant_id in (None, one.tenant_id)]


def site_figures(db: Db, now_ms: int) -> dict[str, SiteFigures]:
    """Return what runs at each site."""
    by_site: dict[str, list[Node]] = {}
    for node in list_nodes(db):
        by_site.setdefault(node.site_id, []).append(node)
    severities = severities_by_node(db)
    figures = {}
    for site_id, nodes in by_site.items():
        cards = list_every_accelerator(db, [node.node_id for node in nodes])
        stands = [
            standing(node.last_contact_at_ms, severities.get(node.node_id, ()), now_ms=now_ms)
            for node in nodes
        ]
        figures[site_id] = SiteFigures(
            nodes_online=stands.count("online"),
            nodes_degraded=stands.count("degraded"),
            nodes_total=len(nodes),
            gpus_used=sum(card.held_by is not None for card in cards),
            gpus_total=len(cards),
            power_now_w=power_w(cards),
            simulated=any(node.simulated for node in nodes),
        )
    return figures


def troubled_nodes(db: Db, tenant_id: str, now_ms: int) -> list[TroubledNode]:
    """Return the nodes at the organization's sites that are silent or have worrying findings."""
    open_by_node: dict[str, list[OpenFinding]] = {}
    for one in list_open(db):
        if one.severity in WORRYING:
            open_by_node.setdefault(one.node_id, []).append(one)
    found = []
    for node in list_nodes(db, tenant_id=tenant_id):
        findings = tuple(open_by_node.get(node.node_id, ()))
        severities = (one.severity for one in findings)
        stands = standing(node.last_contact_at_ms, severities, now_ms=now_ms)
        if stands == "offline" or findings:
            silent = node.last_contact_at_ms if stands == "offline" else None
            found.append(TroubledNode(node.node_id, node.name, silent, findings))
    return found


def _figures(db: Db, node_id: str, today_micros: int) -> NodeFigures:
    log = find_latest_log(db, node_id)
    findings = tuple(
        finding_row(one.code, one.severity, one.detail, remedy=one.remedy, since_ms=one.since_ms)
        for one in list_open(db, node_id=node_id)
    )
    if log is None or log.size == 0:
        return NodeFigures(today_micros=today_micros, findings=findings)
    head = log_head(
        log.origin,
        size=log.size,
        root=log.frontier.root().hex(),
        accepted_at_ms=log.accepted_at_ms,
        cosigned=bool(log.cosignature),
    )
    return NodeFigures(
        today_micros=today_micros,
        verified_to_ms=log.accepted_at_ms,
        log=head,
        findings=findings,
    )
