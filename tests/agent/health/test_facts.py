"""How cards, readings and holders become facts."""

from agent.accelerators.accelerator import Accelerator, Capability, Sample
from agent.health.facts import AcceleratorReading, accelerator_readings

CARD = Accelerator(
    uuid="GPU-1",
    index=0,
    model="NVIDIA H200",
    memory_mib=144_384,
    driver_version="570",
    simulated=False,
    pci_bus_id="",
    minor_number=0,
    mig_mode=None,
    capabilities=Capability(0),
)


def test_a_card_is_described_with_its_temperature_and_holder() -> None:
    sample = Sample(uuid="GPU-1", at_ms=0, temperature_c=61)

    readings = accelerator_readings([CARD], [sample], {"GPU-1": "a_1"})

    assert readings == (AcceleratorReading("GPU-1", "NVIDIA H200", None, 61, "a_1"),)


def test_a_card_that_was_not_read_yet_is_not_lost() -> None:
    (reading,) = accelerator_readings([CARD], [], {})

    assert reading.loss is None


def test_a_lost_card_stays_in_sight_when_it_is_no_longer_listed() -> None:
    sample = Sample(uuid="GPU-1", at_ms=0, loss="the driver no longer lists it")

    (reading,) = accelerator_readings([], [sample], {})

    assert reading.loss == "the driver no longer lists it"


def test_a_held_card_that_is_not_there_after_a_reboot_is_lost() -> None:
    known, gone = accelerator_readings([CARD], [], {"GPU-7": "a_1"})

    assert known.loss is None
    assert gone == AcceleratorReading(
        "GPU-7", "unknown", "the driver does not list it", None, "a_1"
    )
