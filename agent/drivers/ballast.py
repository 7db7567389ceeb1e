"""Room that is kept on the disk for the moment when there is none: a file that can be given up.

A node whose disk runs full must still write down what was used, that it sells no more, and why.
"""

import os
from pathlib import Path

from protocol.refusal import Fault

BALLAST_BYTES = 16 * 1024 * 1024
"""Enough for weeks of ticks of a busy node, and for the ends of everything that runs."""

SPARE_BYTES = 4 * BALLAST_BYTES
"""So much must be free before the room is taken again, or it would be given up at once."""


class Ballast:
    """A file of BALLAST_BYTES beside the store, as long as there is room for it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_held(self) -> bool:
        """Whether the room is kept."""
        return self._path.exists()

    def hold(self) -> bool:
        """Keep the room if there is enough; whether it is kept now."""
        if self.is_held():
            return True
        try:
            free = os.statvfs(self._path.parent)
            if free.f_bavail * free.f_frsize < SPARE_BYTES:
                return False
            draft = self._path.with_name(f"{self._path.name}.new")
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(handle, 0, BALLAST_BYTES)
            finally:
                os.close(handle)
            os.replace(draft, self._path)
        except OSError:
            return False
        return True

    def release(self) -> bool:
        """Give the room up; whether there was any to give."""
        try:
            self._path.unlink()
        except FileNotFoundError:
            return False
        except OSError as error:
            raise Fault(f"{self._path} cannot be removed: {error.strerror}.") from error
        return True
