"""A wrong setting is named as it stands in the file, with what is wanted there, in words."""

from pathlib import Path

import msgspec
import pytest

from agent.config import Config as AgentConfig
from agent.config import read_config as read_agent_config
from protocol.refusal import Refusal
from protocol.settings import setting_fault
from registry.config import Config as RegistryConfig
from registry.config import read_config as read_registry_config

AGENT = {"registry_url": "http://registry.example"}
REGISTRY = {"base_url": "http://localhost", "mail": {"sender": "a@b.example", "outbox": "x"}}


@pytest.mark.parametrize(
    ("kind", "plain", "field", "wanted"),
    [
        (AgentConfig, {"registry_url": "gopher://x"}, "registry_url", "http://"),
        (AgentConfig, {"registry_url": 7}, "registry_url", "http://"),
        (AgentConfig, AGENT | {"demo": "yes"}, "demo", "must be true or false"),
        (AgentConfig, AGENT | {"sync_interval_s": 0}, "sync_interval_s", "number, 1 to 300"),
        (AgentConfig, AGENT | {"metering": {"tick_s": "often"}}, "metering.tick_s", "1 to 300"),
        (AgentConfig, AGENT | {"metering": 5}, "metering", "must be a table"),
        (
            AgentConfig,
            AGENT | {"accelerators": {"source": "imagined"}},
            "accelerators.source",
            '"auto", "none", "nvml" or "simulated"',
        ),
        (
            AgentConfig,
            AGENT | {"backends": [{"name": "x", "url": "http://a"}, {"name": "y", "url": "b"}]},
            "backends[1].url",
            "http://",
        ),
        (AgentConfig, AGENT | {"backends": [{"name": "x"}]}, "backends[0].url", "is missing"),
        (AgentConfig, AGENT | {"dmeo": True}, "dmeo", "is not a setting"),
        (AgentConfig, {}, "registry_url", "is missing"),
        (AgentConfig, AGENT | {"backends": "x"}, "backends", "a list in [ ]"),
        (RegistryConfig, REGISTRY | {"base_url": "https://x/y"}, "base_url", "https://"),
        (RegistryConfig, REGISTRY | {"listen": "nowhere"}, "listen", "127.0.0.1:8080"),
        (RegistryConfig, REGISTRY | {"workers": 65}, "workers", "a whole number, 1 to 64"),
        (RegistryConfig, REGISTRY | {"platform_admins": ["a"]}, "platform_admins[0]", "@"),
        (RegistryConfig, REGISTRY | {"domain": "x" * 254}, "domain", "at most 253 characters"),
        (RegistryConfig, REGISTRY | {"mail": {"outbox": "x"}}, "mail.sender", "is missing"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_wanted(
    kind: type, plain: dict[str, object], field: str, wanted: str
) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(plain, kind)

    fault = setting_fault(caught.value, kind)

    assert fault.field == field
    assert wanted in fault.why
    for insides in ("regex", "\\Z", "Expected", "`", "$"):
        assert insides not in fault.why


def test_both_programs_say_it_in_one_sentence_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text('registry_url = "gopher://x"')
    with pytest.raises(Refusal, match=r"x\.toml: registry_url must be .*http://"):
        read_agent_config(path)
    path.write_text('base_url = "gopher://x"\n[mail]\nsender = "a@b.example"\noutbox = "x"')
    with pytest.raises(Refusal, match=r"x\.toml: base_url must be .*http://"):
        read_registry_config(path)
