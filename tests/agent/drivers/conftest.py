"""A machine with GPUs for the tests of the drivers: the stub library under the real binding."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.nvml.state import NvmlStub, built_library


@pytest.fixture(scope="session")
def nvml_library(run_folder: Path) -> Path:
    """The compiled stub."""
    return built_library(run_folder)


@pytest.fixture
def nvml_machine(nvml_library: Path, tmp_path: Path) -> Iterator[Callable[[int], NvmlStub]]:
    """Makes a machine of so many GPUs, which this process then sees; all hanging calls end."""
    made: list[NvmlStub] = []

    def make(gpus: int) -> NvmlStub:
        stub = NvmlStub(nvml_library, tmp_path / f"machine-{len(made)}", gpus=gpus)
        made.append(stub)
        stub.attach()
        return stub

    yield make
    for stub in made:
        stub.let_all_return()
