"""Organizations whose balance is low and whose card may be charged: charged, one at a time."""

import logging

from protocol.ids import NewId
from registry.auto_top_up.operations import follow
from registry.auto_top_up.rule import MISSED
from registry.payments.provider import Payments, PaymentsAway, PaymentsRefused
from registry.payments.queries import list_auto_payers
from registry.settlement.operations import settle
from registry.store.database import Database

log = logging.getLogger(__name__)

PAYERS_PER_READ = 100
CHARGED_PER_PASS_MAX = 20


def charge_low(database: Database, payments: Payments, now_ms: int, *, new_id: NewId) -> int:
    """Charge the cards that are due; return how many were.

    A call that is lost leaves its row in flight: it is settled later, and until then none other is
    begun for that organization.
    """
    charged, after_id = 0, ""
    while charged < CHARGED_PER_PASS_MAX:
        with database.reading() as db:
            payers = list_auto_payers(db, after_id=after_id, limit=PAYERS_PER_READ)
        if not payers:
            break
        for payer in payers:
            row = database.run(follow, payer, now_ms=now_ms, new_id=new_id)
            if row is not None:
                charged += 1
                _charge(database, payments, row.top_up_id, now_ms=now_ms)
        after_id = payers[-1].tenant_id
    return charged


def _charge(database: Database, payments: Payments, top_up_id: str, *, now_ms: int) -> None:
    try:
        row = settle(database, payments, top_up_id, now_ms=now_ms)
        if row.state in MISSED and row.payment_id:
            # Nobody shall confirm it later, when another one has been made in its place.
            payments.cancel_payment(row.payment_id)
    except (PaymentsAway, PaymentsRefused) as trouble:
        log.warning("automatic top-up waits", extra={"top_up": top_up_id, "why": str(trouble)})
