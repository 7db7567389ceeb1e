"""The machine's own figures and clocks, read for real."""

import time
from pathlib import Path
from uuid import UUID

import pytest

from agent.drivers.host import HostReader, boot_id, boottime_ms, wall_ms
from protocol.refusal import Fault


def test_the_wall_clock_is_utc_milliseconds() -> None:
    assert abs(wall_ms() - time.time() * 1000) < 1_000


def test_boottime_never_goes_back_and_counts_from_boot() -> None:
    readings = [boottime_ms() for _ in range(1_000)]
    uptime_s = float(Path("/proc/uptime").read_text().split()[0])

    assert readings == sorted(readings)
    assert abs(readings[-1] / 1000 - uptime_s) < 5


def test_the_boot_id_is_the_kernels_and_stays() -> None:
    assert UUID(boot_id())
    assert boot_id() == boot_id()


def test_a_boot_id_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="boot id"):
        boot_id(tmp_path / "absent")


def test_a_reading_is_whole_and_within_its_bounds(tmp_path: Path) -> None:
    reading = HostReader(tmp_path).read()

    assert reading.cpu_count >= 1
    assert 0 <= reading.cpu_percent <= 100
    assert reading.load_1m_milli >= 0
    assert 0 < reading.memory_available_mib <= reading.memory_total_mib
    assert 0 < reading.disk_free_mib <= reading.disk_total_mib
    assert reading.disk_path == str(tmp_path)
    assert reading.uptime_ms > 0


def test_a_disk_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(Fault, match="read the host"):
        HostReader(tmp_path / "absent").read()
