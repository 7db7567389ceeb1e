"""The real nvidia-ml-py against the stub library: what cards and their driver say."""

from itertools import pairwise

import pytest

from agent.accelerators.accelerator import Accelerator, Capability, Sample, energy_between_mj
from agent.drivers.nvml import NvmlAccelerators
from tests.fakes.nvml.running import NOW_MS, NewMachine, listed_and_read, run
from tests.fakes.nvml.state import GIB, Feature


def test_a_card_is_described_as_its_driver_says(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(2)

    cards = run(machine, lambda source: source.list_accelerators())

    assert cards[1] == Accelerator(
        uuid=machine.uuid(1),
        index=1,
        model="NVIDIA H200",
        memory_mib=141 * 1024,
        driver_version="570.86.15",
        simulated=False,
        pci_bus_id="00000000:04:00.0",
        minor_number=1,
        mig_mode=False,
        capabilities=cards[0].capabilities,
    )
    assert [card.index for card in cards] == [0, 1]
    assert cards[0].capabilities == ~Capability(0)


def test_a_sample_holds_what_the_card_says_now(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(1)
    machine[0].utilization_percent = 73
    machine[0].energy_mj = 123_456
    machine[0].ecc_uncorrected = 2

    (sample,) = run(machine, listed_and_read)

    assert sample == Sample(
        uuid=machine.uuid(0),
        at_ms=NOW_MS,
        utilization_percent=73,
        memory_used_mib=4 * 1024,
        temperature_c=50,
        power_mw=300_000,
        energy_mj=123_456,
        ecc_uncorrected=2,
        xid=0,
    )


@pytest.mark.parametrize(
    ("feature", "field"),
    [
        (Feature.UTILIZATION, "utilization_percent"),
        (Feature.MEMORY, "memory_used_mib"),
        (Feature.TEMPERATURE, "temperature_c"),
        (Feature.POWER, "power_mw"),
        (Feature.ECC, "ecc_uncorrected"),
        (Feature.XID, "xid"),
    ],
)
def test_what_a_card_does_not_support_is_none_and_never_zero(
    nvml_machine: NewMachine, feature: Feature, field: str
) -> None:
    machine = nvml_machine(1)
    machine[0].unsupported = feature

    (sample,) = run(machine, listed_and_read)

    others = set(Sample.__slots__) - {field, "uuid", "at_ms", "loss"}
    assert getattr(sample, field) is None
    assert sample.loss is None
    assert all(getattr(sample, other) is not None for other in others)


def test_capabilities_are_those_the_card_answered_at_the_start(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(2)
    machine[1].unsupported = Feature.ECC | Feature.XID | Feature.MIG | Feature.MINOR

    _, card = run(machine, lambda source: source.list_accelerators())

    assert Capability.ECC not in card.capabilities
    assert Capability.XID not in card.capabilities
    assert Capability.POWER in card.capabilities
    assert card.mig_mode is None
    assert card.minor_number is None


def test_a_card_listed_again_is_asked_what_it_could_tell_at_the_start(
    nvml_machine: NewMachine,
) -> None:
    machine = nvml_machine(1)

    async def lose_a_feature(source: NvmlAccelerators) -> tuple[Sample, ...]:
        await source.list_accelerators()
        machine[0].unsupported = Feature.ENERGY
        return await listed_and_read(source)

    (sample,) = run(machine, lose_a_feature)

    assert sample.energy_mj is None
    assert not sample.estimated


def test_memory_is_read_by_the_older_call_where_the_newer_one_is_absent(
    nvml_machine: NewMachine,
) -> None:
    machine = nvml_machine(1)
    machine[0].unsupported = Feature.MEMORY_V2

    (sample,) = run(machine, listed_and_read)

    assert sample.memory_used_mib == 4 * 1024


def test_a_card_that_cannot_tell_its_memory_has_none(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(1)
    machine[0].unsupported = Feature.MEMORY

    (card,) = run(machine, lambda source: source.list_accelerators())

    assert card.memory_mib is None


def test_a_value_out_of_range_is_clamped_and_flagged(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(1)
    machine[0].utilization_percent = 101
    machine[0].memory_used_bytes = 500 * GIB

    (sample,) = run(machine, listed_and_read)

    assert sample.utilization_percent == 100
    assert sample.memory_used_mib == 141 * 1024
    assert sample.clamped


def test_a_name_is_cut_to_printable_characters(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(2)
    machine[0].name = b"<b>\x1b[31m\xff\xfe" + b"x" * 80
    machine[1].name = b""

    first, second = run(machine, lambda source: source.list_accelerators())

    assert first.model == "<b>?[31m??" + "x" * 54
    assert second.model == "unknown"


def test_cards_that_share_a_uuid_are_left_out(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(3)
    machine[2].uuid = machine[0].uuid

    cards = run(machine, lambda source: source.list_accelerators())

    assert [card.uuid for card in cards] == [machine.uuid(1)]


def test_an_energy_counter_that_fell_is_flagged_and_bridges_nothing(
    nvml_machine: NewMachine,
) -> None:
    machine = nvml_machine(1)

    async def reload(source: NvmlAccelerators) -> list[Sample]:
        samples = [*await listed_and_read(source)]
        for energy_mj in (1_500_000, 40, 90):
            machine[0].energy_mj = energy_mj
            samples += await source.read_samples(NOW_MS)
        return samples

    samples = run(machine, reload)

    assert [sample.counter_reset for sample in samples] == [False, False, True, False]
    assert [energy_between_mj(*pair) for pair in pairwise(samples)] == [500_000, None, 50]


def test_without_an_energy_counter_power_is_integrated_and_flagged(
    nvml_machine: NewMachine,
) -> None:
    machine = nvml_machine(1)
    machine[0].unsupported = Feature.ENERGY
    moments = iter([0, 1_000, 3_000])

    async def three_passes(source: NvmlAccelerators) -> list[Sample]:
        samples = [*await listed_and_read(source), *await source.read_samples(NOW_MS)]
        machine[0].power_mw = 500_000
        return [*samples, *await source.read_samples(NOW_MS)]

    samples = run(machine, three_passes, boottime=lambda: next(moments))

    assert [sample.energy_mj for sample in samples] == [0, 300_000, 1_100_000]
    assert all(sample.estimated for sample in samples)
    assert [sample.counter_reset for sample in samples] == [True, False, False]


def test_an_error_reported_by_the_driver_stays_on_its_card(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(2)

    async def report(source: NvmlAccelerators) -> tuple[Sample, ...]:
        await listed_and_read(source)
        machine.report_xid(1, 31)
        machine.report_xid(1, 79)
        await source.read_samples(NOW_MS)
        return await source.read_samples(NOW_MS)

    samples = run(machine, report)

    assert [sample.xid for sample in samples] == [0, 79]


def test_memory_errors_are_asked_for_every_ten_seconds(nvml_machine: NewMachine) -> None:
    machine = nvml_machine(1)
    moments = iter([0, 9_999, 10_000])

    async def three_passes(source: NvmlAccelerators) -> list[Sample]:
        samples = [*await listed_and_read(source)]
        machine[0].ecc_uncorrected = 5
        return [*samples, *await source.read_samples(0), *await source.read_samples(0)]

    samples = run(machine, three_passes, boottime=lambda: next(moments))

    assert [sample.ecc_uncorrected for sample in samples] == [0, 0, 5]
