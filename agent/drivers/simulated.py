"""GPUs that do not exist, for demonstrations and tests on machines without any.

They say so: `simulated` is True on every card and cannot be made False, the driver version reads
`simulated`, and the UUIDs begin with SIM-.
"""

import hashlib
from collections.abc import Collection

from agent.accelerators.accelerator import Accelerator, Capability, Sample, printable
from agent.accelerators.reading import Memory, sample_from
from protocol.clock import Clock

UUID_HEX_CHARACTERS = 24
WOBBLE_MS = 5_000
"""How long a simulated figure stands still."""

IDLE_POWER_MW = 70_000
BUSY_POWER_MW = 520_000
IDLE_TEMPERATURE_C = 33
BUSY_TEMPERATURE_C = 66
BUSY_UTILIZATION_PERCENT = 88
BUSY_MEMORY_PERCENT = 70
IDLE_MEMORY_MIB = 4

CAPABILITIES = (
    Capability.UTILIZATION | Capability.MEMORY | Capability.TEMPERATURE | Capability.POWER
)
"""No energy counter: their energy is integrated from power and flagged as an estimate."""


class SimulatedAccelerators:
    """AcceleratorSource without hardware; the same arguments always tell the same story.

    node      what the UUIDs are derived from, so that no two nodes have one in common
    boottime  moves the figures along
    """

    def __init__(
        self, *, node: str, count: int, model: str, memory_mib: int, seed: int, boottime: Clock
    ) -> None:
        self._boottime = boottime
        self._seed = seed
        self._busy: frozenset[str] = frozenset()
        self._cards = tuple(
            Accelerator(
                uuid=_uuid(node, seed, index),
                index=index,
                model=printable(model),
                memory_mib=memory_mib,
                driver_version="simulated",
                simulated=True,
                pci_bus_id="",
                minor_number=None,
                mig_mode=None,
                capabilities=CAPABILITIES,
            )
            for index in range(count)
        )
        self._memory = {card.uuid: Memory() for card in self._cards}

    def hold(self, uuids: Collection[str]) -> None:
        """From now on exactly these cards are busy."""
        self._busy = frozenset(uuids)

    async def list_accelerators(self) -> tuple[Accelerator, ...]:
        """Return the cards, by index."""
        return self._cards

    async def read_samples(self, now_ms: int) -> tuple[Sample, ...]:
        """Return one sample per card, by UUID."""
        cards = sorted(self._cards, key=lambda card: card.uuid)
        return tuple([self._sample(card, now_ms) for card in cards])

    async def close(self) -> None:
        """There is nothing to let go of."""

    def _sample(self, card: Accelerator, now_ms: int) -> Sample:
        boottime_ms = self._boottime()
        figures = self._figures(card, boottime_ms)
        sample, self._memory[card.uuid] = sample_from(
            card, self._memory[card.uuid], figures, now_ms=now_ms, boottime_ms=boottime_ms
        )
        return sample

    def _figures(self, card: Accelerator, boottime_ms: int) -> dict[Capability, int]:
        noise = self._noise(card.uuid, boottime_ms // WOBBLE_MS)
        if card.uuid not in self._busy:
            return {
                Capability.UTILIZATION: 0,
                Capability.MEMORY: min(IDLE_MEMORY_MIB, card.memory_mib or 0),
                Capability.TEMPERATURE: IDLE_TEMPERATURE_C + noise[0] % 3,
                Capability.POWER: IDLE_POWER_MW + noise[1] * 20,
            }
        memory_percent = BUSY_MEMORY_PERCENT + noise[3] % 5
        return {
            Capability.UTILIZATION: BUSY_UTILIZATION_PERCENT + noise[2] % 12,
            Capability.MEMORY: (card.memory_mib or 0) * memory_percent // 100,
            Capability.TEMPERATURE: BUSY_TEMPERATURE_C + noise[0] % 7,
            Capability.POWER: BUSY_POWER_MW + noise[1] * 300,
        }

    def _noise(self, uuid: str, step: int) -> bytes:
        return hashlib.sha256(f"{self._seed}/{uuid}/{step}".encode()).digest()


def _uuid(node: str, seed: int, index: int) -> str:
    digest = hashlib.sha256(f"{node}/{seed}/{index}".encode()).hexdigest()
    return f"SIM-{digest[:UUID_HEX_CHARACTERS]}"
