"""A site.toml is read into values, and what is wrong with it is named by its field."""

from pathlib import Path

import pytest

from protocol.refusal import Refusal
from registry.sites.countries import COUNTRIES
from registry.sites.definition import read_site_definition

GOOD = """
[site]
name = "nbo-telecom-1"
city = "Nairobi"
country = "KE"
kind = "telecom_room"
connectivity = "fibre"
power_kw = 20

[[nodes]]
name = "gpu01"
accelerator = "NVIDIA H100 80GB"
count = 2
"""


def test_a_definition_says_the_site_and_its_nodes() -> None:
    definition = read_site_definition(GOOD.encode())

    assert definition.facts.city == "Nairobi"
    assert definition.facts.power_kw == 20
    (node,) = definition.nodes
    assert (node.name, node.count, node.power_w) == ("gpu01", 2, 0)


def test_the_definition_of_the_demo_can_be_read() -> None:
    definition = read_site_definition(Path("sites/demo/site.toml").read_bytes())

    assert definition.nodes
    assert all("imulated" in node.accelerator for node in definition.nodes)


@pytest.mark.parametrize(
    ("before", "after", "field"),
    [
        ('country = "KE"', 'country = "KEN"', "country"),
        ('country = "KE"', 'country = "XX"', "country"),
        ('kind = "telecom_room"', 'kind = "moon"', "kind"),
        ('connectivity = "fibre"', 'connectivity = "string"', "connectivity"),
        ("power_kw = 20", "power_kw = 0", "power_kw"),
        ("power_kw = 20", 'power_kw = "20"', "power_kw"),
        ("power_kw = 20", "power_kw = 20\ncolour = 1", "colour"),
        ('name = "gpu01"', 'name = "GPU 01"', "nodes[0].name"),
        ("count = 2", "count = 17", "nodes[0].count"),
        ("count = 2\n", "count = 2\n[[nodes]]\nname='gpu01'\naccelerator='x'\ncount=1\n", "nodes"),
        ("[site]", "[place]", "place"),
        ("[site]", "[site", "file"),
    ],
)
def test_what_is_wrong_is_named_by_its_field(before: str, after: str, field: str) -> None:
    assert before in GOOD

    with pytest.raises(Refusal) as refused:
        read_site_definition(GOOD.replace(before, after, 1).encode())

    assert refused.value.field == field
    assert refused.value.status == 422


def test_a_file_that_is_far_too_large_is_refused_unread() -> None:
    with pytest.raises(Refusal, match="more than"):
        read_site_definition(b"#" * 70_000)


@pytest.mark.parametrize("code", ["HR", "QA", "PK", "KE"])
def test_a_site_may_stand_in_any_country(code: str) -> None:
    assert code in COUNTRIES
    assert len(COUNTRIES) == len(set(COUNTRIES.values())) == 249


def test_the_example_is_a_site() -> None:
    example = Path(__file__).parents[3] / "sites" / "example" / "site.toml"

    assert read_site_definition(example.read_bytes()).nodes
