"""What the rules of the rarer entries look at."""

from dataclasses import dataclass, field

from protocol.checkpoint import Checkpoint
from protocol.usage import Use
from registry.log_events.effective_time import Span


@dataclass(slots=True)
class EventFacts:
    """What is known of a log besides its streams.

    predecessor    how far the log of the epoch before was accepted; None for a node's first log
    keys           every key that ever signed this log
    referenced     records by index, of which adjustments speak
    adjusted       what earlier adjustments came to, by the index of their record; it moves on
    approved       (index, quantity) of adjustments upwards that an operator approved
    span           within what times records count, where the node's clock was off
    """

    origin: str = ""
    epoch: int = 0
    predecessor: Checkpoint | None = None
    keys: frozenset[bytes] = frozenset()
    referenced: dict[int, Use] = field(default_factory=dict)
    adjusted: dict[int, int] = field(default_factory=dict)
    approved: frozenset[tuple[int, int]] = frozenset()
    span: Span | None = None
