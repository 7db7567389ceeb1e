"""Top-ups that nobody looks at: a payer who left, a webhook or an answer that never came."""

from protocol.clock import SECOND_MS
from registry.payments.checkout import TopUp, check_after_ms
from registry.payments.operations import note_trouble
from registry.payments.provider import Payments, PaymentsRefused
from registry.payments.queries import list_open
from registry.settlement.operations import settle
from registry.store.database import Database

OPEN_PER_PASS_MAX = 25
LOST_AFTER_MS = 30 * SECOND_MS
"""A call that began so long ago has ended: its row may be taken up by somebody else."""


def settle_open(database: Database, payments: Payments, now_ms: int) -> int:
    """Settle the open top-ups that nobody looked at for a while; return how many."""
    with database.reading() as db:
        least = check_after_ms(0)
        rows = list_open(db, checked_before_ms=now_ms - least, limit=OPEN_PER_PASS_MAX)
    due = [row for row in rows if _is_due(row, now_ms)]
    for row in due:
        try:
            settle(database, payments, row.top_up_id, now_ms=now_ms)
        except PaymentsRefused as refused:
            database.run(note_trouble, row.top_up_id, str(refused), now_ms=now_ms)
    return len(due)


def _is_due(row: TopUp, now_ms: int) -> bool:
    age_ms = now_ms - row.created_at_ms
    return now_ms - row.checked_at_ms >= check_after_ms(age_ms) and age_ms >= LOST_AFTER_MS
