"""SQL of grants that expire, shares that mature, and terms."""

from dataclasses import dataclass

from sqlalchemy import delete, func, select, text

from registry.ledger.account_names import SITE_SHARE, site_hold
from registry.ledger.adjustments import Adjustment
from registry.ledger.postings import Tax
from registry.store.database import Db
from registry.store.tables.ledger import adjustment, maturity, tax_rate


@dataclass(frozen=True, slots=True)
class ExpiredGrant:
    """A grant that is over and still holds something."""

    tenant_id: str
    grant: str
    left: int


def list_expired(db: Db, *, now_ms: int, limit: int) -> list[ExpiredGrant]:
    """Return grants that are over and still hold something, the one that ended first first."""
    rows = db.rows(
        text(
            """
            SELECT name, tenant_id, -balance AS micros FROM account
            WHERE name LIKE 'L:promo:%' AND balance < 0 AND expires_at_ms <= :now_ms
            ORDER BY expires_at_ms, name LIMIT :limit
            """
        ),
        {"now_ms": now_ms, "limit": limit},
    )
    return [ExpiredGrant(row.tenant_id, row.name.split(":", 3)[3], int(row.micros)) for row in rows]


def matured_through(db: Db) -> int:
    """Return up to where shares have matured; 0 if none have."""
    return int(db.value(select(func.max(maturity.c.through_ms))) or 0)


def list_maturities(db: Db) -> list[int]:
    """Return up to where shares matured each time, oldest first."""
    rows = db.rows(select(maturity.c.through_ms).order_by(maturity.c.through_ms))
    return [row.through_ms for row in rows]


def insert_maturity(db: Db, *, through_ms: int, now_ms: int) -> None:
    """Note that shares have matured up to here."""
    db.write(maturity.insert().values(through_ms=through_ms, at_ms=now_ms))


def first_share_ms(db: Db, *, from_ms: int) -> int | None:
    """Return when the first journal with a share from a moment on was posted, or None."""
    named = {"name": SITE_SHARE}
    if db.value(text("SELECT 1 FROM account WHERE name = :name"), named) is None:
        return None
    found = db.value(
        text(
            """
            SELECT j.at_ms FROM journal AS j
            JOIN posting AS p ON p.journal_id = j.id AND p.account = :share
            WHERE j.at_ms >= :from_ms AND j.kind IN ('usage', 'right_entry')
            ORDER BY j.at_ms LIMIT 1
            """
        ),
        {"from_ms": from_ms, "share": SITE_SHARE},
    )
    return None if found is None else int(found)


def shares_between(db: Db, *, from_ms: int, through_ms: int) -> dict[str, int]:
    """Return what each site earned by journals of [from_ms, through_ms), by site: less what was
    set right of them since."""
    window = {"from_ms": from_ms, "through_ms": through_ms}
    earned = db.rows(
        text(
            """
            SELECT p.account, SUM(-p.micros) AS micros FROM journal AS j
            JOIN posting AS p ON p.journal_id = j.id AND p.account LIKE 'L:sitehold:%'
            WHERE j.at_ms >= :from_ms AND j.at_ms < :through_ms
              AND j.kind IN ('usage', 'right_entry')
            GROUP BY p.account
            """
        ),
        window,
    )
    undone = db.rows(
        text(
            """
            SELECT p.account, SUM(-p.micros) AS micros FROM journal AS j
            JOIN journal AS o ON o.src = j.ref
            JOIN posting AS p ON p.journal_id = j.id AND p.account LIKE 'L:sitehold:%'
            WHERE j.kind = 'correction' AND o.at_ms >= :from_ms AND o.at_ms < :through_ms
            GROUP BY p.account
            """
        ),
        window,
    )
    prefix = site_hold("")
    sums: dict[str, int] = {}
    for row in (*earned, *undone):
        site_id = row.account.removeprefix(prefix)
        sums[site_id] = sums.get(site_id, 0) + int(row.micros)
    return {site_id: micros for site_id, micros in sorted(sums.items()) if micros}


def change_tax_rate(
    db: Db, tenant_id: str, *, jurisdiction: str, basis_points: int, now_ms: int
) -> None:
    """Let a tenant's payments hold this tax from now on; a rate of 0 ends it."""
    if basis_points == 0:
        db.write(delete(tax_rate).where(tax_rate.c.tenant_id == tenant_id))
        return
    db.upsert(
        tax_rate,
        ("tenant_id",),
        {
            "tenant_id": tenant_id,
            "jurisdiction": jurisdiction,
            "basis_points": basis_points,
            "changed_at_ms": now_ms,
        },
    )


def list_adjustments(db: Db) -> list[Adjustment]:
    """Return every instruction that was posted, in no order."""
    return [
        Adjustment(
            src=row.src,
            kind=row.kind,
            at_ms=row.at_ms,
            tenant_id=row.tenant_id,
            site_id=row.site_id,
            micros=row.micros,
            tax=Tax(row.tax_jurisdiction, row.tax_micros),
            share=row.share,
            grant=row.grant_name,
            expires_at_ms=row.expires_at_ms,
            amounts=row.amounts,
            ref=row.ref,
            memo=row.memo,
            made_by=row.made_by,
        )
        for row in db.rows(select(adjustment))
    ]


def find_kind(db: Db, src: str) -> str | None:
    """Return of which kind the instruction with this business key is, or None."""
    found = db.value(select(adjustment.c.kind).where(adjustment.c.src == src))
    return None if found is None else str(found)
