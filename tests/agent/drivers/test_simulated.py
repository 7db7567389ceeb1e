"""GPUs that do not exist and say so."""

import asyncio
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.accelerators.accelerator import UUID_PATTERN, Sample, bounded
from agent.drivers.simulated import SimulatedAccelerators

MINUTE_MS = 60_000


@given(node=st.text(), count=st.integers(0, 16), model=st.text(), seed=st.integers())
def test_a_simulated_card_always_says_that_it_is(
    node: str, count: int, model: str, seed: int
) -> None:
    cards = asyncio.run(source(node=node, count=count, model=model, seed=seed).list_accelerators())

    assert len({card.uuid for card in cards}) == count
    for card in cards:
        assert card.simulated is True
        assert card.driver_version == "simulated"
        assert card.uuid.startswith("SIM-")
        assert UUID_PATTERN.fullmatch(card.uuid)


def test_the_model_is_the_configured_one() -> None:
    (card,) = asyncio.run(source(count=1, model="NVIDIA H200").list_accelerators())

    assert card.model == "NVIDIA H200"
    assert card.memory_mib == 144_384


def test_two_nodes_never_have_a_card_in_common_and_a_restart_changes_nothing() -> None:
    first, again, other = (
        {card.uuid for card in asyncio.run(source(node=node).list_accelerators())}
        for node in ("n_one", "n_one", "n_two")
    )

    assert first == again
    assert not first & other


def test_the_same_arguments_tell_the_same_story() -> None:
    assert story() == story()


def test_a_held_card_works_and_a_free_one_idles() -> None:
    for busy, idle in story():
        assert busy.utilization_percent is not None
        assert busy.utilization_percent >= 80
        assert idle.utilization_percent == 0
        assert (busy.power_mw or 0) > 4 * (idle.power_mw or 0)
        assert (busy.temperature_c or 0) > (idle.temperature_c or 0)
        assert (busy.memory_used_mib or 0) > (idle.memory_used_mib or 0)
        assert busy == bounded(replace(busy, clamped=False), memory_mib=144_384)


def test_energy_is_an_estimate_that_fits_the_power() -> None:
    passes = story()

    for samples in zip(*passes, strict=True):
        used_mj = (samples[-1].energy_mj or 0) - (samples[0].energy_mj or 0)
        powers = [sample.power_mw or 0 for sample in samples]
        seconds = (len(passes) - 1) * MINUTE_MS // 1_000
        assert min(powers) * seconds <= used_mj <= max(powers) * seconds
        assert all(sample.estimated for sample in samples)


def story() -> list[tuple[Sample, Sample]]:
    """Ten readings a minute apart of a busy and an idle card."""
    clock = [0]
    simulated = source(count=2, boottime=clock)
    cards = asyncio.run(simulated.list_accelerators())
    simulated.hold({cards[0].uuid})
    passes = []
    for _ in range(10):
        samples = {sample.uuid: sample for sample in asyncio.run(simulated.read_samples(clock[0]))}
        passes.append((samples[cards[0].uuid], samples[cards[1].uuid]))
        clock[0] += MINUTE_MS
    return passes


def source(
    *,
    node: str = "n_one",
    count: int = 4,
    model: str = "NVIDIA H200",
    seed: int = 1,
    boottime: list[int] | None = None,
) -> SimulatedAccelerators:
    clock = [0] if boottime is None else boottime
    return SimulatedAccelerators(
        node=node,
        count=count,
        model=model,
        memory_mib=144_384,
        seed=seed,
        boottime=lambda: clock[0],
    )
