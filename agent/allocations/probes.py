"""When a container that was started counts as ready, and when it is given up."""

from enum import StrEnum

from protocol.clock import SECOND_MS
from protocol.manifest import Probe

ATTEMPT_MS_MAX = 1_000
"""One attempt: longer than any answer on the same machine takes."""


class Readiness(StrEnum):
    """What an attempt comes to."""

    READY = "ready"
    WAITING = "waiting"
    GIVEN_UP = "given_up"


def readiness(probe: Probe, *, started_at_ms: int, answered: bool, now_ms: int) -> Readiness:
    """Return where a container stands after an attempt at `now_ms`.

    An answer counts even after the time allowed: the container is there, and working.
    """
    if answered:
        return Readiness.READY
    if now_ms - started_at_ms >= probe.timeout_s * SECOND_MS:
        return Readiness.GIVEN_UP
    return Readiness.WAITING
