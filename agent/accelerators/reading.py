"""What a card's bare figures mean in the light of what it said before.

An energy counter begins again when the driver is loaded; a card without one has its power
integrated instead, which is said (`estimated`); errors are counted less often than the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from agent.accelerators.accelerator import Accelerator, Capability, Sample, bounded

ECC_EVERY_MS = 10_000
INTEGRATED_GAP_MS_MAX = 300_000
"""Between two readings farther apart than this, power is unknown and no energy is counted."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What earlier readings of one card said; `*_at_ms` are boottime readings."""

    xid: int | None = None
    ecc: int | None = None
    ecc_at_ms: int | None = None
    energy_mj: int | None = None
    integrated_uj: int = 0
    power_mw: int | None = None
    power_at_ms: int | None = None


def wanted_now(card: Accelerator, memory: Memory, *, boottime_ms: int) -> Capability:
    """Return what to ask the card in this pass."""
    if memory.ecc_at_ms is None or boottime_ms - memory.ecc_at_ms >= ECC_EVERY_MS:
        return card.capabilities
    return card.capabilities & ~Capability.ECC


def sample_from(
    card: Accelerator,
    before: Memory,
    figures: Mapping[Capability, int],
    *,
    now_ms: int,
    boottime_ms: int,
) -> tuple[Sample, Memory]:
    """Return the sample that `figures` make, in range, and what to remember of it.

    figures  utilization in percent, memory used in MiB, temperature in C, power in mW, energy in
             mJ, ECC errors; what failed this time is not among them
    """
    power = figures.get(Capability.POWER)
    energy = figures.get(Capability.ENERGY)
    ecc = figures.get(Capability.ECC)
    xid = before.xid
    if xid is None and Capability.XID in card.capabilities:
        xid = 0
    estimated = Capability.ENERGY not in card.capabilities and power is not None
    integrated_uj = before.integrated_uj
    if estimated and power is not None:
        integrated_uj += _between_uj(before, power, boottime_ms)
        energy = integrated_uj // 1_000
    sample = Sample(
        uuid=card.uuid,
        at_ms=now_ms,
        utilization_percent=figures.get(Capability.UTILIZATION),
        memory_used_mib=figures.get(Capability.MEMORY),
        temperature_c=figures.get(Capability.TEMPERATURE),
        power_mw=power,
        energy_mj=energy,
        ecc_uncorrected=before.ecc if ecc is None else ecc,
        xid=xid,
        estimated=estimated,
        counter_reset=_began_again(before, energy, estimated=estimated),
    )
    after = Memory(
        xid=xid,
        ecc=before.ecc if ecc is None else ecc,
        ecc_at_ms=before.ecc_at_ms if ecc is None else boottime_ms,
        energy_mj=before.energy_mj if energy is None else energy,
        integrated_uj=integrated_uj,
        power_mw=before.power_mw if power is None else power,
        power_at_ms=before.power_at_ms if power is None else boottime_ms,
    )
    return bounded(sample, memory_mib=card.memory_mib), after


def _between_uj(before: Memory, power_mw: int, boottime_ms: int) -> int:
    """Return the energy since the last reading as if power had changed evenly; mW x ms = uJ."""
    if before.power_mw is None or before.power_at_ms is None:
        return 0
    elapsed_ms = boottime_ms - before.power_at_ms
    if not 0 < elapsed_ms <= INTEGRATED_GAP_MS_MAX:
        return 0
    return (before.power_mw + power_mw) * elapsed_ms // 2


def _began_again(before: Memory, energy_mj: int | None, *, estimated: bool) -> bool:
    """An integral begins with the agent; a real counter goes on unless it falls."""
    if energy_mj is None:
        return False
    if before.energy_mj is None:
        return estimated
    return energy_mj < before.energy_mj
