"""Which key signs what: the log by its own rules, the calls by the key that the registry trusts."""

from typing import Protocol

from agent.usage_log.key_change import KeyChange, signed_by
from protocol.checkpoint import Checkpoint
from protocol.signing import SigningKey, public_bytes


class KeyFiles(Protocol):
    """Where the keys are kept: `agent/drivers/keyfile.py:NodeKeys`."""

    @property
    def current(self) -> SigningKey: ...
    def find_next(self) -> SigningKey | None: ...
    def promote(self) -> None: ...


class Signer:
    """Signs for this node; speaks `agent/sync/loop.py:Keys`."""

    def __init__(self, files: KeyFiles) -> None:
        self._files = files
        self._calls_with_next = False

    def calls(self) -> SigningKey:
        """Return the key that signs calls."""
        following = self._files.find_next() if self._calls_with_next else None
        return self._files.current if following is None else following

    def sign(self, checkpoint: Checkpoint, change: KeyChange | None) -> str:
        """Return the checkpoint signed by whoever signs the log at that size."""
        following = self._files.find_next() if change is not None else None
        return signed_by(checkpoint, change, current=self._files.current, following=following)

    def find_next(self) -> bytes | None:
        """Return the public key that this node is asked to change to, or None."""
        following = self._files.find_next()
        return None if following is None else public_bytes(following)

    def call_with_next(self, *, yes: bool) -> None:
        """Have calls signed with the next key, or with the present one again."""
        self._calls_with_next = yes

    def promote(self) -> None:
        """Go by the next key from now on."""
        self._files.promote()
