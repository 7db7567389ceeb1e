"""The union of what nodes serve, as one key may use it."""

from collections.abc import Iterable
from dataclasses import dataclass

from protocol.observed import ServedModel
from protocol.price import Price, price_at
from registry.access.endpoints import Endpoint
from registry.catalogue.queries import list_prices, list_skus
from registry.gateway import queries
from registry.nodes.node import Node
from registry.nodes.queries import list_nodes
from registry.nodes.standing import is_heard
from registry.sites.countries import COUNTRIES
from registry.store.database import Db

API_PATH = "/v1"
"""Where a node's gateway answers as the OpenAI API does."""


@dataclass(frozen=True, slots=True)
class OfferedModel:
    """A model that somebody sells: where it is ready, and what a token costs.

    prices  the version in force for each meter
    """

    name: str
    owned_by: str
    context_tokens: int | None
    node_ids: tuple[str, ...]
    prices: tuple[Price, ...]


@dataclass(frozen=True, slots=True)
class ServingNode:
    """A node that is in contact, and where it answers calls; empty where it does not say."""

    node: Node
    base_url: str


@dataclass(frozen=True, slots=True)
class CallableModel:
    """A model that may be called now, with the nodes that serve it."""

    model: OfferedModel
    serving: tuple[ServingNode, ...]


def record_models(db: Db, node_id: str, models: Iterable[ServedModel], *, now_ms: int) -> None:
    """Note which models a node serves."""
    queries.replace_models(db, node_id, models, seen_at_ms=now_ms)


def offered_models(
    db: Db, *, allowed: Iterable[str], online: frozenset[str], prices: Iterable[Price]
) -> list[OfferedModel]:
    """Return the models that are ready on an online node, priced, and open to the key.

    allowed  names the key may call; empty for all
    online   ids of the nodes that are in contact
    """
    names = frozenset(allowed)
    priced: dict[str, list[Price]] = {}
    for price in prices:
        priced.setdefault(price.sku, []).append(price)
    serving: dict[str, list[queries.ModelOnNode]] = {}
    for model in queries.list_models(db):
        if model.ready and model.node_id in online and model.name in priced:
            serving.setdefault(model.name, []).append(model)
    return [
        OfferedModel(
            name=name,
            owned_by=nodes[0].owned_by,
            context_tokens=min(
                (node.context_tokens for node in nodes if node.context_tokens), default=None
            ),
            node_ids=tuple(node.node_id for node in nodes),
            prices=tuple(priced[name]),
        )
        for name, nodes in serving.items()
        if not names or name in names
    ]


def callable_models(
    db: Db, tenant_id: str, *, allowed: Iterable[str], now_ms: int
) -> list[CallableModel]:
    """Return what a tenant's key may call at this moment, and where.

    allowed  models of the key; empty for every model
    """
    nodes = {
        node.node_id: node
        for node in list_nodes(db, serving=tenant_id)
        if _serves(node, now_ms=now_ms)
    }
    prices = _prices_in_force(db, now_ms=now_ms)
    offered = offered_models(db, allowed=allowed, online=frozenset(nodes), prices=prices)
    return [
        CallableModel(
            model,
            tuple(ServingNode(nodes[at], base_url_of(nodes[at])) for at in model.node_ids),
        )
        for model in offered
    ]


def endpoints(db: Db, tenant_id: str, allowed: Iterable[str], now_ms: int) -> tuple[Endpoint, ...]:
    """Return the gateways that serve what a tenant's key may call, with their models, by name."""
    models: dict[str, list[str]] = {}
    nodes: dict[str, ServingNode] = {}
    for found in callable_models(db, tenant_id, allowed=allowed, now_ms=now_ms):
        for one in found.serving:
            if one.base_url:
                nodes[one.node.node_id] = one
                models.setdefault(one.node.node_id, []).append(found.model.name)
    named = sorted(nodes.items(), key=lambda item: (item[1].node.name, item[0]))
    return tuple(
        Endpoint(
            base_url=one.base_url,
            node=one.node.name,
            place=f"{one.node.city}, {COUNTRIES.get(one.node.country, one.node.country)}",
            models=tuple(models[node_id]),
        )
        for node_id, one in named
    )


def base_url_of(node: Node) -> str:
    """Return what a program calls as its base URL."""
    return f"{node.gateway_url}{API_PATH}" if node.gateway_url else ""


def _serves(node: Node, *, now_ms: int) -> bool:
    is_known = node.public_key is not None and not node.revoked
    is_one = node.fenced_at_ms is None
    return is_known and is_one and is_heard(node.last_contact_at_ms, now_ms=now_ms)


def _prices_in_force(db: Db, *, now_ms: int) -> list[Price]:
    models = [sku.sku_id for sku in list_skus(db) if sku.active and sku.sku_class == "model"]
    prices = list_prices(db, models)
    in_force = (
        price_at(prices, sku=sku, meter=meter, at_ms=now_ms)
        for sku, meter in sorted({(price.sku, price.meter) for price in prices})
    )
    return [price for price in in_force if price is not None]
