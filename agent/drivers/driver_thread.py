"""Calls into a library that may hang, on threads of their own and with a deadline.

A call that does not return cannot be ended from outside.  Its thread is left behind with it, and
the next call gets a fresh one, so that one broken card does not silence the others; a library that
hangs altogether is given up on after a few.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from protocol.refusal import Fault

THREADS_LEFT_BEHIND_MAX = 4

T = TypeVar("T")
Job = tuple[Callable[[], object], Future[object]]


class CallHung(Fault):
    """A call has not returned within its deadline.  It may still do so: see `is_over`."""

    def __init__(self, message: str, call: Future[object] | None = None) -> None:
        super().__init__(message)
        self._call = call

    def is_over(self) -> bool:
        """Whether the call came back after all, so that asking again makes sense."""
        return self._call is None or self._call.done()


class DriverThread:
    """One thread that makes one call at a time; another takes its place when a call hangs."""

    def __init__(self, name: str, *, deadline_ms: int) -> None:
        self._name = name
        self._deadline_ms = deadline_ms
        self._turn = asyncio.Lock()
        self._worker: _Worker | None = None
        self._left_behind: list[_Worker] = []

    async def call(self, function: Callable[[], T]) -> T:
        """Return what `function` returns or raises; raise CallHung after the deadline."""
        async with self._turn:
            self._left_behind = [worker for worker in self._left_behind if worker.is_alive()]
            if len(self._left_behind) >= THREADS_LEFT_BEHIND_MAX:
                raise CallHung(f"{self._name}: {len(self._left_behind)} calls have not returned")
            if self._worker is None:
                self._worker = _Worker(self._name)
                self._worker.start()
            call = self._worker.submit(function)
            try:
                async with asyncio.timeout(self._deadline_ms / 1000):
                    return await asyncio.wrap_future(call)
            except TimeoutError:
                self._worker.stop()
                self._left_behind.append(self._worker)
                self._worker = None
                message = f"{self._name}: no answer within {self._deadline_ms} ms"
                raise CallHung(message, _untyped(call)) from None

    def close(self) -> None:
        """End the thread once it is idle.  A hung one dies with the process."""
        if self._worker is not None:
            self._worker.stop()
            self._worker = None


class _Worker(threading.Thread):
    """A daemon, for the interpreter must be able to exit while a driver call hangs."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()

    def submit(self, function: Callable[[], T]) -> Future[T]:
        call: Future[T] = Future()
        self._jobs.put((function, _untyped(call)))
        return call

    def stop(self) -> None:
        self._jobs.put(None)

    def run(self) -> None:
        while (job := self._jobs.get()) is not None:
            function, call = job
            if not call.set_running_or_notify_cancel():
                continue
            try:
                answer = function()
            except BaseException as error:  # handed on whole to whoever awaits the call
                call.set_exception(error)
            else:
                call.set_result(answer)


def _untyped(call: Future[T]) -> Future[object]:
    """A future is read only by who made it, so that its type may be widened."""
    return call  # type: ignore[return-value]  # Future is invariant
