"""Hands waiting payouts to whoever pays, and notes what they say; asks outside of any unit."""

import logging
from collections.abc import Mapping

from protocol.refusal import Fault
from registry.payouts import queries
from registry.payouts.operations import note_answer
from registry.payouts.sender import PayoutSender
from registry.payouts.states import State
from registry.store.database import Database

log = logging.getLogger(__name__)

SENT_PER_PASS_MAX = 50


def send_waiting(database: Database, senders: Mapping[str, PayoutSender], now_ms: int) -> int:
    """Send the payouts that wait, the oldest first; return how many moved.

    One that its sender can't take now stays for the next pass and holds up no other.
    """
    count = 0
    for name, sender in sorted(senders.items()):
        with database.reading() as db:
            waiting = queries.list_waiting(db, name, limit=SENT_PER_PASS_MAX)
        for payout in waiting:
            try:
                answer = sender.send(payout.order)
            except Fault as fault:
                log.error("payout waits", extra={"payout": payout.payout_id, "why": str(fault)})
                continue
            state = database.run(note_answer, payout.payout_id, answer, now_ms=now_ms)
            count += state is not State.PENDING
    return count
