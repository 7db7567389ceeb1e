"""Catalogue files: what is read, and what is refused by field."""

from pathlib import Path

import pytest

from protocol.refusal import Refusal
from registry.catalogue.sku import read_catalogue

GOOD = """
[[sku]]
id = "h200.1x"
class = "gpu"
name = "H200"
accelerator_model = "NVIDIA H200"
accelerator_count = 1
cpu_milli = 16000
memory_mib = 131072
disk_mib = 204800

[[sku.price]]
meter = "gpu.ms"
micros = 2500000
per = 3600000
"""


def test_the_demo_catalogue_is_read() -> None:
    raw = Path("sites/demo/catalogue.toml").read_bytes()

    catalogue = read_catalogue(raw)

    assert [line.id for line in catalogue.sku] == ["sim-h100", "demo-echo"]
    assert catalogue.sku[0].simulated


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('class = "gpu"', 'class = "tpu"', "class"),
        ('meter = "gpu.ms"', 'meter = "gpu.hours"', "no meter is called 'gpu.hours'"),
        ("per = 3600000", "per = 0", "per"),
        ("micros = 2500000", "micros = -1", "micros"),
        ("micros = 2500000", "micros = 2.5", "micros"),
        ("cpu_milli = 16000", "", "needs accelerator_model"),
        ('name = "H200"', 'name = "H200"\ncolour = "red"', "colour"),
        ('id = "h200.1x"', 'id = "H200 one"', "id"),
        ('class = "gpu"', 'class = "model"', "a model needs a price for tok.in"),
        ("[[sku]]", "[[sku", "not TOML"),
    ],
)
def test_a_wrong_line_is_named(before: str, after: str, words: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_catalogue(GOOD.replace(before, after).encode())

    assert words in refused.value.message


def test_an_id_that_stands_twice_is_refused() -> None:
    with pytest.raises(Refusal, match="stands twice"):
        read_catalogue((GOOD + GOOD).encode())
