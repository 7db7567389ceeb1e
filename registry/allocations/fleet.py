"""The nodes as a launch sees them: what they have, what they promised, what bars them."""

from collections import Counter
from dataclasses import dataclass, field

from registry.allocations.placement import Candidate
from registry.leases.terms import TERMS, TermsByTrust
from registry.nodes.node import Node, NodeAccelerator
from registry.nodes.standing import is_heard


@dataclass(frozen=True, slots=True)
class Market:
    """What is free, as a launch form and placement see it.

    demo       whether simulated accelerators may be sold
    blocking   why a node is off the market, by node id
    terms      what each trust gives
    """

    demo: bool
    blocking: dict[str, str]
    terms: TermsByTrust = field(default_factory=lambda: TERMS)


@dataclass(frozen=True, slots=True)
class Promised:
    """Accelerators of one model that a node has promised, and what they draw at full load."""

    node_id: str
    model: str
    accelerators: int
    power_w: int


@dataclass(frozen=True, slots=True)
class Fleet:
    """Every enrolled node that may serve a tenant, with its accelerators and what it promised."""

    nodes: tuple[Node, ...]
    cards: tuple[NodeAccelerator, ...]
    promised: tuple[Promised, ...]


def candidates(fleet: Fleet, model: str, *, market: Market, now_ms: int) -> tuple[Candidate, ...]:
    """Return every enrolled node as placement of this accelerator model sees it."""
    cards: dict[str, list[NodeAccelerator]] = {}
    for card in fleet.cards:
        if card.model == model:
            cards.setdefault(card.node_id, []).append(card)
    held = {one.node_id: one.accelerators for one in fleet.promised if one.model == model}
    site_of = {node.node_id: node.site_id for node in fleet.nodes}
    used_w = Counter[str]()
    for one in fleet.promised:
        used_w[site_of.get(one.node_id, "")] += one.power_w
    return tuple(
        Candidate(
            node_id=node.node_id,
            node_name=node.name,
            site_id=node.site_id,
            site_name=node.site_name,
            country=node.country,
            in_contact=is_heard(node.last_contact_at_ms, now_ms=now_ms),
            blocked_by=market.blocking.get(node.node_id),
            free=max(0, sum(card.healthy for card in own) - held.get(node.node_id, 0)),
            total=len(own),
            simulated=node.simulated,
            site_power_w=node.site_power_w,
            site_used_w=used_w[node.site_id],
        )
        for node in fleet.nodes
        for own in [cards.get(node.node_id, [])]
    )
