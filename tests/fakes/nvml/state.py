"""The stub driver seen from the tests: built once per run, its machine edited while it runs.

The structs mirror those of nvml_stub.c; `attach` refuses a library whose struct has another size.
"""

import ctypes
import mmap
import os
import subprocess
from enum import IntFlag
from hashlib import sha256
from pathlib import Path

from tests.services.shared import locked

SOURCE = Path(__file__).with_name("nvml_stub.c")
SONAME = "libnvidia-ml.so.1"
COMPILE_S_MAX = 60
GPUS_MAX = 16
XIDS_MAX = 64
GPU_IS_LOST = 15
UNKNOWN_ERROR = 999
LIBRARY_MISMATCH = 18
DRIVER_NOT_LOADED = 9
GIB = 1 << 30


class Feature(IntFlag):
    """What a card may be told not to support."""

    UTILIZATION = 1 << 0
    MEMORY = 1 << 1
    MEMORY_V2 = 1 << 2
    TEMPERATURE = 1 << 3
    POWER = 1 << 4
    ENERGY = 1 << 5
    ECC = 1 << 6
    XID = 1 << 7
    MIG = 1 << 8
    MINOR = 1 << 9


class Gpu(ctypes.Structure):
    """One card of the stub's machine."""

    _fields_ = [
        ("uuid", ctypes.c_char * 96),
        ("name", ctypes.c_char * 96),
        ("bus_id", ctypes.c_char * 32),
        ("memory_total_bytes", ctypes.c_uint64),
        ("memory_used_bytes", ctypes.c_uint64),
        ("energy_mj", ctypes.c_uint64),
        ("ecc_uncorrected", ctypes.c_uint64),
        ("minor", ctypes.c_uint32),
        ("mig_mode", ctypes.c_uint32),
        ("utilization_percent", ctypes.c_uint32),
        ("temperature_c", ctypes.c_uint32),
        ("power_mw", ctypes.c_uint32),
        ("unsupported", ctypes.c_uint32),
        ("error", ctypes.c_uint32),
        ("hang", ctypes.c_uint32),
    ]


class Xid(ctypes.Structure):
    """One error that the driver reported: which card, which number."""

    _fields_ = [("gpu", ctypes.c_uint32), ("code", ctypes.c_uint32)]


class Machine(ctypes.Structure):
    """Everything the stub answers."""

    _fields_ = [
        ("gpu_count", ctypes.c_uint32),
        ("init_error", ctypes.c_uint32),
        ("call_error", ctypes.c_uint32),
        ("inits", ctypes.c_uint32),
        ("driver_version", ctypes.c_char * 80),
        ("gpus", Gpu * GPUS_MAX),
        ("xids_written", ctypes.c_uint64),
        ("xids", Xid * XIDS_MAX),
    ]


class NvmlStub:
    """A machine of H200 cards behind the stub library; `machine` is live memory."""

    def __init__(self, library: Path, state_path: Path, *, gpus: int) -> None:
        self.library = library
        self.state_path = state_path
        state_path.write_bytes(bytes(ctypes.sizeof(Machine)))
        with state_path.open("r+b") as file:
            self.machine = Machine.from_buffer(mmap.mmap(file.fileno(), 0))
        self.machine.gpu_count = gpus
        self.machine.driver_version = b"570.86.15"
        for index in range(GPUS_MAX):
            _describe(self.machine.gpus[index], index)

    def __getitem__(self, index: int) -> Gpu:
        gpu: Gpu = self.machine.gpus[index]
        return gpu

    def uuid(self, index: int) -> str:
        return bytes(self[index].uuid).decode()

    def attach(self) -> None:
        """Point the library in this process at this machine."""
        library = ctypes.CDLL(str(self.library))
        assert library.fake_nvml_state_bytes() == ctypes.sizeof(Machine)
        assert library.fake_nvml_attach(os.fsencode(self.state_path)) == 0

    def swap(self, first: int, second: int) -> None:
        """Renumber two cards, as a reboot may."""
        kept = bytes(self[first])
        ctypes.memmove(ctypes.addressof(self[first]), bytes(self[second]), ctypes.sizeof(Gpu))
        ctypes.memmove(ctypes.addressof(self[second]), kept, ctypes.sizeof(Gpu))

    def report_xid(self, index: int, code: int) -> None:
        slot = self.machine.xids_written % XIDS_MAX
        self.machine.xids[slot] = Xid(index, code)
        self.machine.xids_written += 1

    def let_all_return(self) -> None:
        for gpu in self.machine.gpus:
            gpu.hang = 0


def built_library(run_folder: Path) -> Path:
    """The compiled stub of this run, one per version of its source."""
    source = SOURCE.read_bytes()
    folder = run_folder / f"nvml-{sha256(source).hexdigest()[:16]}"
    library = folder / SONAME
    with locked(run_folder, "nvml"):
        if library.exists():
            return library
        folder.mkdir()
        unfinished = folder / "unfinished.so"
        flags = ["-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        command = ["gcc", *flags, f"-Wl,-soname,{SONAME}", "-o", str(unfinished), str(SOURCE)]
        subprocess.run(command, check=True, timeout=COMPILE_S_MAX)
        unfinished.rename(library)
    return library


def _describe(gpu: Gpu, index: int) -> None:
    gpu.uuid = f"GPU-{index:08x}-7a1e-4c55-9b1d-0242ac120002".encode()
    gpu.name = b"NVIDIA H200"
    gpu.bus_id = f"00000000:{index + 3:02X}:00.0".encode()
    gpu.memory_total_bytes = 141 * GIB
    gpu.memory_used_bytes = 4 * GIB
    gpu.energy_mj = 1_000_000
    gpu.minor = index
    gpu.utilization_percent = 40 + index
    gpu.temperature_c = 50 + index
    gpu.power_mw = 300_000
