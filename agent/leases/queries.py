"""SQL of leases and of what work has set aside from them; each change is one guarded statement."""

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping

from agent.leases.gate import NodeLease
from agent.leases.till import Reservation
from agent.store.database import Db
from protocol.lease import LEASES_MAX, HeldLease, LeaseSpend
from protocol.money import Micros

COLUMNS = """
    lease_id, tenant_id, amount, spent, reserved, expires_at_boot_ms, boot_id, recalled, exhausted,
    closed
"""


def list_open_leases(db: Db) -> list[NodeLease]:
    """Return every lease that was not closed here."""
    return _leases(db.rows(f"SELECT {COLUMNS} FROM lease WHERE closed = 0 ORDER BY lease_id", {}))


def list_leases_of(db: Db, tenant_ids: Collection[str]) -> list[NodeLease]:
    """Return the open leases of these tenants."""
    rows = db.rows(
        f"""
        SELECT {COLUMNS} FROM lease
        WHERE closed = 0 AND tenant_id IN (SELECT value FROM json_each(:tenant_ids))
        ORDER BY lease_id
        """,
        {"tenant_ids": json.dumps(list(tenant_ids))},
    )
    return _leases(rows)


def list_unreferenced_leases(db: Db) -> list[NodeLease]:
    """Return the open leases of which no work has anything set aside."""
    rows = db.rows(
        f"""
        SELECT {COLUMNS} FROM lease
        WHERE closed = 0
            AND NOT EXISTS (SELECT 1 FROM reservation WHERE reservation.lease_id = lease.lease_id)
        ORDER BY lease_id
        """,
        {},
    )
    return _leases(rows)


def list_lease_spend(db: Db) -> list[LeaseSpend]:
    """Return what the registry should hear: the open leases, and closed ones that it still lists.

    The newest come first, should there be more than a message holds.
    """
    rows = db.rows(
        """
        SELECT lease_id, spent, reserved, closed FROM lease WHERE closed = 0 OR listed = 1
        ORDER BY closed, lease_id DESC LIMIT :max
        """,
        {"max": LEASES_MAX},
    )
    return [
        LeaseSpend(
            lease_id=row["lease_id"],
            spent=row["spent"],
            reserved=row["reserved"],
            closed=bool(row["closed"]),
        )
        for row in rows
    ]


def list_uncovered_since(db: Db, tenant_ids: Collection[str]) -> dict[str, int]:
    """Return, for tenants with work that no lease covers, since when by boottime."""
    rows = db.rows(
        """
        SELECT tenant_id, min(uncovered_since_boot_ms) AS since FROM reservation
        JOIN lease USING (lease_id)
        WHERE uncovered_since_boot_ms IS NOT NULL
            AND tenant_id IN (SELECT value FROM json_each(:tenant_ids))
        GROUP BY tenant_id
        """,
        {"tenant_ids": json.dumps(list(tenant_ids))},
    )
    return {row["tenant_id"]: row["since"] for row in rows}


def forget_listing(db: Db) -> None:
    """Take every open lease as recalled, before those of an answer are put."""
    db.write("UPDATE lease SET listed = 0, recalled = 1 WHERE closed = 0 OR listed = 1", {})


def put_lease(db: Db, lease: HeldLease, *, boot_id: str) -> None:
    """Keep a lease as the registry states it; what this node counted of it stays.

    An amount never falls below what is already promised to work, and a lease that was closed here
    stays closed.
    """
    db.write(
        """
        INSERT INTO lease (
            lease_id, tenant_id, amount, spent, reserved, expires_at_boot_ms, boot_id, recalled,
            closed, listed, exhausted
        )
        VALUES (
            :lease_id, :tenant_id, :amount, 0, 0, :expires_at_boot_ms, :boot_id, 0, 0, 1, 0
        )
        ON CONFLICT (lease_id) DO UPDATE
        SET amount = max(excluded.amount, spent + reserved), listed = 1,
            recalled = CASE closed WHEN 0 THEN 0 ELSE recalled END,
            exhausted = CASE WHEN excluded.amount > amount THEN 0 ELSE exhausted END,
            expires_at_boot_ms = excluded.expires_at_boot_ms, boot_id = excluded.boot_id
        WHERE tenant_id = excluded.tenant_id
        """,
        {
            "lease_id": lease.lease_id,
            "tenant_id": lease.tenant_id,
            "amount": lease.amount,
            "expires_at_boot_ms": lease.expires_at_boot_ms,
            "boot_id": boot_id,
        },
    )


def set_aside(
    db: Db, *, tenant_id: str, worst: int, boot_id: str, boot_ms: int
) -> HeldLease | None:
    """Set `worst` aside from the usable lease that ends first and has the room; None if none has.

    One statement, so that two pieces of work can never count on the same micro.
    """
    rows = db.rows(
        f"""
        UPDATE lease SET reserved = reserved + :worst
        WHERE lease_id = (
            SELECT lease_id FROM lease
            WHERE tenant_id = :tenant_id AND closed = 0 AND recalled = 0 AND exhausted = 0
                AND boot_id = :boot_id AND expires_at_boot_ms > :boot_ms
                AND amount - spent - reserved >= :worst
            ORDER BY expires_at_boot_ms, lease_id LIMIT 1
        )
        RETURNING {COLUMNS}
        """,
        {"worst": worst, "tenant_id": tenant_id, "boot_id": boot_id, "boot_ms": boot_ms},
    )
    return _leases(rows)[0].held if rows else None


def move_spent(db: Db, lease_id: int, *, worst: int, actual: int) -> bool:
    """Turn `worst` set aside into `actual` spent, at most what the lease still has.

    Usage beyond the lease is in the log all the same; the registry books it as overrun.
    """
    moved = db.write(
        """
        UPDATE lease
        SET reserved = reserved - :worst, spent = min(spent + :actual, amount - reserved + :worst)
        WHERE lease_id = :lease_id AND closed = 0 AND reserved >= :worst
        """,
        {"lease_id": lease_id, "worst": worst, "actual": actual},
    )
    return moved == 1


def move_closed(db: Db, lease_id: int) -> bool:
    """Close a lease of which nothing is set aside; False if it was closed or is in use."""
    moved = db.write(
        """
        UPDATE lease SET closed = 1
        WHERE lease_id = :lease_id AND closed = 0 AND reserved = 0
            AND NOT EXISTS (SELECT 1 FROM reservation WHERE reservation.lease_id = lease.lease_id)
        """,
        {"lease_id": lease_id},
    )
    return moved == 1


def find_reservation(db: Db, holder: str) -> tuple[int, int] | None:
    """Return the lease that backs `holder` and how much of it is set aside, or None."""
    row = db.row(
        "SELECT lease_id, worst FROM reservation WHERE holder = :holder", {"holder": holder}
    )
    return (row["lease_id"], row["worst"]) if row else None


def list_reservations(db: Db, holders: Collection[str]) -> dict[str, Reservation]:
    """Return what these pieces of work have set aside; those without any left out."""
    rows = db.rows(
        """
        SELECT holder, lease_id, worst, uncovered_since_boot_ms
        FROM json_each(:holders) AS wanted JOIN reservation ON holder = wanted.value
        """,
        {"holders": json.dumps(list(holders))},
    )
    return {
        row["holder"]: Reservation(row["lease_id"], row["worst"], row["uncovered_since_boot_ms"])
        for row in rows
    }


def update_counts(db: Db, leases: Iterable[NodeLease]) -> int:
    """Keep what was spent and set aside of open leases; return how many were still open."""
    return db.write_many(
        """
        UPDATE lease SET spent = :spent, reserved = :reserved, exhausted = :exhausted
        WHERE lease_id = :lease_id AND closed = 0
        """,
        [
            {
                "lease_id": lease.held.lease_id,
                "spent": lease.held.spent,
                "reserved": lease.held.reserved,
                "exhausted": int(lease.exhausted),
            }
            for lease in leases
        ],
    )


def put_reservations(db: Db, changed: Mapping[str, Reservation | None]) -> None:
    """Keep what backs pieces of work now; None for those that nothing backs any more."""
    db.write_many(
        "DELETE FROM reservation WHERE holder = :holder",
        [{"holder": holder} for holder, kept in changed.items() if kept is None],
    )
    db.write_many(
        """
        INSERT INTO reservation (holder, lease_id, worst, uncovered_since_boot_ms)
        VALUES (:holder, :lease_id, :worst, :since)
        ON CONFLICT (holder) DO UPDATE
        SET lease_id = excluded.lease_id, worst = excluded.worst,
            uncovered_since_boot_ms = excluded.uncovered_since_boot_ms
        """,
        [
            {
                "holder": holder,
                "lease_id": kept.lease_id,
                "worst": kept.worst,
                "since": kept.uncovered_since_boot_ms,
            }
            for holder, kept in changed.items()
            if kept is not None
        ],
    )


def insert_reservation(
    db: Db, holder: str, *, lease_id: int, worst: int, uncovered_since_boot_ms: int | None
) -> None:
    """Note which lease backs `holder`."""
    db.write(
        """
        INSERT INTO reservation (holder, lease_id, worst, uncovered_since_boot_ms)
        VALUES (:holder, :lease_id, :worst, :uncovered_since_boot_ms)
        """,
        {
            "holder": holder,
            "lease_id": lease_id,
            "worst": worst,
            "uncovered_since_boot_ms": uncovered_since_boot_ms,
        },
    )


def delete_reservation(db: Db, holder: str) -> bool:
    """Forget what backs `holder`."""
    return db.write("DELETE FROM reservation WHERE holder = :holder", {"holder": holder}) == 1


def find_newest_lease(db: Db, tenant_id: str) -> int | None:
    """Return the newest lease of the tenant, open ones first, or None."""
    row = db.row(
        """
        SELECT lease_id FROM lease WHERE tenant_id = :tenant_id
        ORDER BY closed, lease_id DESC LIMIT 1
        """,
        {"tenant_id": tenant_id},
    )
    return row["lease_id"] if row else None


def _leases(rows: list[sqlite3.Row]) -> list[NodeLease]:
    return [
        NodeLease(
            held=HeldLease(
                lease_id=row["lease_id"],
                tenant_id=row["tenant_id"],
                amount=Micros(row["amount"]),
                spent=Micros(row["spent"]),
                reserved=Micros(row["reserved"]),
                expires_at_boot_ms=row["expires_at_boot_ms"],
                closed=bool(row["closed"]),
            ),
            boot_id=row["boot_id"],
            recalled=bool(row["recalled"]),
            exhausted=bool(row["exhausted"]),
        )
        for row in rows
    ]
