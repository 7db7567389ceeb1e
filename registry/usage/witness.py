"""The registry as a witness: by which name and key it cosigns, and when."""

from dataclasses import dataclass

from protocol.checkpoint import Checkpoint, cosignature
from protocol.clock import SECOND_MS
from protocol.signing import SigningKey


@dataclass(frozen=True, slots=True)
class Witness:
    """By which name and key the registry cosigns, and when.

    skew_ms  the time of the node whose log it is, less ours
    """

    name: str
    key: SigningKey
    now_ms: int
    skew_ms: int = 0

    def cosignature(self, checkpoint: Checkpoint) -> str:
        """Return the registry's line under a checkpoint."""
        return cosignature(
            checkpoint, witness=self.name, key=self.key, at_s=self.now_ms // SECOND_MS
        )
