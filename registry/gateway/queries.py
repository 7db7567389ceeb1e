"""SQL of the served models."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import delete, select

from protocol.observed import ServedModel
from registry.store.database import Db
from registry.store.tables.gateway import served_model


@dataclass(frozen=True, slots=True)
class ModelOnNode:
    """A model as one node serves it."""

    node_id: str
    name: str
    ready: bool
    context_tokens: int | None
    owned_by: str
    seen_at_ms: int


def list_models(db: Db, *, node_id: str | None = None) -> list[ModelOnNode]:
    """Return every model on every node, or on one, by name."""
    wanted = select(served_model).order_by(served_model.c.name, served_model.c.node_id)
    if node_id is not None:
        wanted = wanted.where(served_model.c.node_id == node_id)
    return [
        ModelOnNode(
            node_id=row.node_id,
            name=row.name,
            ready=bool(row.ready),
            context_tokens=row.context_tokens,
            owned_by=row.owned_by,
            seen_at_ms=row.seen_at_ms,
        )
        for row in db.execute(wanted)
    ]


def replace_models(db: Db, node_id: str, models: Iterable[ServedModel], *, seen_at_ms: int) -> None:
    """Make the node's models those it just reported."""
    db.execute(delete(served_model).where(served_model.c.node_id == node_id))
    rows = [
        {
            "node_id": node_id,
            "name": model.name,
            "ready": int(model.ready),
            "context_tokens": model.context_tokens,
            "owned_by": model.owned_by,
            "seen_at_ms": seen_at_ms,
        }
        for model in {model.name: model for model in models}.values()
    ]
    if rows:
        db.execute(served_model.insert(), rows)
