"""The store of a running node: every unit of work on one thread, in the order of the calls."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import BoundedSemaphore
from typing import Concatenate, ParamSpec, TypeVar

from agent.store.database import Db, open_database, sole_owner
from agent.store.migrate import migrate, read_steps
from protocol.refusal import Refusal

P = ParamSpec("P")
T = TypeVar("T")

WAITING_UNITS_MAX = 4_096


class Store:
    """Runs operations, each as one unit of work, never two at a time.

    An operation takes a `Db` first and must not wait for anything but the disk.  When `run` or
    `run_now` has returned, what the operation wrote is on the disk.
    """

    def __init__(self, path: Path) -> None:
        """Own, open and migrate the file; raises a `Fault` with one sentence for the operator."""
        self._room = BoundedSemaphore(WAITING_UNITS_MAX)
        with ExitStack() as resources:
            resources.enter_context(sole_owner(path))
            self._db = open_database(path)
            resources.callback(self._db.close)
            migrate(self._db, read_steps())
            self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
            resources.callback(self._thread.shutdown)
            self._resources = resources.pop_all()

    async def run(
        self, operation: Callable[Concatenate[Db, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Return what `operation(db, …)` returned; after any error of it nothing was written.

        A caller that is cancelled meanwhile does not undo the unit: it may be kept all the same.
        """
        return await asyncio.wrap_future(self._submit(lambda db: operation(db, *args, **kwargs)))

    def run_now(
        self, operation: Callable[Concatenate[Db, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Do as `run` does where no event loop runs: commands and tests."""
        return self._submit(lambda db: operation(db, *args, **kwargs)).result()

    def close(self) -> None:
        """Finish the units that wait, then let go of the file."""
        self._resources.close()

    def __enter__(self) -> "Store":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _submit(self, operation: Callable[[Db], T]) -> "Future[T]":
        if not self._room.acquire(blocking=False):
            raise Refusal(
                code="store_busy",
                status=503,
                message="The node has more to write than its disk takes.",
                hint="Try again in a moment, or use another node.",
                retry_after_s=1,
            )
        unit = self._thread.submit(self._unit, operation)
        unit.add_done_callback(lambda _: self._room.release())
        return unit

    def _unit(self, operation: Callable[[Db], T]) -> T:
        with self._db.unit() as db:
            return operation(db)
