"""What the checks may look at: plain values, gathered by somebody else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from agent.accelerators.accelerator import Accelerator, Sample


@dataclass(frozen=True, slots=True)
class HostReading:
    """The machine at one moment.

    cpu_percent    of all its processors together, since the reading before
    load_1m_milli  thousandths of the load average over a minute
    disk_path      a path on the disk that is meant
    """

    cpu_count: int
    cpu_percent: int
    load_1m_milli: int
    memory_total_mib: int
    memory_available_mib: int
    disk_path: str
    disk_total_mib: int
    disk_free_mib: int
    uptime_ms: int


@dataclass(frozen=True, slots=True)
class AcceleratorReading:
    """One GPU: why it is lost (None while it answers), how hot it is, which allocation holds it."""

    uuid: str
    model: str
    loss: str | None
    temperature_c: int | None
    held_by: str | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything the checks may look at; a `*_fault` is a sentence, None if all is well.

    driver_remedy      what to do about driver_fault
    clock_skew_ms      our clock minus the registry's; None before the first sync
    registry_silent_ms since its last answer, by boottime; None on a node that is not enrolled
    log_fault          why the usage log is not intact
    egress_fault       why the rules that keep containers off the site's network do not stand
    networked_containers  how many containers run that have a network
    usage_fault        why usage cannot be written down
    """

    at_ms: int
    host: HostReading
    accelerators: tuple[AcceleratorReading, ...] = ()
    driver_fault: str | None = None
    driver_remedy: str | None = None
    docker_fault: str | None = None
    clock_skew_ms: int | None = None
    registry_silent_ms: int | None = None
    log_fault: str | None = None
    egress_fault: str | None = None
    networked_containers: int = 0
    usage_fault: str | None = None


def accelerator_readings(
    cards: Iterable[Accelerator], samples: Iterable[Sample], claims: Mapping[str, str]
) -> tuple[AcceleratorReading, ...]:
    """Return every GPU that is listed, sampled or held, by UUID.

    One that is held but not there has gone while the agent was away: it is lost, never replaced.
    """
    model_of = {card.uuid: card.model for card in cards}
    sample_of = {sample.uuid: sample for sample in samples}
    readings = []
    for uuid in sorted({*model_of, *sample_of, *claims}):
        sample = sample_of.get(uuid)
        loss = sample.loss if sample is not None else None
        if sample is None and uuid not in model_of:
            loss = "the driver does not list it"
        readings.append(
            AcceleratorReading(
                uuid=uuid,
                model=model_of.get(uuid, "unknown"),
                loss=loss,
                temperature_c=None if sample is None else sample.temperature_c,
                held_by=claims.get(uuid),
            )
        )
    return tuple(readings)
