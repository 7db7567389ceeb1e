"""Mails about money that wait to be handed over."""

import logging

from protocol.clock import HOUR_MS, MINUTE_MS
from protocol.refusal import Fault
from registry.accounts.letters import Mail
from registry.balances.queries import change_letter, list_waiting_letters
from registry.store.database import Database

log = logging.getLogger(__name__)

LETTERS_PER_PASS_MAX = 20

AGAIN_MS = (MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 6 * HOUR_MS, 12 * HOUR_MS)
"""How long after each try the next one is; after the last, none."""


def send_letters(database: Database, mail: Mail, now_ms: int) -> int:
    """Hand over the mails that are due; return how many were taken.

    The next try is written down before the first: a process that dies in between leaves a mail
    that is sent a minute later, and at worst twice.
    """
    with database.reading() as db:
        waiting = list_waiting_letters(db, now_ms=now_ms, limit=LETTERS_PER_PASS_MAX)
    sent = 0
    for one in waiting:
        later = AGAIN_MS[one.tries] if one.tries < len(AGAIN_MS) else None
        database.run(
            change_letter,
            one.letter_id,
            tries=one.tries + 1,
            next_at_ms=None if later is None else now_ms + later,
            sent_at_ms=None,
        )
        try:
            mail.send(one.letter)
        except Fault as fault:
            log.warning("mail waits", extra={"letter": one.letter_id, "why": str(fault)})
            continue
        database.run(
            change_letter, one.letter_id, tries=one.tries + 1, next_at_ms=None, sent_at_ms=now_ms
        )
        sent += 1
    return sent
