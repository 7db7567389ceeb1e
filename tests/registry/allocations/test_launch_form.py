"""The launch form: what is understood, and which field a refusal names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.manifest import read_name
from protocol.refusal import Refusal
from registry.allocations.launch_form import (
    CHARACTERS_MAX,
    LaunchBody,
    chosen_name,
    read_launch_body,
    read_launch_fields,
)

IMAGE = "registry.example/pytorch@sha256:" + "0" * 64
FIELDS = {"name": "train-1", "sku": "h200.1x", "image": IMAGE}


def test_the_page_and_the_api_understand_the_same_launch() -> None:
    fields = {
        **FIELDS,
        "command": "python train.py --name 'two words'",
        "environment": "EPOCHS=3\n\nMODE=fast=er",
        "place": "country:KE",
    }
    manifest = {
        "image": IMAGE,
        "command": ["python", "train.py", "--name", "two words"],
        "environment": {"EPOCHS": "3", "MODE": "fast=er"},
    }
    body = LaunchBody(name="train-1", sku="h200.1x", manifest=manifest, country="KE")

    assert read_launch_fields(fields) == read_launch_body(body, key="key-12345678")


@pytest.mark.parametrize("field", sorted(CHARACTERS_MAX))
def test_a_field_that_is_too_long_is_refused_before_it_is_read(field: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_launch_fields(FIELDS | {field: "'" * (CHARACTERS_MAX[field] + 1)})

    assert refused.value.field == field
    assert "characters" in refused.value.message


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "Ünïcode"}, "name"),
        ({"name": "-a"}, "name"),
        ({"sku": ""}, "sku"),
        ({"image": ""}, "image"),
        ({"image": "pytorch:latest"}, "image"),
        ({"image": "a/b@sha256:" + "0" * 63}, "image"),
        ({"command": "echo 'open"}, "command"),
        ({"environment": "NOEQUALS"}, "environment"),
        ({"environment": "A=1\nA=2"}, "environment"),
        ({"environment": "LD_PRELOAD=/x"}, "environment.LD_PRELOAD"),
        ({"environment": "nvidia_visible_devices=all"}, "environment.nvidia_visible_devices"),
        ({"environment": "1A=x"}, "environment.1A"),
        ({"place": "country:kenya"}, "place"),
        ({"place": "moon"}, "place"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, str], field: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_launch_fields({**FIELDS, **change})

    assert refused.value.field == field
    assert refused.value.status == 422


@pytest.mark.parametrize(
    "extra",
    [
        "privileged", "cap_add", "network_mode", "pid_mode", "ipc_mode", "uts_mode", "userns_mode",
        "devices", "sysctls", "volumes", "binds", "mounts", "volumes_from", "runtime",
        "security_opt", "restart_policy",
    ],
)  # fmt: skip
def test_what_the_manifest_does_not_know_cannot_be_asked_for(extra: str) -> None:
    body = LaunchBody(name="x", sku="y", manifest={"image": IMAGE, extra: True})

    with pytest.raises(Refusal) as refused:
        read_launch_body(body, key="key-12345678")

    assert refused.value.field == extra


def test_a_country_and_a_site_together_are_refused() -> None:
    body = LaunchBody(name="x", sku="y", manifest={"image": IMAGE}, country="KE", site="s_1")

    with pytest.raises(Refusal) as refused:
        read_launch_body(body, key="key-12345678")

    assert refused.value.field == "country"


@given(st.text(max_size=80), st.text(min_size=8, max_size=64))
def test_a_name_that_is_made_up_is_always_a_name(image: str, key: str) -> None:
    assert read_name(chosen_name(image, key))


def test_a_program_that_sends_no_name_gets_one_of_its_image_and_key() -> None:
    body = LaunchBody(sku="y", manifest={"image": IMAGE})

    form = read_launch_body(body, key="key-12345678")

    assert form.name == "pytorch-5678"
    assert read_launch_body(body, key="key-12345678") == form
