"""The registry's background work: one process acts, whatever the number of those that run.

Each work is one unit: bounded, the same when done again, and a failure of one never holds up the
others.  Which process acts is a row with an end: whoever holds it renews it, and another takes over
once it has run out.
"""

import logging
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from protocol.clock import DAY_MS, MINUTE_MS, SECOND_MS, Clock
from protocol.refusal import Fault, Refusal
from registry.accounts.queries import forget_old
from registry.adjustments.operations import expire_grants, mature_shares
from registry.app import wall_ms
from registry.config import Config, database_url
from registry.leases.operations import release_overdue
from registry.nodes.queries import forget_nonces
from registry.server.queries import forget_expired, hold_duty
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


JOBS = (
    Job("leases", MINUTE_MS, give_back_leases),
    Job("grants", MINUTE_MS, let_grants_expire),
    Job("shares", 10 * MINUTE_MS, let_shares_mature),
    Job("nonces", MINUTE_MS, forget_spent_nonces),
    Job("answers", 10 * MINUTE_MS, forget_answers),
    Job("sign_ins", DAY_MS // 4, forget_sign_ins),
)


class Duty:
    """Does each job when it is due, for as long as this process holds the duty."""

    def __init__(self, database: Database, *, holder: str, clock: Clock) -> None:
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
        due = [job for job in JOBS if now_ms - self._last(job) >= job.period_ms]
        return ", ".join(self._did(job, now_ms) for job in due) or NOTHING_DUE

    def _last(self, job: Job) -> int:
        return self._done_at_ms.get(job.name, 0)

    def _did(self, job: Job, now_ms: int) -> str:
        try:
            count = self._database.run(job.work, now_ms)
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
    duty = Duty(database, holder=holder, clock=wall_ms)
    try:
        while not stop.is_set():
            run_round(duty)
            stop.wait(STEP_MS / SECOND_MS)
    finally:
        database.close()


def run_round(duty: Duty) -> None:
    """Do one round; a database that is busy or away is there for the next one."""
    try:
        report = duty.once()
    except Refusal as refusal:
        log.error("jobs wait", extra={"why": str(refusal)}, exc_info=refusal.__cause__)
    else:
        log.log(logging.DEBUG if report in IDLE else logging.INFO, "jobs", extra={"report": report})
