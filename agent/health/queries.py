"""SQL of the findings that are open."""

from agent.store.database import Db
from protocol.health import Finding
from protocol.sync import FINDINGS_MAX


def list_findings(db: Db) -> list[Finding]:
    """Return what is wrong now, by code and subject."""
    rows = db.rows(
        """
        SELECT code, subject, severity, since_ms, detail, remedy FROM finding
        ORDER BY code, subject LIMIT :limit
        """,
        {"limit": FINDINGS_MAX},
    )
    return [
        Finding(
            code=row["code"],
            severity=row["severity"],
            subject=row["subject"],
            since_ms=row["since_ms"],
            detail=row["detail"],
            remedy=row["remedy"],
        )
        for row in rows
    ]


def put_finding(db: Db, finding: Finding) -> None:
    """Note that `finding` is open, with these words; one that was open keeps its `since_ms`."""
    db.write(
        """
        INSERT INTO finding (code, subject, severity, since_ms, detail, remedy)
        VALUES (:code, :subject, :severity, :since_ms, :detail, :remedy)
        ON CONFLICT (code, subject) DO UPDATE
        SET severity = excluded.severity, detail = excluded.detail, remedy = excluded.remedy
        """,
        {
            "code": finding.code,
            "subject": finding.subject,
            "severity": finding.severity,
            "since_ms": finding.since_ms,
            "detail": finding.detail,
            "remedy": finding.remedy,
        },
    )


def delete_finding(db: Db, *, code: str, subject: str) -> bool:
    """Note that this is well again; False if it was already."""
    gone = db.write(
        "DELETE FROM finding WHERE code = :code AND subject = :subject",
        {"code": code, "subject": subject},
    )
    return gone == 1
