"""The machine has one firewall: tests that need our rules in it share them."""

import fcntl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = Path(tempfile.gettempdir()) / "outstation-tests-firewall.lock"


@contextmanager
def sharing_the_firewall() -> Iterator[Callable[[], bool]]:
    """Be counted among those that need the rules; gives the question whether nobody else does.

    Who is told yes holds the rules alone until it is done: nobody else begins to need them.
    """
    with LOCK.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)

        def is_alone() -> bool:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            return True

        yield is_alone
