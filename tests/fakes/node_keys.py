"""A node's keys, kept in memory instead of in files."""

from protocol.signing import SigningKey


class KeptKeys:
    """Speaks `agent.sync.signer.KeyFiles`."""

    def __init__(self, current: SigningKey, following: SigningKey | None = None) -> None:
        self._current = current
        self.following = following

    @property
    def current(self) -> SigningKey:
        return self._current

    def find_next(self) -> SigningKey | None:
        return self.following

    def promote(self) -> None:
        assert self.following is not None
        self._current, self.following = self.following, None
