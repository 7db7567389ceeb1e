"""Cards that fall off, hang or change places, under the real nvidia-ml-py."""

import asyncio
import time

import pytest

from agent.accelerators.accelerator import Accelerator, DriverMismatch, Sample
from agent.drivers.nvml import NvmlAccelerators
from tests.fakes.nvml.running import (
    NOW_MS,
    SHORT_DEADLINE_MS,
    NewMachine,
    listed_and_read,
    run,
    until_well,
)
from tests.fakes.nvml.state import GPU_IS_LOST, LIBRARY_MISMATCH, UNKNOWN_ERROR


def test_a_lost_card_says_so_while_the_others_go_on(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(3)

    async def lose_and_return(source: NvmlAccelerators) -> list[tuple[Sample, ...]]:
        passes = [await listed_and_read(source)]
        machine[1].error = GPU_IS_LOST
        passes.append(await source.read_samples(NOW_MS))
        machine[1].error = 0
        passes.append(await source.read_samples(NOW_MS))
        return passes

    before, meanwhile, after = run(machine, lose_and_return)

    assert [sample.loss for sample in before] == [None, None, None]
    assert [sample.loss for sample in meanwhile] == [None, "it has fallen off the bus", None]
    assert meanwhile[1].utilization_percent is None
    assert after == before


def test_a_card_that_answers_every_question_with_an_error_is_lost(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(1)

    async def fail(source: NvmlAccelerators) -> tuple[Sample, ...]:
        await listed_and_read(source)
        machine[0].error = UNKNOWN_ERROR
        return await source.read_samples(NOW_MS)

    (sample,) = run(machine, fail)

    assert sample.loss == "the driver says Unknown Error"


def test_a_card_that_the_driver_no_longer_lists_is_lost_and_not_listed(
    nvml_machine: NewMachine,
) -> None:
    machine = nvml_machine(2)

    async def take_one_out(
        source: NvmlAccelerators,
    ) -> tuple[tuple[Accelerator, ...], tuple[Sample, ...]]:
        await source.list_accelerators()
        machine.machine.gpu_count = 1
        return await source.list_accelerators(), await source.read_samples(NOW_MS)

    cards, samples = run(machine, take_one_out)

    assert [card.uuid for card in cards] == [machine.uuid(0)]
    assert [sample.loss for sample in samples] == [None, "the driver no longer lists it"]


def test_a_hanging_card_costs_its_caller_one_deadline_and_the_others_nothing(
    nvml_machine: NewMachine,
) -> None:
    machine = nvml_machine(2)

    async def hang_and_return(source: NvmlAccelerators) -> list[tuple[Sample, ...]]:
        await source.list_accelerators()
        machine[0].hang = 1
        hanging = [await source.read_samples(NOW_MS)]
        began = time.monotonic()
        hanging += [await source.read_samples(NOW_MS) for _ in range(20)]
        assert time.monotonic() - began < 10 * SHORT_DEADLINE_MS / 1000
        machine[0].hang = 0
        return [*hanging, await until_well(source)]

    *hanging, after = run(machine, hang_and_return, deadline_ms=SHORT_DEADLINE_MS)

    for first, second in hanging:
        assert first.loss == f"a driver call has not returned within {SHORT_DEADLINE_MS} ms"
        assert second.utilization_percent == 41
    assert [sample.loss for sample in after] == [None, None]


def test_the_event_loop_turns_while_a_call_hangs(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(1)

    async def turns_while_hanging(source: NvmlAccelerators) -> int:
        await source.list_accelerators()
        machine[0].hang = 1
        reading = asyncio.create_task(source.read_samples(NOW_MS))
        turns = 0
        while not reading.done():
            await asyncio.sleep(0.001)
            turns += 1
        return turns

    assert run(machine, turns_while_hanging, deadline_ms=SHORT_DEADLINE_MS) > 10


def test_a_driver_that_hangs_altogether_is_not_asked_without_end(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(8)

    async def hang_all(source: NvmlAccelerators) -> list[tuple[Sample, ...]]:
        await source.list_accelerators()
        for gpu in machine.machine.gpus:
            gpu.hang = 1
        began = time.monotonic()
        hanging = await source.read_samples(NOW_MS)
        assert time.monotonic() - began < 8 * SHORT_DEADLINE_MS / 1000
        machine.let_all_return()
        return [hanging, await until_well(source)]

    hanging, after = run(machine, hang_all, deadline_ms=SHORT_DEADLINE_MS)

    assert all(sample.loss for sample in hanging)
    assert not any(sample.loss for sample in after)


def test_a_card_that_hangs_when_listed_does_not_hide_the_others(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(2)
    machine[0].hang = 1

    cards = run(machine, lambda source: source.list_accelerators(), deadline_ms=SHORT_DEADLINE_MS)

    assert [card.uuid for card in cards] == [machine.uuid(1)]


def test_closing_does_not_wait_for_a_call_that_hangs(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(1)

    async def hang(source: NvmlAccelerators) -> None:
        await source.list_accelerators()
        machine[0].hang = 1
        await source.read_samples(NOW_MS)

    run(machine, hang, deadline_ms=SHORT_DEADLINE_MS)

    assert machine[0].hang == 1


def test_renumbered_cards_keep_their_identity(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(2)
    first, second = machine.uuid(0), machine.uuid(1)

    async def renumber(
        source: NvmlAccelerators,
    ) -> tuple[tuple[Sample, ...], tuple[Sample, ...], tuple[Accelerator, ...]]:
        before = await listed_and_read(source)
        machine.swap(0, 1)
        return before, await source.read_samples(NOW_MS), await source.list_accelerators()

    before, after, cards = run(machine, renumber)

    assert after == before
    assert [(card.uuid, card.index) for card in cards] == [(second, 0), (first, 1)]


def test_a_driver_replaced_under_us_is_named_and_found_again(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(1)

    async def replace_driver(source: NvmlAccelerators) -> tuple[Sample, ...]:
        await listed_and_read(source)
        machine.machine.call_error = machine.machine.init_error = LIBRARY_MISMATCH
        for _ in range(2):
            with pytest.raises(DriverMismatch, match="different versions"):
                await source.read_samples(NOW_MS)
        machine.machine.call_error = machine.machine.init_error = 0
        return await source.read_samples(NOW_MS)

    (sample,) = run(machine, replace_driver)

    assert sample.loss is None
    assert machine.machine.inits == 2
    assert "reboot" in DriverMismatch.remedy


def test_errors_are_reported_again_after_the_driver_was_replaced(
    nvml_machine: NewMachine,
) -> None:
    machine = nvml_machine(1)

    async def replace_driver(source: NvmlAccelerators) -> tuple[Sample, ...]:
        await listed_and_read(source)
        machine.machine.call_error = LIBRARY_MISMATCH
        with pytest.raises(DriverMismatch):
            await source.read_samples(NOW_MS)
        machine.machine.call_error = 0
        await source.read_samples(NOW_MS)
        machine.report_xid(0, 48)
        return await source.read_samples(NOW_MS)

    (sample,) = run(machine, replace_driver)

    assert sample.xid == 48
