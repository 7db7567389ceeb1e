"""The union of what nodes serve, as one key may use it."""

from collections.abc import Iterable
from dataclasses import dataclass

from protocol.observed import ServedModel
from protocol.price import Price
from registry.gateway import queries
from registry.store.database import Db


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
