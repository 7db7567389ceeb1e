"""Writing and checking the audit; an event is written in the unit of the act it tells of."""

from collections.abc import Mapping
from typing import Protocol

from registry.audit import queries
from registry.audit.event import AuditEvent, ChainReport, chain_report, detail_text, event_hash
from registry.store.database import Db

DONE = "done"


class Acting(Protocol):
    """Who acts: `registry.tenants.roles.Actor`, as far as the audit looks."""

    @property
    def subject(self) -> str: ...
    @property
    def request_id(self) -> str: ...
    @property
    def source(self) -> str: ...


def record(
    db: Db,
    *,
    actor: Acting | str,
    action: str,
    object_id: str,
    tenant_id: str | None,
    now_ms: int,
    detail: Mapping[str, str | int] | None = None,
    result: str = DONE,
    on_behalf_of: str = "",
    request_id: str = "",
    source: str = "",
) -> None:
    """Add one event to the chain.

    actor  who acts in this request; or, where no person or key does, `registry` or a node's id
    """
    if not isinstance(actor, str):
        request_id, source = actor.request_id, actor.source
    last, head = queries.get_head(db)
    event = AuditEvent(
        sequence=last + 1,
        at_ms=now_ms,
        actor=actor if isinstance(actor, str) else actor.subject,
        on_behalf_of=on_behalf_of,
        action=action,
        object_id=object_id,
        tenant_id=tenant_id,
        result=result,
        request_id=request_id,
        source=source,
        detail=detail_text(detail or {}),
        previous_hash=head,
    )
    queries.insert_event(db, event, event_hash=event_hash(event))


def verify(db: Db) -> ChainReport:
    """Follow the whole chain and say where it breaks, if it does."""
    return chain_report(queries.list_chain(db))
