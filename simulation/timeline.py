"""The order in which everything happens: a queue of moments, and no other clock."""

import heapq
from collections.abc import Callable
from hashlib import sha256

KEPT_LINES_MAX = 200_000


class Timeline:
    """True time, and what is still to come.  Two things at one moment happen as they were put in.

    Every line that is told goes into the hash, so that two runs with one hash were one run.
    """

    def __init__(self, *, begin_ms: int) -> None:
        self.begin_ms = begin_ms
        self.now_ms = begin_ms
        self.steps = 0
        self.lines: list[tuple[int, str, str]] = []
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._hash = sha256()

    def at(self, at_ms: int, happening: Callable[[], None]) -> None:
        """Let it happen at a moment that is not past."""
        self._count += 1
        heapq.heappush(self._queue, (max(at_ms, self.now_ms), self._count, happening))

    def after(self, ms: int, happening: Callable[[], None]) -> None:
        """Let it happen in so many milliseconds."""
        self.at(self.now_ms + ms, happening)

    def run_until(self, end_ms: int) -> None:
        """Let everything up to a moment happen."""
        while self._queue and self._queue[0][0] <= end_ms:
            self.now_ms, _, happening = heapq.heappop(self._queue)
            self.steps += 1
            happening()
        self.now_ms = end_ms

    def tell(self, who: str, what: str) -> None:
        """Write down what happened."""
        self._hash.update(f"{self.now_ms} {who} {what}\n".encode())
        if len(self.lines) < KEPT_LINES_MAX:
            self.lines.append((self.now_ms, who, what))

    @property
    def digest(self) -> str:
        """Return the hash over everything that was told."""
        return self._hash.hexdigest()
