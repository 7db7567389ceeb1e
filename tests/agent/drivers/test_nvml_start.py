"""How the driver is found at the start, and what is said when it is not."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from agent.accelerators.accelerator import DriverMismatch, DriverMissing
from agent.drivers.nvml import NvmlAccelerators
from protocol.refusal import Fault
from tests.fakes.nvml.running import NewMachine, run
from tests.fakes.nvml.state import DRIVER_NOT_LOADED, LIBRARY_MISMATCH, UNKNOWN_ERROR


def test_a_mismatch_at_the_start_is_named(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(1)
    machine.machine.init_error = LIBRARY_MISMATCH

    with pytest.raises(DriverMismatch, match="different versions"):
        run(machine, lambda source: source.list_accelerators())


def test_a_driver_that_is_not_loaded_is_missing(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(1)
    machine.machine.init_error = DRIVER_NOT_LOADED

    with pytest.raises(DriverMissing, match="Driver Not Loaded"):
        run(machine, lambda source: source.list_accelerators())


def test_another_failure_of_the_driver_is_a_fault(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(1)
    machine.machine.init_error = UNKNOWN_ERROR

    with pytest.raises(Fault, match="Unknown Error"):
        run(machine, lambda source: source.list_accelerators())


def test_a_library_that_does_not_exist_is_missing_and_named(tmp_path: Path) -> None:
    path = tmp_path / "libnvidia-ml.so.1"
    source = NvmlAccelerators(boottime=lambda: 0, library=str(path))

    with pytest.raises(DriverMissing, match=str(path)):
        asyncio.run(source.list_accelerators())


def test_no_library_at_all_is_a_missing_driver(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text("not a library")
    program = f"{ALONE}\nsource = NvmlAccelerators(boottime=lambda: 0)\nlist_or_say(source)"

    assert alone(program, LD_LIBRARY_PATH=str(tmp_path)).startswith("DriverMissing: ")


def test_a_fresh_process_finds_the_library_that_its_configuration_names(
    nvml_machine: NewMachine,
) -> None:
    machine = nvml_machine(2)
    program = (
        f"{ALONE}\nsource = NvmlAccelerators(boottime=lambda: 0, library={str(machine.library)!r})"
        "\nlist_or_say(source)"
    )

    listed = alone(program, FAKE_NVML_STATE=str(machine.state_path))

    assert listed == f"{machine.uuid(0)} {machine.uuid(1)}"


def test_a_library_that_the_loader_passes_over_for_another_is_refused(
    nvml_machine: NewMachine,
) -> None:
    machine = nvml_machine(1)
    program = (
        f"{ALONE}\nsource = NvmlAccelerators(boottime=lambda: 0, library='libc.so.6')"
        "\nlist_or_say(source)"
    )

    said = alone(
        program,
        LD_LIBRARY_PATH=str(machine.library.parent),
        FAKE_NVML_STATE=str(machine.state_path),
    )

    assert said == "DriverMissing: nvml_library libc.so.6 is not a libnvidia-ml.so.1."


def test_a_process_ends_while_a_call_hangs(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(1)
    machine[0].hang = 1
    program = (
        f"{ALONE}\nsource = NvmlAccelerators(boottime=lambda: 0, deadline_ms=100, "
        f"library={str(machine.library)!r})\nlist_or_say(source)"
    )

    assert alone(program, FAKE_NVML_STATE=str(machine.state_path)) == ""


@pytest.mark.gpu
def test_the_cards_of_this_machine_are_listed_by_their_real_driver() -> None:
    listed = alone(f"{ALONE}\nlist_or_say(NvmlAccelerators(boottime=lambda: 0))")

    assert listed.startswith("GPU-")


ALONE = """
import asyncio
from agent.accelerators.accelerator import DriverMissing
from agent.drivers.nvml import NvmlAccelerators

def list_or_say(source):
    try:
        print(*(card.uuid for card in asyncio.run(source.list_accelerators())))
    except DriverMissing as missing:
        print("DriverMissing:", missing)
"""


def alone(program: str, **environment: str) -> str:
    """What `program` prints in a process of its own, into which no library was loaded yet."""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": ".", **environment},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return ended.stdout.strip()
