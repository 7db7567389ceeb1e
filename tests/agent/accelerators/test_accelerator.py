"""What is believed of a card's own words."""

from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from agent.accelerators.accelerator import (
    COUNTER_MAX,
    Accelerator,
    Capability,
    Sample,
    bounded,
    energy_between_mj,
    identified,
    lost_uuids,
    printable,
)

MEMORY_MIB = 1_000
figures = st.none() | st.integers(-(2**70), 2**70)
samples = st.builds(
    Sample,
    uuid=st.just("GPU-1"),
    at_ms=st.just(0),
    utilization_percent=figures,
    memory_used_mib=figures,
    temperature_c=figures,
    power_mw=figures,
    energy_mj=figures,
    ecc_uncorrected=figures,
)
CARD = Accelerator(
    uuid="GPU-1",
    index=0,
    model="NVIDIA H200",
    memory_mib=MEMORY_MIB,
    driver_version="570",
    simulated=False,
    pci_bus_id="",
    minor_number=0,
    mig_mode=None,
    capabilities=Capability(0),
)


@given(st.text())
def test_any_text_of_a_driver_may_stand_in_a_usage_entry(text: str) -> None:
    shown = printable(text)

    assert 1 <= len(shown) <= 64
    assert shown.isascii()
    assert shown.isprintable()
    assert '"' not in shown
    assert "\\" not in shown


@given(st.text(alphabet="ABCxyz019 -", min_size=1, max_size=64).map(str.strip).filter(len))
def test_an_honest_name_is_left_as_it_is(name: str) -> None:
    assert printable(name) == name


@given(samples)
def test_every_value_is_brought_into_range_and_flagged_if_it_was_not(sample: Sample) -> None:
    inside = bounded(sample, memory_mib=MEMORY_MIB)

    values = [inside.utilization_percent, inside.memory_used_mib, inside.temperature_c]
    highest = [100, MEMORY_MIB, 200]
    assert all(v is None or 0 <= v <= h for v, h in zip(values, highest, strict=True))
    assert inside.energy_mj is None or 0 <= inside.energy_mj <= COUNTER_MAX
    assert inside.clamped == (replace(inside, clamped=False) != sample)


@given(samples)
def test_what_a_card_does_not_tell_stays_none(sample: Sample) -> None:
    inside = bounded(sample, memory_mib=None)

    for field in fields(Sample):
        if field.name != "clamped":
            was, now = getattr(sample, field.name), getattr(inside, field.name)
            assert (was is None) == (now is None)


def test_cards_without_a_uuid_of_their_own_are_told_apart_from_the_rest() -> None:
    good = replace(CARD, uuid="GPU-good")
    twins = [replace(CARD, uuid="GPU-twin", index=index) for index in (1, 2)]
    odd = [replace(CARD, uuid=uuid) for uuid in ("", "GPU 1", "GPU-\n", "é", "x" * 65)]

    known, unknown = identified([good, *twins, *odd])

    assert known == [good]
    assert unknown == [*twins, *odd]


def test_energy_is_the_difference_of_two_readings_of_one_counter() -> None:
    before = Sample(uuid="GPU-1", at_ms=0, energy_mj=100)

    assert energy_between_mj(before, replace(before, energy_mj=130)) == 30
    assert energy_between_mj(before, before) == 0


def test_energy_is_unknown_across_a_reset_a_change_of_method_or_a_silence() -> None:
    before = Sample(uuid="GPU-1", at_ms=0, energy_mj=100)

    assert energy_between_mj(before, replace(before, energy_mj=90)) is None
    assert energy_between_mj(before, replace(before, energy_mj=150, counter_reset=True)) is None
    assert energy_between_mj(before, replace(before, energy_mj=150, estimated=True)) is None
    assert energy_between_mj(before, replace(before, energy_mj=None)) is None
    assert energy_between_mj(replace(before, energy_mj=None), before) is None


def test_the_lost_cards_are_those_that_say_why() -> None:
    well = Sample(uuid="GPU-1", at_ms=0)
    gone = Sample(uuid="GPU-2", at_ms=0, loss="it has fallen off the bus")

    assert lost_uuids([well, gone]) == {"GPU-2"}
