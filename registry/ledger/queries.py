"""SQL of the ledger."""

from collections.abc import Iterable, Iterator

from sqlalchemy import RowMapping, select, text

from protocol.clock import DAY_MS
from registry.ledger.account_names import is_spendable, tenant_of, wallet
from registry.ledger.adjustments import Adjustment
from registry.ledger.balance import AccountRow, Balance, Line, TaxRate
from registry.ledger.postings import Journal, Purse
from registry.store.database import Db
from registry.store.tables.ledger import adjustment, tax_rate

LINES_MAX = 200
JOURNALS_PER_READ = 500


def find_journal(db: Db, src: str) -> Journal | None:
    """Return the journal with this business key."""
    row = db.row(text("SELECT * FROM journal WHERE src = :src"), {"src": src})
    if row is None:
        return None
    postings = db.rows(
        text("SELECT account, micros FROM posting WHERE journal_id = :id ORDER BY account"),
        {"id": row.id},
    )
    return _journal(row._mapping, tuple((one.account, one.micros) for one in postings))


def list_journals(db: Db) -> Iterator[tuple[int, Journal]]:
    """Return every journal with its id, oldest first, read in bounded parts."""
    after = 0
    while True:
        rows = db.rows(
            text("SELECT * FROM journal WHERE id > :after ORDER BY id LIMIT :most"),
            {"after": after, "most": JOURNALS_PER_READ},
        )
        if not rows:
            return
        found = db.rows(
            text(
                "SELECT journal_id, account, micros FROM posting "
                "WHERE journal_id BETWEEN :first AND :last ORDER BY journal_id, account"
            ),
            {"first": rows[0].id, "last": rows[-1].id},
        )
        legs: dict[int, list[tuple[str, int]]] = {}
        for one in found:
            legs.setdefault(one.journal_id, []).append((one.account, one.micros))
        for row in rows:
            yield row.id, _journal(row._mapping, tuple(legs.get(row.id, ())))
        after = rows[-1].id


def insert_journal(db: Db, journal: Journal) -> int | None:
    """Insert a journal; None, and nothing done, if its business key is there already."""
    rows = db.fetch(
        """
        INSERT INTO journal (src, kind, at_ms, ref, memo, meter, quantity)
        VALUES (:src, :kind, :at_ms, :ref, :memo, :meter, :quantity)
        ON CONFLICT (src) DO NOTHING RETURNING id
        """,
        {
            "src": journal.src,
            "kind": journal.kind,
            "at_ms": journal.at_ms,
            "ref": journal.ref,
            "memo": journal.memo,
            "meter": journal.meter,
            "quantity": journal.quantity,
        },
    )
    return int(rows[0][0]) if rows else None


def insert_postings(db: Db, journal_id: int, postings: Iterable[tuple[str, int]]) -> None:
    """Insert the postings of a journal and add them to the rows of their accounts."""
    legs = [
        {
            "journal_id": journal_id,
            "account": name,
            "micros": micros,
            "tenant_id": tenant_of(name),
            "spendable": int(is_spendable(name)),
        }
        for name, micros in postings
    ]
    db.put(
        """
        INSERT INTO account (name, tenant_id, spendable, balance, held, credit_limit)
        VALUES (:account, :tenant_id, :spendable, :micros, 0, 0)
        ON CONFLICT (name) DO UPDATE SET balance = account.balance + excluded.balance
        """,
        legs,
    )
    db.put(
        """
        INSERT INTO posting (journal_id, account, micros) VALUES (:journal_id, :account, :micros)
        """,
        legs,
    )


def get_balance(db: Db, tenant_id: str) -> Balance:
    """Return what a tenant has; all zero for one that never had anything."""
    ((wallet_micros, promo, owed, frozen, credit_limit, held),) = db.fetch(
        """
        SELECT COALESCE(SUM(CASE WHEN name LIKE 'L:wallet:%' THEN -balance END), 0),
            COALESCE(SUM(CASE WHEN name LIKE 'L:promo:%' THEN -balance END), 0),
            COALESCE(SUM(CASE WHEN name LIKE 'A:recv:%' THEN balance END), 0),
            COALESCE(SUM(CASE WHEN name LIKE 'L:frozen:%' THEN -balance END), 0),
            COALESCE(SUM(credit_limit), 0), COALESCE(SUM(held), 0)
        FROM account WHERE tenant_id = :tenant_id
        """,
        {"tenant_id": tenant_id},
    )
    return Balance(
        wallet=int(wallet_micros),
        promo=int(promo),
        owed=int(owed),
        credit_limit=int(credit_limit),
        held=int(held),
        frozen=int(frozen),
    )


def get_account(db: Db, name: str) -> int:
    """Return the sum of an account's postings, debits above zero; 0 for one that has none."""
    found = db.value(text("SELECT balance FROM account WHERE name = :name"), {"name": name})
    return 0 if found is None else int(found)


def get_purse(db: Db, tenant_id: str) -> Purse:
    """Return what a tenant can pay with, the grant that expires first coming first."""
    promos = db.fetch(
        """
        SELECT name, -balance FROM account
        WHERE tenant_id = :tenant_id AND name LIKE 'L:promo:%' AND balance < 0
        ORDER BY COALESCE(expires_at_ms, 9007199254740991), name
        """,
        {"tenant_id": tenant_id},
    )
    balance = get_balance(db, tenant_id)
    return Purse(
        tenant_id=tenant_id,
        promos=tuple((name, int(micros)) for name, micros in promos),
        wallet=balance.wallet,
        credit=balance.credit_limit - balance.owed,
    )


def change_held(db: Db, tenant_id: str, delta: int) -> bool:
    """Hold `delta` micros more, or fewer below zero; False, and nothing done, if a rise would
    promise more than is available."""
    changed = db.change(
        """
        UPDATE account SET held = held + :delta
        WHERE name = :wallet AND held + :delta >= 0 AND (:delta <= 0 OR
            held + :delta <= credit_limit + (
                SELECT -SUM(balance) FROM account AS purse
                WHERE purse.tenant_id = :tenant_id AND purse.spendable = 1))
        """,
        {"delta": delta, "wallet": wallet(tenant_id), "tenant_id": tenant_id},
    )
    return changed == 1


def change_credit_limit(db: Db, tenant_id: str, micros: int) -> None:
    """Give a tenant this credit limit."""
    name = wallet(tenant_id)
    db.execute(
        text(
            """
            INSERT INTO account (name, tenant_id, spendable, balance, held, credit_limit)
            VALUES (:name, :tenant_id, 1, 0, 0, :micros)
            ON CONFLICT (name) DO UPDATE SET credit_limit = excluded.credit_limit
            """
        ),
        {"name": name, "tenant_id": tenant_id, "micros": micros},
    )


def change_expiry(db: Db, account: str, expires_at_ms: int) -> None:
    """Let a promotional grant expire at this moment."""
    db.write(
        text("UPDATE account SET expires_at_ms = :at_ms WHERE name = :name"),
        {"at_ms": expires_at_ms, "name": account},
    )


def list_lines(
    db: Db, tenant_id: str, *, before_id: int | None = None, limit: int = 50
) -> list[Line]:
    """Return a tenant's lines, newest first, each with the balance after it.

    What only paid a debt from the wallet is no line: it changes nothing of the balance.

    before_id  the page begins with the first line older than this journal
    """
    assert 0 < limit <= LINES_MAX
    top = 2**63 - 1 if before_id is None else before_id
    newer = db.value(
        text(
            "SELECT COALESCE(SUM(-p.micros), 0) FROM posting AS p "
            "JOIN account AS a ON a.name = p.account "
            "WHERE a.tenant_id = :tenant_id AND a.spendable = 1 AND p.journal_id >= :top"
        ),
        {"tenant_id": tenant_id, "top": top},
    )
    rows = db.rows(
        text(
            """
            SELECT j.id, j.src, j.kind, j.at_ms, j.ref, j.memo, j.meter, j.quantity,
                   SUM(-p.micros) AS micros
            FROM posting AS p
            JOIN account AS a ON a.name = p.account
            JOIN journal AS j ON j.id = p.journal_id
            WHERE a.tenant_id = :tenant_id AND a.spendable = 1 AND p.journal_id < :top
              AND j.kind <> 'netting'
            GROUP BY j.id, j.src, j.kind, j.at_ms, j.ref, j.memo, j.meter, j.quantity
            ORDER BY j.id DESC LIMIT :limit
            """
        ),
        {"tenant_id": tenant_id, "top": top, "limit": limit},
    )
    lines = []
    after = get_balance(db, tenant_id).total - int(newer)
    for row in rows:
        lines.append(_line(row._mapping, balance_after=after))
        after -= lines[-1].micros
    return lines


def spend_by_day(db: Db, tenant_id: str, *, from_ms: int, to_ms: int) -> dict[int, int]:
    """Return what usage cost by UTC day on which it was posted, days without any left out."""
    rows = db.rows(
        text(
            """
            SELECT j.at_ms - j.at_ms % :day AS day_ms, SUM(p.micros) AS micros
            FROM posting AS p
            JOIN account AS a ON a.name = p.account
            JOIN journal AS j ON j.id = p.journal_id
            WHERE a.tenant_id = :tenant_id AND a.spendable = 1
              AND j.at_ms >= :from_ms AND j.at_ms < :to_ms
              AND (j.kind IN ('usage', 'right_entry') OR j.kind = 'correction'
                   AND (j.ref LIKE 'log:%' OR j.ref LIKE 'right:%'))
            GROUP BY j.at_ms - j.at_ms % :day ORDER BY day_ms
            """
        ),
        {"tenant_id": tenant_id, "day": DAY_MS, "from_ms": from_ms, "to_ms": to_ms},
    )
    return {int(row.day_ms): int(row.micros) for row in rows}


def list_accounts(db: Db) -> dict[str, AccountRow]:
    """Return every account by name."""
    rows = db.rows(text("SELECT name, tenant_id, spendable, balance, held FROM account"))
    return {
        row.name: AccountRow(
            name=row.name,
            tenant_id=row.tenant_id,
            spendable=row.spendable == 1,
            balance=row.balance,
            held=row.held,
        )
        for row in rows
    }


def insert_adjustment(db: Db, made: Adjustment) -> bool:
    """Keep an instruction; False, and nothing done, if its business key is there already."""
    return db.insert_new(
        adjustment,
        {
            "src": made.src,
            "kind": made.kind,
            "tenant_id": made.tenant_id,
            "site_id": made.site_id,
            "micros": made.micros,
            "tax_jurisdiction": made.tax.jurisdiction,
            "tax_micros": made.tax.micros,
            "share": made.share,
            "grant_name": made.grant,
            "expires_at_ms": made.expires_at_ms,
            "amounts": made.amounts,
            "ref": made.ref,
            "memo": made.memo,
            "at_ms": made.at_ms,
            "made_by": made.made_by,
        },
    )


def find_tax_rate(db: Db, tenant_id: str) -> TaxRate | None:
    """Return the tax that a tenant's payments hold, or None."""
    row = db.row(select(tax_rate).where(tax_rate.c.tenant_id == tenant_id))
    return None if row is None else TaxRate(row.jurisdiction, row.basis_points)


def _journal(row: RowMapping, postings: tuple[tuple[str, int], ...]) -> Journal:
    return Journal(
        src=row["src"],
        kind=row["kind"],
        at_ms=row["at_ms"],
        postings=postings,
        ref=row["ref"],
        memo=row["memo"],
        meter=row["meter"],
        quantity=row["quantity"],
    )


def _line(row: RowMapping, *, balance_after: int) -> Line:
    return Line(
        journal_id=row["id"],
        src=row["src"],
        kind=row["kind"],
        at_ms=row["at_ms"],
        ref=row["ref"],
        memo=row["memo"],
        meter=row["meter"],
        quantity=row["quantity"],
        micros=int(row["micros"]),
        balance_after=balance_after,
    )
