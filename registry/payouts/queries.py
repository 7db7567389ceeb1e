"""SQL of payouts, and of what sites earned."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, case, func, select, text, update

from protocol.clock import DAY_MS
from protocol.usage import GPU_MS
from registry.ledger.account_names import site_hold
from registry.payouts.earnings import StreamDay, StreamKey
from registry.payouts.sender import PayoutOrder
from registry.payouts.states import State
from registry.store.database import Db
from registry.store.tables.payouts import payout, payout_destination
from registry.store.tables.usage import usage_hour


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a site's share goes, and who brings it there."""

    sender: str
    destination: str


@dataclass(frozen=True, slots=True)
class Payout:
    """One payment to a site.

    account         the account of the ledger that pays
    sent_at_ms      when it was paid, None before
    returned_at_ms  when it failed or came back
    """

    payout_id: str
    site_id: str
    micros: int
    state: State
    sender: str
    account: str
    destination: str
    reference: str
    why: str
    created_at_ms: int
    sent_at_ms: int | None
    returned_at_ms: int | None

    @property
    def order(self) -> PayoutOrder:
        """What its sender is told."""
        return PayoutOrder(
            self.payout_id, self.site_id, self.micros, self.destination, self.created_at_ms
        )


def find_destination(db: Db, site_id: str) -> Destination | None:
    """Return where a site is paid."""
    row = db.row(select(payout_destination).where(payout_destination.c.site_id == site_id))
    return None if row is None else Destination(row.sender, row.destination)


def put_destination(db: Db, site_id: str, place: Destination, *, now_ms: int) -> None:
    """Let a site be paid there from now on."""
    db.upsert(
        payout_destination,
        ("site_id",),
        {
            "site_id": site_id,
            "sender": place.sender,
            "destination": place.destination,
            "changed_at_ms": now_ms,
        },
    )


def list_payable(db: Db, *, least: int, limit: int) -> list[tuple[str, int, Destination]]:
    """Return sites that hold at least so much, what they hold, and where they are paid."""
    rows = db.rows(
        text(
            """
            SELECT d.site_id, d.sender, d.destination, -a.balance AS micros
            FROM payout_destination AS d JOIN account AS a ON a.name = 'L:site:' || d.site_id
            WHERE -a.balance >= :least ORDER BY d.site_id LIMIT :limit
            """
        ),
        {"least": least, "limit": limit},
    )
    return [
        (row.site_id, int(row.micros), Destination(row.sender, row.destination)) for row in rows
    ]


def insert_payout(db: Db, made: Payout) -> None:
    """Add a payout."""
    db.write(
        payout.insert().values(
            payout_id=made.payout_id,
            site_id=made.site_id,
            micros=made.micros,
            state=made.state,
            sender=made.sender,
            account=made.account,
            destination=made.destination,
            reference=made.reference,
            why=made.why,
            created_at_ms=made.created_at_ms,
        )
    )


def find_payout(db: Db, payout_id: str) -> Payout | None:
    """Return the payout, or None."""
    row = db.row(select(payout).where(payout.c.payout_id == payout_id))
    return None if row is None else _payout(row)


def find_by_reference(db: Db, sender: str, reference: str) -> Payout | None:
    """Return the payout that its sender knows by this reference, or None."""
    row = db.row(select(payout).where(payout.c.sender == sender, payout.c.reference == reference))
    return None if row is None else _payout(row)


def latest_created_ms(db: Db, site_id: str) -> int | None:
    """Return when the last payout of a site was made that did not fail; None if none was."""
    found = db.value(
        select(func.max(payout.c.created_at_ms)).where(
            payout.c.site_id == site_id, payout.c.state.in_((State.PENDING, State.SENT))
        )
    )
    return None if found is None else int(found)


def list_payouts(
    db: Db, *, site_ids: Collection[str] | None = None, state: State | None = None, limit: int
) -> list[Payout]:
    """Return payouts, newest first: of these sites, in this state, where named."""
    newest_first = (payout.c.created_at_ms.desc(), payout.c.payout_id)
    wanted = select(payout).order_by(*newest_first).limit(limit)
    if site_ids is not None:
        wanted = wanted.where(payout.c.site_id.in_(sorted(site_ids)))
    if state is not None:
        wanted = wanted.where(payout.c.state == state)
    return [_payout(row) for row in db.rows(wanted)]


def list_waiting(db: Db, sender: str, *, limit: int) -> list[Payout]:
    """Return payouts that wait for this sender, in the order of their ids: by age."""
    wanted = (
        select(payout)
        .where(payout.c.state == State.PENDING, payout.c.sender == sender)
        .order_by(payout.c.payout_id)
        .limit(limit)
    )
    return [_payout(row) for row in db.rows(wanted)]


def list_every_payout(db: Db) -> list[Payout]:
    """Return all payouts, for a check of the books."""
    return [_payout(row) for row in db.rows(select(payout))]


def paid_out(db: Db, site_id: str) -> int:
    """Return what a site was paid so far."""
    return int(
        db.value(
            select(func.coalesce(func.sum(payout.c.micros), 0)).where(
                payout.c.site_id == site_id, payout.c.state == State.SENT
            )
        )
    )


def move_payout(
    db: Db,
    payout_id: str,
    *,
    before: State,
    after: State,
    reference: str,
    why: str,
    now_ms: int,
) -> bool:
    """Move a payout; False if it is not where it was."""
    values: dict[str, Any] = {"state": after, "why": why}
    if reference:
        values["reference"] = reference
    if after is State.SENT:
        values["sent_at_ms"] = now_ms
    else:
        values["returned_at_ms"] = now_ms
    return (
        db.write(
            update(payout)
            .where(payout.c.payout_id == payout_id, payout.c.state == before)
            .values(**values)
        )
        == 1
    )


def charged_before(
    db: Db, node_ids: Collection[str], *, from_ms: int, to_ms: int
) -> dict[StreamKey, int]:
    """Return what was charged before a time, of each stream with usage in it."""
    at = usage_hour.c
    active = select(at.owner_id).where(
        at.node_id.in_(sorted(node_ids)), at.hour_ms >= from_ms, at.hour_ms < to_ms
    )
    earlier = func.sum(case((at.hour_ms < from_ms, at.charged), else_=0))
    rows = db.rows(
        select(at.node_id, at.epoch, at.owner_id, at.meter, at.sku, earlier.label("micros"))
        .where(at.node_id.in_(sorted(node_ids)), at.owner_id.in_(active), at.hour_ms < to_ms)
        .group_by(at.node_id, at.epoch, at.owner_id, at.meter, at.sku)
    )
    return {_key(row): int(row.micros) for row in rows}


def charged_by_step(
    db: Db, node_ids: Collection[str], *, from_ms: int, to_ms: int, step_ms: int = DAY_MS
) -> list[StreamDay]:
    """Return what each stream came to in each day of a time, or in steps of another length."""
    at = usage_hour.c
    step = (at.hour_ms - at.hour_ms % step_ms).label("step_ms")
    rows = db.rows(
        select(
            at.node_id,
            at.epoch,
            at.owner_id,
            at.meter,
            at.sku,
            step,
            func.sum(at.quantity).label("quantity"),
            func.sum(at.charged).label("charged"),
        )
        .where(at.node_id.in_(sorted(node_ids)), at.hour_ms >= from_ms, at.hour_ms < to_ms)
        .group_by(at.node_id, at.epoch, at.owner_id, at.meter, at.sku, step)
        .order_by(step)
    )
    return [
        StreamDay(
            key=_key(row),
            at_ms=int(row.step_ms),
            quantity=int(row.quantity),
            charged=int(row.charged),
        )
        for row in rows
    ]


def gpu_time_by_hour(
    db: Db, node_ids: Collection[str], *, from_ms: int, to_ms: int
) -> dict[int, int]:
    """Return the GPU time that was sold in each hour of a time, hours without any left out."""
    at = usage_hour.c
    rows = db.rows(
        select(at.hour_ms, func.sum(at.quantity).label("quantity"))
        .where(
            at.node_id.in_(sorted(node_ids)),
            at.meter == GPU_MS,
            at.hour_ms >= from_ms,
            at.hour_ms < to_ms,
        )
        .group_by(at.hour_ms)
    )
    return {int(row.hour_ms): int(row.quantity) for row in rows}


def set_right_between(db: Db, site_id: str, *, from_ms: int, to_ms: int) -> int:
    """Return by how much operators set a site's share right in a time: below zero taken back."""
    return int(
        db.value(
            text(
                """
                SELECT COALESCE(SUM(-p.micros), 0) FROM journal AS j
                JOIN posting AS p ON p.journal_id = j.id AND p.account = :hold
                WHERE j.at_ms >= :from_ms AND j.at_ms < :to_ms AND (j.kind = 'right_entry'
                  OR j.kind = 'correction' AND j.src NOT LIKE 'adj:%')
                """
            ),
            {"hold": site_hold(site_id), "from_ms": from_ms, "to_ms": to_ms},
        )
    )


def clawed_back_between(db: Db, site_id: str, *, from_ms: int, to_ms: int) -> int:
    """Return what an operator took back of a site's matured share in a time."""
    return int(
        db.value(
            text(
                """
                SELECT COALESCE(SUM(a.micros), 0) FROM adjustment AS a
                WHERE a.kind = 'clawback' AND a.site_id = :site_id
                  AND a.at_ms >= :from_ms AND a.at_ms < :to_ms
                """
            ),
            {"site_id": site_id, "from_ms": from_ms, "to_ms": to_ms},
        )
    )


def _key(row: Row[Any]) -> StreamKey:
    return StreamKey(row.node_id, row.epoch, row.owner_id, row.meter, row.sku)


def _payout(row: Row[Any]) -> Payout:
    return Payout(
        payout_id=row.payout_id,
        site_id=row.site_id,
        micros=row.micros,
        state=State(row.state),
        sender=row.sender,
        account=row.account,
        destination=row.destination,
        reference=row.reference,
        why=row.why,
        created_at_ms=row.created_at_ms,
        sent_at_ms=row.sent_at_ms,
        returned_at_ms=row.returned_at_ms,
    )
