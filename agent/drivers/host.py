"""The machine itself: its clocks, and by psutil its processor, memory and disk."""

import time
from pathlib import Path

import psutil

from agent.health.facts import HostReading
from protocol.refusal import Fault

BOOT_ID_PATH = Path("/proc/sys/kernel/random/boot_id")
BYTES_PER_MIB = 1 << 20
NS_PER_MS = 1_000_000


def wall_ms() -> int:
    """Return the UTC time; anybody may set this clock, so nothing is billed by it."""
    return time.time_ns() // NS_PER_MS


def boottime_ms() -> int:
    """Return the time since boot, suspend included; nobody can set it."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // NS_PER_MS


def running_ms() -> int:
    """Return the reading of the clock that stands still while the machine is suspended."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // NS_PER_MS


def boot_id(path: Path = BOOT_ID_PATH) -> str:
    """Return the id of this boot: boottime readings with another one cannot be compared."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise Fault(f"read the boot id: {error}") from error


class HostReader:
    """Reads the machine; `path` lies on the disk that the node's own files are on.

    The processor's load is taken since the reading before, for which there must be a first one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        psutil.cpu_percent(interval=None)

    def read(self) -> HostReading:
        """Return one reading; never blocks for longer than a few file reads."""
        try:
            memory = psutil.virtual_memory()
            disk = psutil.disk_usage(str(self._path))
            load_1m, _, _ = psutil.getloadavg()
        except OSError as error:
            raise Fault(f"read the host: {error}") from error
        return HostReading(
            cpu_count=psutil.cpu_count() or 1,
            cpu_percent=min(round(psutil.cpu_percent(interval=None)), 100),
            load_1m_milli=round(load_1m * 1000),
            memory_total_mib=memory.total // BYTES_PER_MIB,
            memory_available_mib=memory.available // BYTES_PER_MIB,
            disk_path=str(self._path),
            disk_total_mib=disk.total // BYTES_PER_MIB,
            disk_free_mib=disk.free // BYTES_PER_MIB,
            uptime_ms=boottime_ms(),
        )
