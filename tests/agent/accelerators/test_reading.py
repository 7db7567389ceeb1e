"""Bare figures in the light of what a card said before."""

from hypothesis import given
from hypothesis import strategies as st

from agent.accelerators.accelerator import Accelerator, Capability, Sample, energy_between_mj
from agent.accelerators.reading import Memory, sample_from, wanted_now

POWER_ONLY = Capability.POWER | Capability.UTILIZATION
HOUR_MS = 3_600_000


def test_constant_power_integrates_to_power_times_time() -> None:
    readings = [(at_ms, 400_000) for at_ms in range(0, HOUR_MS + 1, 1_000)]

    *_, last = integrated(readings)

    assert last.energy_mj == 400_000 * 3_600


@given(
    st.lists(st.tuples(st.integers(1, 300_000), st.integers(0, 1_000_000)), min_size=1, max_size=30)
)
def test_an_integral_never_falls_and_begins_with_the_agent(steps: list[tuple[int, int]]) -> None:
    at_ms = 0
    readings = [(0, 0)]
    for step_ms, power_mw in steps:
        at_ms += step_ms
        readings.append((at_ms, power_mw))

    samples = integrated(readings)

    energies = [sample.energy_mj or 0 for sample in samples]
    assert energies == sorted(energies)
    assert [sample.counter_reset for sample in samples] == [True] + [False] * len(steps)
    assert all(sample.estimated for sample in samples)


def test_no_energy_is_counted_over_a_silence_or_a_clock_that_stands() -> None:
    readings = [(0, 500_000), (300_001, 500_000), (300_001, 500_000), (299_000, 500_000)]

    assert [sample.energy_mj for sample in integrated(readings)] == [0, 0, 0, 0]


def test_a_power_reading_that_fails_leaves_the_integral_where_it_is() -> None:
    card = card_with(POWER_ONLY)
    first, memory = sample_from(
        card, Memory(), {Capability.POWER: 100_000}, now_ms=0, boottime_ms=0
    )
    failed, memory = sample_from(card, memory, {}, now_ms=0, boottime_ms=1_000)
    after, _ = sample_from(card, memory, {Capability.POWER: 100_000}, now_ms=0, boottime_ms=2_000)

    assert failed.energy_mj is None
    assert failed.power_mw is None
    assert energy_between_mj(first, after) == 200_000


def test_a_figure_that_fails_once_is_none_once() -> None:
    card = card_with(Capability.UTILIZATION | Capability.TEMPERATURE)

    sample, _ = sample_from(card, Memory(), {Capability.TEMPERATURE: 40}, now_ms=7, boottime_ms=0)

    assert sample == Sample(uuid="GPU-1", at_ms=7, temperature_c=40)


def test_memory_errors_are_kept_between_the_times_they_are_asked_for() -> None:
    card = card_with(Capability.ECC)
    _, memory = sample_from(card, Memory(), {Capability.ECC: 3}, now_ms=0, boottime_ms=0)

    sample, memory = sample_from(card, memory, {}, now_ms=0, boottime_ms=5_000)

    assert sample.ecc_uncorrected == 3
    assert wanted_now(card, memory, boottime_ms=9_999) == Capability(0)
    assert wanted_now(card, memory, boottime_ms=10_000) == Capability.ECC


def integrated(readings: list[tuple[int, int]]) -> list[Sample]:
    """The samples of a card without an energy counter; readings are boottime and power."""
    card, memory, samples = card_with(POWER_ONLY), Memory(), []
    for boottime_ms, power_mw in readings:
        figures = {Capability.POWER: power_mw}
        sample, memory = sample_from(card, memory, figures, now_ms=0, boottime_ms=boottime_ms)
        samples.append(sample)
    return samples


def card_with(capabilities: Capability) -> Accelerator:
    return Accelerator(
        uuid="GPU-1",
        index=0,
        model="Tesla P100",
        memory_mib=16_384,
        driver_version="570",
        simulated=False,
        pci_bus_id="",
        minor_number=0,
        mig_mode=None,
        capabilities=capabilities,
    )
