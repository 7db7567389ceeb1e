"""Notices that are kept in memory."""

from dataclasses import dataclass, field


@dataclass
class KeptNotices:
    """Speaks `agent.allocations.notices.Notices`."""

    texts: dict[str, str] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)

    def prepare(self, allocation_id: str) -> None:
        self.folders.add(allocation_id)

    def put(self, allocation_id: str, text: str | None) -> bool:
        before = self.texts.get(allocation_id)
        if text is None:
            self.texts.pop(allocation_id, None)
        elif allocation_id in self.folders:
            self.texts[allocation_id] = text
        return before != self.texts.get(allocation_id)

    def keep_only(self, allocation_ids: frozenset[str]) -> None:
        self.folders &= allocation_ids
