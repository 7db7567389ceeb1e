"""A node in good health, to be made ill in one respect."""

from dataclasses import replace

from agent.health.facts import AcceleratorReading, Facts, HostReading

NOW_MS = 1_795_000_000_000
HOST = HostReading(
    cpu_count=16,
    cpu_percent=20,
    load_1m_milli=1_500,
    memory_total_mib=128 * 1024,
    memory_available_mib=64 * 1024,
    disk_path="/var/lib/outstation",
    disk_total_mib=1024 * 1024,
    disk_free_mib=512 * 1024,
    uptime_ms=3_600_000,
)
CARD = AcceleratorReading(
    uuid="GPU-1", model="NVIDIA H200", loss=None, temperature_c=60, held_by=None
)
WELL = Facts(
    at_ms=NOW_MS,
    host=HOST,
    accelerators=(CARD,),
    clock_skew_ms=12,
    registry_silent_ms=9_000,
)


def with_host(**changes: int) -> Facts:
    return replace(WELL, host=replace(HOST, **changes))  # type: ignore[arg-type]


def with_card(**changes: object) -> Facts:
    return replace(WELL, accelerators=(replace(CARD, **changes),))  # type: ignore[arg-type]


def with_facts(**changes: object) -> Facts:
    return replace(WELL, **changes)  # type: ignore[arg-type]
