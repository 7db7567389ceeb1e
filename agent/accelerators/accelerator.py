"""A GPU, one reading of it, and what a driver must be able to tell about both.

Everything is keyed by UUID: an index names another card after a reboot, a UUID never does.  What a
card cannot tell is None, never 0; what it tells out of range is brought into range and flagged.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Flag, auto
from typing import Protocol

from protocol.refusal import Fault

TEXT_CHARACTERS_MAX = 64
UTILIZATION_PERCENT_MAX = 100
MEMORY_MIB_MAX = 1 << 30
TEMPERATURE_C_MAX = 200
POWER_MW_MAX = 10_000_000
COUNTER_MAX = (1 << 53) - 1
"""The largest integer a usage record may carry."""

UUID_PATTERN = re.compile(r"[A-Za-z0-9-]{1,64}")


class Capability(Flag):
    """What a card and its driver can tell, found out once per card."""

    UTILIZATION = auto()
    MEMORY = auto()
    TEMPERATURE = auto()
    POWER = auto()
    ENERGY = auto()
    ECC = auto()
    XID = auto()


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One GPU.

    uuid           its identity for life
    index          where the driver lists it now; another card may stand there after a reboot
    model          the driver's name for it, 1 to 64 printable characters
    memory_mib     its whole memory; None where the driver cannot tell (memory shared with the host)
    driver_version of the driver, or `simulated`
    simulated      True for a card that does not exist; never sold outside demo mode
    pci_bus_id     empty where it has none
    minor_number   N of /dev/nvidiaN
    mig_mode       whether it is cut into MIG slices; None where it cannot be
    """

    uuid: str
    index: int
    model: str
    memory_mib: int | None
    driver_version: str
    simulated: bool
    pci_bus_id: str
    minor_number: int | None
    mig_mode: bool | None
    capabilities: Capability


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of one GPU at one moment.

    utilization_percent  share of the last moment in which a kernel ran, 0 to 100
    energy_mj            counter since the driver was loaded; `estimated` if it is integrated power
    ecc_uncorrected      memory errors since the driver was loaded
    xid                  the last driver error (XID) seen, 0 while there was none
    loss                 why the card is lost to us now; None while it answers
    estimated            the energy counter is the integral of power over the readings
    clamped              a value was out of range and was brought to the nearest bound
    counter_reset        the energy counter began again, so this reading continues no earlier one
    """

    uuid: str
    at_ms: int
    utilization_percent: int | None = None
    memory_used_mib: int | None = None
    temperature_c: int | None = None
    power_mw: int | None = None
    energy_mj: int | None = None
    ecc_uncorrected: int | None = None
    xid: int | None = None
    loss: str | None = None
    estimated: bool = False
    clamped: bool = False
    counter_reset: bool = False


class AcceleratorSource(Protocol):
    """What a driver of GPUs does.  Nothing here blocks the caller: a driver has its own threads."""

    async def list_accelerators(self) -> tuple[Accelerator, ...]:
        """Return the cards that answer, by index.

        Raises DriverMissing or DriverMismatch when no card can be asked, Fault when the driver
        does not answer in time.
        """

    async def read_samples(self, now_ms: int) -> tuple[Sample, ...]:
        """Return one sample per card listed before, by UUID; a silent card's says why (`loss`).

        Raises as `list_accelerators` does when no card can be asked at all.
        """

    async def close(self) -> None:
        """Let go of the driver; at most a moment, even while it hangs."""


class AcceleratorLost(Fault):
    """One card does not answer any more; the others may go on."""

    def __init__(self, uuid: str, why: str) -> None:
        super().__init__(f"GPU {uuid} is lost: {why}")
        self.uuid = uuid
        self.why = why


class DriverMissing(Fault):
    """There is no GPU driver to ask."""

    remedy = (
        "Install the NVIDIA driver so that nvidia-smi lists the cards, or set nvml_library to the "
        "full path of libnvidia-ml.so.1, then restart the agent."
    )


class DriverMismatch(Fault):
    """The driver's library and its kernel module are of different versions."""

    remedy = (
        "The driver was updated under a running system: drain the node and reboot it, or reload "
        "the nvidia kernel modules once no container holds a GPU."
    )


def printable(text: str, *, fallback: str = "unknown") -> str:
    """Return at most 64 printable ASCII characters of `text`, the rest as `?`.

    A quotation mark or backslash becomes `?` too, so that the text may stand in a usage entry.
    """
    cut = text[:TEXT_CHARACTERS_MAX].strip()
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in cut) or fallback


def identified(cards: Iterable[Accelerator]) -> tuple[list[Accelerator], list[Accelerator]]:
    """Return the cards with a UUID of their own, and those that cannot be told apart.

    Two cards with one UUID are both left out: whoever got either might get the other's tenant.
    """
    listed = list(cards)
    seen = Counter(card.uuid for card in listed)
    known: list[Accelerator] = []
    unknown: list[Accelerator] = []
    for card in listed:
        single = seen[card.uuid] == 1 and UUID_PATTERN.fullmatch(card.uuid) is not None
        (known if single else unknown).append(card)
    return known, unknown


def bounded(sample: Sample, *, memory_mib: int | None) -> Sample:
    """Return `sample` with each value within its range, flagged `clamped` if one was not."""
    inside = replace(
        sample,
        utilization_percent=_within(sample.utilization_percent, UTILIZATION_PERCENT_MAX),
        memory_used_mib=_within(
            sample.memory_used_mib, MEMORY_MIB_MAX if memory_mib is None else memory_mib
        ),
        temperature_c=_within(sample.temperature_c, TEMPERATURE_C_MAX),
        power_mw=_within(sample.power_mw, POWER_MW_MAX),
        energy_mj=_within(sample.energy_mj, COUNTER_MAX),
        ecc_uncorrected=_within(sample.ecc_uncorrected, COUNTER_MAX),
    )
    return inside if inside == sample else replace(inside, clamped=True)


def energy_between_mj(before: Sample, after: Sample) -> int | None:
    """Return the energy used from one sample of a card to a later one, None if nobody can know.

    A counter that began again, or was measured in one sample and estimated in the other, says
    nothing about the time between them.
    """
    assert before.uuid == after.uuid
    if before.energy_mj is None or after.energy_mj is None:
        return None
    if after.counter_reset or before.estimated != after.estimated:
        return None
    if after.energy_mj < before.energy_mj:
        return None
    return after.energy_mj - before.energy_mj


def lost_uuids(samples: Sequence[Sample]) -> frozenset[str]:
    """Return the cards that no new work may be given."""
    return frozenset(sample.uuid for sample in samples if sample.loss is not None)


def _within(value: int | None, highest: int) -> int | None:
    return None if value is None else min(max(value, 0), highest)
