"""GPUs through NVIDIA's management library (NVML), by way of nvidia-ml-py.

Everything NVML says is suspect: it may hang, answer for one card and not for the next, give 101 %
or a name with control characters, renumber its cards, or be replaced under a running process.
"""

import ctypes
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import pynvml

from agent.accelerators.accelerator import (
    Accelerator,
    AcceleratorLost,
    Capability,
    DriverMismatch,
    DriverMissing,
    Sample,
    identified,
    printable,
)
from agent.accelerators.reading import Memory, sample_from, wanted_now
from agent.drivers.driver_thread import CallHung, DriverThread
from protocol.clock import Clock
from protocol.refusal import Fault

CALL_DEADLINE_MS = 5_000
"""A card that takes longer is lost to us until its call returns."""

CLOSE_DEADLINE_MS = 1_000
EVENTS_PER_PASS_MAX = 64
BYTES_PER_MIB = 1 << 20
MINOR_ABSENT = 0xFFFF_FFFF
MEMORY_ABSENT = 0xFFFF_FFFF_FFFF_FFFF

ABSENT = {
    pynvml.NVML_ERROR_NOT_SUPPORTED,
    pynvml.NVML_ERROR_NO_PERMISSION,
    pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
    pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
}
"""The card or its driver does not have this figure; others may well be had."""

LOST = {
    pynvml.NVML_ERROR_GPU_IS_LOST: "it has fallen off the bus",
    pynvml.NVML_ERROR_RESET_REQUIRED: "it must be reset",
    pynvml.NVML_ERROR_NOT_FOUND: "the driver no longer lists it",
    pynvml.NVML_ERROR_GPU_NOT_FOUND: "the driver no longer lists it",
}
GONE = {
    pynvml.NVML_ERROR_UNINITIALIZED,
    pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
    pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
    pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
}
"""No card can be asked any more, whichever was meant."""


log = logging.getLogger(__name__)
T = TypeVar("T")
Handle = Any
"""A pointer that only nvidia-ml-py, which has no types, knows how to use."""


@dataclass(frozen=True, slots=True)
class _Session:
    """What one initialisation of the library gave us."""

    driver_version: str
    events: Handle | None


class NvmlAccelerators:
    """AcceleratorSource on NVIDIA cards.

    library   full path of libnvidia-ml.so.1 where the loader does not find it by itself
    boottime  measures the time over which power is integrated on cards without an energy counter
    """

    def __init__(
        self, *, boottime: Clock, library: str | None = None, deadline_ms: int = CALL_DEADLINE_MS
    ) -> None:
        self._boottime = boottime
        self._library = library
        self._thread = DriverThread("NVML", deadline_ms=deadline_ms)
        self._deadline_ms = deadline_ms
        self._session: _Session | None = None
        self._cards: dict[str, Accelerator] = {}
        self._memory: dict[str, Memory] = {}
        self._registered: set[str] = set()
        self._hung: dict[str, CallHung] = {}

    async def list_accelerators(self) -> tuple[Accelerator, ...]:
        """Return the cards that answer.  One that has fallen silent stays known, as lost."""
        session = await self._opened()
        count = int(await self._ask("count", pynvml.nvmlDeviceGetCount))
        found: list[Accelerator] = []
        for index in range(count):
            try:
                card = await self._ask(f"index {index}", partial(_card_at, index, session))
            except (DriverMissing, DriverMismatch):
                raise
            except Fault as fault:
                log.warning("GPU not identified", extra={"index": index, "fault": str(fault)})
                continue
            found.append(card)
        known, unknown = identified(found)
        for card in unknown:
            log.error("GPU without a UUID of its own", extra={"index": card.index})
        for card in known:
            first = self._cards.get(card.uuid)
            if first is not None:
                card = replace(card, capabilities=first.capabilities)
            self._cards[card.uuid] = card
        return tuple(self._cards[card.uuid] for card in known)

    async def read_samples(self, now_ms: int) -> tuple[Sample, ...]:
        """Return one sample of each card ever listed, by UUID."""
        session = await self._opened()
        await self._note_xids(session)
        return tuple([await self._sample(uuid, session, now_ms) for uuid in sorted(self._cards)])

    async def close(self) -> None:
        """Shut the library down, unless it hangs."""
        closing = DriverThread("NVML", deadline_ms=min(CLOSE_DEADLINE_MS, self._deadline_ms))
        if self._session is not None:
            self._session = None
            try:
                await closing.call(pynvml.nvmlShutdown)
            except (CallHung, pynvml.NVMLError) as error:
                log.warning("driver not shut down", extra={"fault": str(error)})
        closing.close()
        self._thread.close()

    async def _opened(self) -> _Session:
        if self._session is None:
            self._session = await self._ask("driver", partial(_open, self._library))
            self._registered.clear()
        return self._session

    async def _ask(self, subject: str, question: Callable[[], T]) -> T:
        """Ask on the driver's thread, unless an earlier call about `subject` still hangs."""
        earlier = self._hung.get(subject)
        if earlier is not None and not earlier.is_over():
            raise CallHung(f"NVML: an earlier call about {subject} has not returned")
        self._hung.pop(subject, None)
        try:
            return await self._thread.call(partial(_translated, question))
        except CallHung as hung:
            self._hung[subject] = hung
            raise
        except (DriverMissing, DriverMismatch):
            self._session = None
            raise

    async def _note_xids(self, session: _Session) -> None:
        if session.events is None:
            return
        try:
            reported = await self._ask("events", partial(_xids, session.events))
        except CallHung as hung:
            log.warning("driver errors not read", extra={"fault": str(hung)})
            return
        for uuid, xid in reported:
            log.warning("GPU reported an error", extra={"uuid": uuid, "xid": xid})
            if uuid in self._memory:
                self._memory[uuid] = replace(self._memory[uuid], xid=xid)

    async def _sample(self, uuid: str, session: _Session, now_ms: int) -> Sample:
        """Return what the card says now, or a sample that says why it says nothing."""
        card = self._cards[uuid]
        memory = self._memory.setdefault(uuid, Memory())
        boottime_ms = self._boottime()
        wanted = wanted_now(card, memory, boottime_ms=boottime_ms)
        events = None if uuid in self._registered else session.events
        try:
            figures = await self._ask(uuid, partial(_figures, uuid, wanted, events))
        except CallHung:
            loss = f"a driver call has not returned within {self._deadline_ms} ms"
            return Sample(uuid=uuid, at_ms=now_ms, xid=memory.xid, loss=loss)
        except AcceleratorLost as lost:
            return Sample(uuid=uuid, at_ms=now_ms, xid=memory.xid, loss=lost.why)
        self._registered.add(uuid)
        sample, self._memory[uuid] = sample_from(
            card, memory, figures, now_ms=now_ms, boottime_ms=boottime_ms
        )
        return sample


def _translated(question: Callable[[], T]) -> T:
    """Put what the library raises into our own words."""
    try:
        return question()
    except pynvml.NVMLError as error:
        if error.value == pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
            raise DriverMismatch(
                "The NVIDIA library and kernel module are of different versions."
            ) from error
        if error.value in GONE:
            raise DriverMissing(f"No NVIDIA driver answers: {error}.") from error
        raise Fault(f"NVML: {error}") from error


def _open(library: str | None) -> _Session:
    """Load the library, from `library` if it is named, and initialise it."""
    if library is not None:
        try:
            loaded = ctypes.CDLL(library)
        except OSError as error:
            raise DriverMissing(f"nvml_library {library} cannot be loaded: {error}.") from error
    pynvml.nvmlInit()
    # nvidia-ml-py asks the loader for the library by its soname, which finds the one just loaded
    # only if that is its soname too.
    if library is not None and pynvml.nvmlLib._handle != loaded._handle:
        raise DriverMissing(f"nvml_library {library} is not a libnvidia-ml.so.1.")
    version = printable(_text(pynvml.nvmlSystemGetDriverVersion))
    try:
        events = pynvml.nvmlEventSetCreate()
    except pynvml.NVMLError:
        events = None
    return _Session(driver_version=version, events=events)


def _card_at(index: int, session: _Session) -> Accelerator:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory_bytes = _answer(partial(_memory_bytes, handle, "total"))
    return Accelerator(
        uuid=_text(pynvml.nvmlDeviceGetUUID, handle),
        index=index,
        model=printable(_text(pynvml.nvmlDeviceGetName, handle)),
        memory_mib=None if memory_bytes is None else memory_bytes // BYTES_PER_MIB,
        driver_version=session.driver_version,
        simulated=False,
        pci_bus_id=printable(_answer(partial(_bus_id, handle)) or "", fallback=""),
        minor_number=_answer(partial(_minor_number, handle)),
        mig_mode=_answer(partial(_mig_mode, handle)),
        capabilities=_capabilities(handle),
    )


def _capabilities(handle: Handle) -> Capability:
    """Return what this card answers at all, by asking each question once."""
    found = Capability(0)
    for capability, question in QUESTIONS.items():
        if _answer(partial(question, handle)) is not None:
            found |= capability
    types = _answer(partial(pynvml.nvmlDeviceGetSupportedEventTypes, handle)) or 0
    if int(types) & int(pynvml.nvmlEventTypeXidCriticalError):
        found |= Capability.XID
    return found


def _figures(uuid: str, wanted: Capability, events: Handle | None) -> dict[Capability, int]:
    """Return what the card says of `wanted`; raises AcceleratorLost when it says nothing.

    The handle is looked up by UUID each time: a kept one may stand for another card after the
    driver was reloaded.  A single question that fails costs its own figure only.
    """
    figures: dict[Capability, int] = {}
    failure = "it answers no question"
    try:
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
        if events is not None and Capability.XID in wanted:
            pynvml.nvmlDeviceRegisterEvents(handle, pynvml.nvmlEventTypeXidCriticalError, events)
    except pynvml.NVMLError as error:
        if error.value in GONE:
            raise
        raise AcceleratorLost(uuid, _why(error)) from error
    for capability, question in QUESTIONS.items():
        if capability not in wanted:
            continue
        try:
            figures[capability] = question(handle)
        except pynvml.NVMLError as error:
            if error.value in LOST:
                raise AcceleratorLost(uuid, _why(error)) from error
            failure = _why(error)
    if not figures and wanted & ~Capability.XID:
        raise AcceleratorLost(uuid, failure)
    return figures


def _why(error: pynvml.NVMLError) -> str:
    return LOST.get(error.value, f"the driver says {printable(str(error))}")


def _xids(events: Handle) -> list[tuple[str, int]]:
    """Return the errors that were reported since the last pass, as UUID and XID."""
    found: list[tuple[str, int]] = []
    while len(found) < EVENTS_PER_PASS_MAX:
        try:
            event = pynvml.nvmlEventSetWait_v2(events, 0)
            found.append((_text(pynvml.nvmlDeviceGetUUID, event.device), int(event.eventData)))
        except pynvml.NVMLError as error:
            if error.value in GONE:
                raise
            break
    return found


def _answer(question: Callable[[], T]) -> T | None:
    """Return the answer, or None where the card or its driver has none."""
    try:
        return question()
    except pynvml.NVMLError as error:
        if error.value in ABSENT:
            return None
        raise


def _text(function: Callable[..., Any], *arguments: Handle) -> str:
    try:
        return str(function(*arguments))
    except UnicodeDecodeError as error:
        return error.object.decode("utf-8", "replace")


def _memory_bytes(handle: Handle, part: str) -> int:
    """Return `total` or `used`; the newer call, which counts what the driver reserves apart."""
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    except pynvml.NVMLError as error:
        if error.value not in ABSENT:
            raise
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    size = int(getattr(memory, part))
    if size == MEMORY_ABSENT:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    return size


def _memory_used_mib(handle: Handle) -> int:
    return _memory_bytes(handle, "used") // BYTES_PER_MIB


def _bus_id(handle: Handle) -> str:
    return _text(lambda: pynvml.nvmlDeviceGetPciInfo(handle).busId)


def _minor_number(handle: Handle) -> int | None:
    minor = int(pynvml.nvmlDeviceGetMinorNumber(handle))
    return None if minor == MINOR_ABSENT else minor


def _mig_mode(handle: Handle) -> bool:
    return bool(pynvml.nvmlDeviceGetMigMode(handle)[0])


def _utilization(handle: Handle) -> int:
    return int(pynvml.nvmlDeviceGetUtilizationRates(handle).gpu)


def _temperature(handle: Handle) -> int:
    return int(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))


def _ecc(handle: Handle) -> int:
    return int(
        pynvml.nvmlDeviceGetTotalEccErrors(
            handle, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, pynvml.NVML_VOLATILE_ECC
        )
    )


QUESTIONS: dict[Capability, Callable[[Handle], int]] = {
    Capability.UTILIZATION: _utilization,
    Capability.MEMORY: _memory_used_mib,
    Capability.TEMPERATURE: _temperature,
    Capability.POWER: lambda handle: int(pynvml.nvmlDeviceGetPowerUsage(handle)),
    Capability.ENERGY: lambda handle: int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle)),
    Capability.ECC: _ecc,
}
