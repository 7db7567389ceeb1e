"""agent.toml: what is read, and which field a refusal names."""

from pathlib import Path

import pytest

from agent.config import gateway_url, read_config
from protocol.refusal import Refusal

GOOD = 'registry_url = "https://registry.example"\n'


def test_the_address_of_the_registry_is_enough(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, GOOD))

    assert config.metering.tick_s == 60
    assert not config.demo
    assert not config.engine.writable_root
    assert gateway_url(config, 8090) == "http://127.0.0.1:8090"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "registry_url"),
        ('registry_url = "registry.example"', "registry_url"),
        (GOOD + "tick = 3", "tick"),
        (GOOD + "[metering]\ntick_s = 0", "metering.tick_s"),
        (GOOD + "[metering]\ntick_s = 301", "metering.tick_s"),
        (GOOD + '[gateway]\nport = "8090"', "gateway.port"),
        (GOOD + "[gateway]\nport = 70000", "gateway.port"),
        (GOOD + '[accelerators]\nsource = "amd"', "accelerators.source"),
        (GOOD + '[accelerators]\nsource = "simulated"', "without demo = true"),
        (GOOD + '[[backends]]\nname = "x"', "url"),
        (GOOD + "[engine", "not TOML"),
        (GOOD + '[engine]\nsite_networks = ["banana"]', "engine.site_networks"),
        (GOOD + '[engine]\nsite_networks = ["10.0.0.1/8"]', "engine.site_networks"),
        (GOOD + 2 * '[[backends]]\nname = "x"\nurl = "http://h"\n', "backends"),
    ],
)
def test_a_wrong_field_is_named_with_its_file(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)

    with pytest.raises(Refusal) as refused:
        read_config(path)

    assert words in refused.value.message
    assert str(path) in refused.value.message
    assert refused.value.hint


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="cannot be read"):
        read_config(tmp_path / "none.toml")


def written(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text)
    return path
