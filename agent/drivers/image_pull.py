"""One image on its way here, on a thread of its own, so that nothing else waits behind it."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

from agent.allocations.runtime import EngineFault

PULLS_MAX = 3
"""At a time on one node."""

LAYERS_MAX = 512
MESSAGE_CHARACTERS_MAX = 200

Event = dict[str, Any]
"""One line of the engine's progress, which has no types."""

MISSING = ("not found", "manifest unknown", "name unknown", "does not exist")
FALSE_DIGEST = ("verification failed", "did not match", "unexpected commit digest")


class ImagePull:
    """Begins at once.

    events  yields the engine's progress; raises EngineFault when the pull breaks off
    """

    def __init__(self, events: Callable[[], Iterator[Event]]) -> None:
        self._events = events
        self._layers: dict[str, tuple[int, int]] = {}
        self._failure: EngineFault | None = None
        self._thread = threading.Thread(target=self._run, name="image pull", daemon=True)
        self._thread.start()

    def is_over(self) -> bool:
        """Whether it has ended, well or not."""
        return not self._thread.is_alive()

    def detail(self) -> str:
        """Return how far it is, for people."""
        layers = list(self._layers.values())
        total = sum(size for _, size in layers)
        if total == 0:
            return "asking the registry"
        here = sum(min(current, size) for current, size in layers)
        return f"{100 * here // total} % of {len(layers)} layers"

    def raise_failure(self) -> None:
        """Raise why it failed, if it did."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            for event in self._events():
                self._note(event)
        except EngineFault as fault:
            self._failure = fault

    def _note(self, event: Event) -> None:
        if "error" in event:
            raise pull_fault(str(event["error"]))
        progress = event.get("progressDetail") or {}
        current, total = progress.get("current"), progress.get("total")
        known = event.get("id") in self._layers or len(self._layers) < LAYERS_MAX
        if event.get("status") == "Downloading" and known and isinstance(total, int):
            self._layers[str(event.get("id"))] = (int(current or 0), total)


def pull_fault(said: str) -> EngineFault:
    """Return what the engine's words about a pull come to."""
    message = " ".join(said.split())[:MESSAGE_CHARACTERS_MAX]
    if any(words in said for words in FALSE_DIGEST):
        return EngineFault("image_digest_mismatch", message)
    if any(words in said for words in MISSING):
        return EngineFault("image_missing", message)
    return EngineFault("image_pull_failed", message)
