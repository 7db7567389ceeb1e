"""The registry's background work: one process acts, whatever the number of those that run.

Each work is one unit: bounded, the same when done again, and a failure of one never holds up the
others.  Which process acts is a row with an end: whoever holds it renews it, and another takes over
once it has run out.
"""

import logging
import secrets
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import FrameType

from protocol.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS, Clock
from protocol.ids import ENTROPY_BYTES, new_id
from protocol.refusal import Fault, Refusal
from registry.accounts.letters import Mail
from registry.accounts.queries import forget_old
from registry.adjustments.operations import expire_grants, mature_shares
from registry.app import mail_of, payments_of, payout_senders, wall_ms
from registry.auto_top_up.loop import charge_low
from registry.balances.loop import send_letters
from registry.balances.operations import follow_due, resume_when_funded
from registry.config import Config, database_url
from registry.leases.operations import release_overdue
from registry.nodes.queries import forget_nonces
from registry.payment_events.loop import work_on_waiting
from registry.payments.provider import Payments
from registry.payouts.loop import send_waiting
from registry.payouts.operations import start_payouts
from registry.payouts.sender import PayoutSender
from registry.reconciliation.loop import reconcile
from registry.reconciliation.operations import freeze_disputing
from registry.refunds.loop import follow_disputes, send_asked
from registry.server.queries import forget_expired, hold_duty
from registry.settlement.loop import settle_open
from registry.store.database import Database, Db
from registry.store.migrate import check_schema

log = logging.getLogger(__name__)

DUTY = "jobs"
DUTY_MS = MINUTE_MS
"""How long the acting process may be silent before another takes over."""

STEP_MS = 5 * SECOND_MS
OTHER_ACTS = "another process acts"
NOTHING_DUE = "nothing is due"
IDLE = frozenset({OTHER_ACTS, NOTHING_DUE})
"""Reports that would only fill the log."""

SIGN_INS_KEPT_MS = 30 * DAY_MS


@dataclass(frozen=True, slots=True)
class Job:
    """A work and its period.  `work` takes an open unit and the time; returns what it did."""

    name: str
    period_ms: int
    work: Callable[[Db, int], int]


@dataclass(frozen=True, slots=True)
class Errand:
    """A work that asks the outside between its units, which it begins itself."""

    name: str
    period_ms: int
    work: Callable[[Database, int], int]


def give_back_leases(db: Db, now_ms: int) -> int:
    """Give back the holds of leases of which nothing was heard for too long."""
    return release_overdue(db, now_ms=now_ms)


def forget_spent_nonces(db: Db, now_ms: int) -> int:
    """Forget nonces whose signatures nobody would read any more."""
    return forget_nonces(db, now_ms=now_ms)


def forget_answers(db: Db, now_ms: int) -> int:
    """Forget answers kept for requests that might have been sent twice."""
    return forget_expired(db, now_ms=now_ms)


def forget_sign_ins(db: Db, now_ms: int) -> int:
    """Forget sign-in links and sessions that ended long ago."""
    return forget_old(db, before_ms=now_ms - SIGN_INS_KEPT_MS)


def let_grants_expire(db: Db, now_ms: int) -> int:
    """Let promotional grants that are over expire."""
    return expire_grants(db, now_ms=now_ms)


def let_shares_mature(db: Db, now_ms: int) -> int:
    """Let what sites earned be paid out once its dispute window is over."""
    return mature_shares(db, now_ms=now_ms)


def freeze_who_disputes(database: Database, _payments: Payments, now_ms: int) -> int:
    """Recall the leases of whoever disputes a payment, and let them work when that is over."""
    return database.run(freeze_disputing, now_ms=now_ms)


def charge_low_balances(database: Database, payments: Payments, now_ms: int) -> int:
    """Charge the kept cards of organizations whose balance is below their threshold."""
    return charge_low(database, payments, now_ms, new_id=_new_id)


PAYMENT_WORKS = (
    ("webhooks", STEP_MS, work_on_waiting),
    ("top_ups", STEP_MS, settle_open),
    ("refunds", STEP_MS, send_asked),
    ("disputes", 10 * MINUTE_MS, follow_disputes),
    ("freezing", STEP_MS, freeze_who_disputes),
    ("auto_top_ups", 3 * STEP_MS, charge_low_balances),
    ("reconciliation", MINUTE_MS, reconcile),
)

JOBS = (
    Job("leases", MINUTE_MS, give_back_leases),
    Job("grants", MINUTE_MS, let_grants_expire),
    Job("shares", 10 * MINUTE_MS, let_shares_mature),
    Job("nonces", MINUTE_MS, forget_spent_nonces),
    Job("answers", 10 * MINUTE_MS, forget_answers),
    Job("sign_ins", DAY_MS // 4, forget_sign_ins),
)


def payment_errands(payments: Payments | None) -> tuple[Errand, ...]:
    """Return what is done about payments by card; nothing where no processor is set up."""
    if payments is None:
        return ()
    return tuple(
        Errand(name, period_ms, partial(_with, work, payments))
        for name, period_ms, work in PAYMENT_WORKS
    )


def _with(
    work: Callable[[Database, Payments, int], int], payments: Payments, database: Database, at: int
) -> int:
    return work(database, payments, at)


def balance_errands(mail: Mail, base_url: str) -> tuple[Errand, ...]:
    """Return what is done about balances: their states are followed, and what changed is mailed."""

    def watch(database: Database, now_ms: int) -> int:
        return database.run(
            follow_due, base_url=base_url, now_ms=now_ms, on_edge=resume_when_funded
        )

    def send(database: Database, now_ms: int) -> int:
        return send_letters(database, mail, now_ms)

    return Errand("balances", STEP_MS, watch), Errand("letters", STEP_MS, send)


def payout_errands(senders: Mapping[str, PayoutSender]) -> tuple[Errand, ...]:
    """Return what is done about payouts: they are made, and handed to whoever pays."""
    accounts = {name: sender.account for name, sender in senders.items()}

    def start(database: Database, now_ms: int) -> int:
        made = database.run(start_payouts, accounts=accounts, now_ms=now_ms, new_id=_new_id)
        return len(made)

    def send(database: Database, now_ms: int) -> int:
        return send_waiting(database, senders, now_ms)

    return Errand("payouts", HOUR_MS, start), Errand("payouts_sent", MINUTE_MS, send)


class Duty:
    """Does each job when it is due, for as long as this process holds the duty."""

    def __init__(
        self, database: Database, *, holder: str, clock: Clock, errands: tuple[Errand, ...] = ()
    ) -> None:
        self._errands = errands
        self._database = database
        self._holder = holder
        self._clock = clock
        self._done_at_ms: dict[str, int] = {}

    def once(self) -> str:
        """Do what is due now; return a line about it."""
        now_ms = self._clock()
        holds = self._database.run(
            hold_duty, DUTY, holder=self._holder, until_ms=now_ms + DUTY_MS, now_ms=now_ms
        )
        if not holds:
            return OTHER_ACTS
        works: tuple[Job | Errand, ...] = (*JOBS, *self._errands)
        due = [one for one in works if now_ms - self._last(one) >= one.period_ms]
        return ", ".join(self._did(job, now_ms) for job in due) or NOTHING_DUE

    def _last(self, job: Job | Errand) -> int:
        return self._done_at_ms.get(job.name, 0)

    def _did(self, job: Job | Errand, now_ms: int) -> str:
        try:
            if isinstance(job, Job):
                count = self._database.run(job.work, now_ms)
            else:
                count = job.work(self._database, now_ms)
        except (Fault, Refusal) as failure:
            log.error("job failed", extra={"job": job.name, "why": str(failure)})
            return f"{job.name} failed"
        self._done_at_ms[job.name] = now_ms
        return f"{job.name} {count}"


def run_jobs(config: Config, *, holder: str) -> None:
    """Do the jobs until SIGTERM or Ctrl-C."""
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    database = Database(database_url(config))
    check_schema(database)
    errands = (
        *payment_errands(payments_of(config)),
        *balance_errands(mail_of(config), config.base_url),
        *payout_errands(payout_senders(config)),
    )
    duty = Duty(database, holder=holder, clock=wall_ms, errands=errands)
    try:
        while not stop.is_set():
            run_round(duty)
            stop.wait(STEP_MS / SECOND_MS)
    finally:
        database.close()


def _new_id(kind: str) -> str:
    return new_id(kind, now_ms=wall_ms(), entropy=secrets.token_bytes(ENTROPY_BYTES))


def run_round(duty: Duty) -> None:
    """Do one round; a database that is busy or away is there for the next one."""
    try:
        report = duty.once()
    except Refusal as refusal:
        log.error("jobs wait", extra={"why": str(refusal)}, exc_info=refusal.__cause__)
    else:
        log.log(logging.DEBUG if report in IDLE else logging.INFO, "jobs", extra={"report": report})
