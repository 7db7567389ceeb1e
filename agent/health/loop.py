"""The background work that looks at the node and keeps the findings true."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from agent.health.check import Check, Outcome, findings, outcome
from agent.health.facts import Facts
from agent.health.queries import delete_finding, list_findings, put_finding
from agent.store.database import Db
from agent.store.thread import Store
from protocol.health import Finding

log = logging.getLogger(__name__)


class HealthWatch:
    """One pass: gather the facts, ask every check, store what opened, changed and closed.

    gather  returns the facts; a part of the machine that fails is a fact (`*_fault`), not an error
    """

    def __init__(
        self, store: Store, gather: Callable[[], Awaitable[Facts]], checks: Sequence[Check]
    ) -> None:
        self._store = store
        self._gather = gather
        self._checks = checks

    async def __call__(self) -> str:
        """Return a line for the status page."""
        facts = await self._gather()
        found = findings(self._checks, facts)
        after = await self._store.run(_stored, found)
        for finding in after.opened:
            log.warning("finding opened", extra={"code": finding.code, "subject": finding.subject})
        for finding in after.closed:
            log.info("finding closed", extra={"code": finding.code, "subject": finding.subject})
        critical = sum(finding.severity == "critical" for finding in after.standing)
        return (
            f"{len(after.standing)} findings, {critical} critical, "
            f"{len(after.opened)} opened, {len(after.closed)} closed"
        )


def _stored(db: Db, found: Sequence[Finding]) -> Outcome:
    """Bring the stored findings to what was found; one unit of work."""
    after = outcome(list_findings(db), found)
    for finding in after.standing:
        put_finding(db, finding)
    for finding in after.closed:
        delete_finding(db, code=finding.code, subject=finding.subject)
    return after
