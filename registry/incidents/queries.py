"""SQL of the findings."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, select, update

from protocol.health import Finding
from registry.store.database import Db
from registry.store.tables.incidents import finding


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """A finding that is open, and whose word it is."""

    node_id: str
    source: str
    code: str
    subject: str
    severity: str
    detail: str
    remedy: str
    since_ms: int


def list_open(
    db: Db, *, node_id: str | None = None, source: str | None = None
) -> list[OpenFinding]:
    """Return the open findings, critical first, then oldest first."""
    wanted: list[ColumnElement[bool]] = [finding.c.closed_at_ms.is_(None)]
    if node_id is not None:
        wanted.append(finding.c.node_id == node_id)
    if source is not None:
        wanted.append(finding.c.source == source)
    rows = db.execute(
        select(
            finding.c.node_id,
            finding.c.source,
            finding.c.code,
            finding.c.subject,
            finding.c.severity,
            finding.c.detail,
            finding.c.remedy,
            finding.c.since_ms,
        ).where(and_(*wanted))
    )
    order = {"critical": 0, "warning": 1, "info": 2}
    found = [OpenFinding(**row._mapping) for row in rows]
    return sorted(found, key=lambda one: (order[one.severity], one.since_ms, one.code))


def severities_by_node(db: Db) -> dict[str, list[str]]:
    """Return how bad each node's open findings are, by node id."""
    rows = db.rows(
        select(finding.c.node_id, finding.c.severity)
        .where(finding.c.closed_at_ms.is_(None))
        .distinct()
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.node_id, []).append(row.severity)
    return found


def insert_finding(db: Db, node_id: str, source: str, found: Finding, *, now_ms: int) -> None:
    """Open a finding."""
    db.execute(
        finding.insert().values(
            node_id=node_id,
            source=source,
            code=found.code,
            subject=found.subject,
            severity=found.severity,
            detail=found.detail,
            remedy=found.remedy,
            since_ms=found.since_ms,
            opened_at_ms=now_ms,
        )
    )


def change_finding(db: Db, node_id: str, source: str, found: Finding) -> None:
    """Bring the words of an open finding up to date; since when it holds stays."""
    db.execute(
        update(finding)
        .where(_is(node_id, source, found.code, found.subject))
        .values(severity=found.severity, detail=found.detail, remedy=found.remedy)
    )


def close_finding(
    db: Db, node_id: str, source: str, *, code: str, subject: str, now_ms: int
) -> bool:
    """Close an open finding; False if there was none."""
    closed = db.execute(
        update(finding).where(_is(node_id, source, code, subject)).values(closed_at_ms=now_ms)
    )
    return closed.rowcount > 0


def forget_closed(db: Db, node_id: str, source: str, *, keep: int) -> int:
    """Delete a node's findings that are over, but for the `keep` newest; return how many."""
    over = and_(
        finding.c.node_id == node_id,
        finding.c.source == source,
        finding.c.closed_at_ms.is_not(None),
    )
    newest = finding.c.finding_id.desc()
    last = db.value(select(finding.c.finding_id).where(over).order_by(newest).offset(keep).limit(1))
    if last is None:
        return 0
    return db.write(delete(finding).where(over, finding.c.finding_id <= last))


def _is(node_id: str, source: str, code: str, subject: str) -> ColumnElement[bool]:
    return and_(
        finding.c.node_id == node_id,
        finding.c.source == source,
        finding.c.code == code,
        finding.c.subject == subject,
        finding.c.closed_at_ms.is_(None),
    )
