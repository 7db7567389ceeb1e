"""Notices to workloads as files in folders of the node's own, mounted read-only into containers."""

import os
import shutil
from pathlib import Path

from agent.allocations.notices import NOTICE_NAME
from protocol.ids import is_id
from protocol.refusal import Fault

FOLDER_MODE = 0o755
FILE_MODE = 0o644
"""A workload has a user id of its own and must be able to read."""


class NoticeFiles:
    """Speaks `agent.allocations.notices.Notices`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self, allocation_id: str) -> None:
        """Make the folder of an allocation; one that is there stays as it is."""
        place = self._place(allocation_id)
        try:
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(FOLDER_MODE)
        except OSError as error:
            raise Fault(f"notices in {place}: {error}") from error

    def put(self, allocation_id: str, text: str | None) -> bool:
        """Put this notice there, whole or not at all; False if it stood so already."""
        place = self._place(allocation_id)
        file, draft = place / NOTICE_NAME, place / f".{NOTICE_NAME}"
        try:
            if not place.is_dir():
                return False
            before = file.read_text() if file.exists() else None
            if before == text:
                return False
            if text is None:
                file.unlink()
                return True
            draft.write_text(text)
            draft.chmod(FILE_MODE)
            os.replace(draft, file)
        except OSError as error:
            raise Fault(f"notices in {place}: {error}") from error
        return True

    def keep_only(self, allocation_ids: frozenset[str]) -> None:
        """Remove the folders of all other allocations."""
        if not self._folder.is_dir():
            return
        for place in self._folder.iterdir():
            if place.name not in allocation_ids:
                shutil.rmtree(place, ignore_errors=True)

    def _place(self, allocation_id: str) -> Path:
        assert is_id(allocation_id, "allocation")
        return self._folder / allocation_id
