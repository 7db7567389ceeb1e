"""What is set up wrongly is told in one sentence with its remedy, and nothing half-made is left.

Every case runs the real command; the registry behind them is real too.
"""

import itertools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from protocol import __version__, exits
from protocol.enrolment import SECRET_PATTERN
from sites.demo.processes import program, write_secret
from tests.paths.console import Said, said
from tests.paths.site import GPU_SKU, Site, prepared_site

pytestmark = pytest.mark.docker

REFUSED = frozenset({exits.USAGE, exits.NOT_SIGNED_IN, exits.CONFLICT, exits.POLICY})
SENTENCE_CHARACTERS_MAX = 600


@dataclass
class Newcomer:
    """A machine that is to become a node of a registry that runs, and a folder of its own."""

    site: Site
    folder: Path
    names: Iterator[int] = field(default_factory=itertools.count)

    def config(self, old: str = "", new: str = "") -> Path:
        """The agent's configuration for a fresh state folder, with one thing changed."""
        text = self.site.setting.agent_toml.read_text()
        text = text.replace(str(self.site.setting.folder / "agent"), str(self.state))
        assert old in text
        path = self.folder / "agent.toml"
        path.write_text(text.replace(old, new, 1) if old else text)
        return path

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def enrols(self, secret: str, config: Path | None = None) -> Said:
        path = write_secret(self.folder / "secret", secret)
        command = [program("outstation-agent"), "--config", str(config or self.config())]
        return said([*command, "enrol", "--secret-file", str(path)])

    def new_secret(self) -> str:
        """A secret for the site's node; the one before is revoked by it."""
        made = self.site.setting.registry("node", "secret", self.site.setting.node_id)
        return str(made["secret"])


@pytest.fixture(scope="module")
def site(
    run_folder: Path, tmp_path_factory: pytest.TempPathFactory, busybox_image: str
) -> Iterator[Site]:
    """A registry alone; its node waits for a machine."""
    with prepared_site(run_folder, tmp_path_factory.mktemp("site"), busybox_image) as site:
        site.start_registry()
        yield site


@pytest.fixture
def newcomer(site: Site, tmp_path: Path) -> Newcomer:
    return Newcomer(site, tmp_path)


AGENT_FAULTS = [
    ("demo = true", "dmeo = true", "dmeo"),
    ("tick_s = 1", 'tick_s = "often"', "metering.tick_s"),
    ("tick_s = 1", "tick_s = 0", "metering.tick_s"),
    ('source = "simulated"', 'source = "imagined"', "accelerators.source"),
    ("demo = true", "demo = false", "accelerators.source"),
    ("demo = true", "demo = = true", "TOML"),
    ("[gateway]", "[gateway]\nprot = 1", "prot"),
    ('registry_url = "http', 'registry_url = "gopher', "registry_url"),
]


@pytest.mark.parametrize(("old", "new", "named"), AGENT_FAULTS)
def test_a_wrong_agent_configuration_is_named_with_its_file_and_field(
    newcomer: Newcomer, old: str, new: str, named: str
) -> None:
    config = newcomer.config(old, new)
    done = newcomer.enrols(newcomer.site.setting.enrolment_secret, config)
    assert_one_sentence(done, str(config), named)
    assert not newcomer.state.exists()


REGISTRY_FAULTS = [
    ("demo = true", "dmeo = true", "dmeo"),
    ("workers = 1", 'workers = "many"', "workers"),
    ("http://", "http://gpu.example", "base_url"),
    ("sqlite:///", "mysql://", "database"),
    ('outbox = "outbox"', "", "mail"),
    ("demo = true", "demo = = true", "TOML"),
]


@pytest.mark.parametrize(("old", "new", "named"), REGISTRY_FAULTS)
def test_a_wrong_registry_configuration_is_named_with_its_file_and_field(
    site: Site, tmp_path: Path, old: str, new: str, named: str
) -> None:
    text = site.setting.registry_toml.read_text()
    assert old in text
    config = tmp_path / "registry.toml"
    config.write_text(text.replace(old, new, 1))
    done = said([program("outstation-registry"), "--config", str(config), "serve"])
    assert_one_sentence(done, str(config), named)
    assert [file.name for file in tmp_path.iterdir()] == ["registry.toml"]


@pytest.mark.parametrize("name", ["outstation-agent", "outstation-registry"])
def test_a_missing_configuration_is_named(name: str, tmp_path: Path) -> None:
    config = tmp_path / "absent.toml"
    command = "run" if name == "outstation-agent" else "jobs"
    assert_one_sentence(said([program(name), "--config", str(config), command]), str(config))
    assert list(tmp_path.iterdir()) == []


def test_a_registry_without_a_schema_says_how_to_make_it_and_makes_none(
    site: Site, tmp_path: Path
) -> None:
    config = tmp_path / "registry.toml"
    config.write_text(site.setting.registry_toml.read_text())
    done = said([program("outstation-registry"), "--config", str(config), "serve"])
    assert done.code != 0
    assert "outstation-registry migrate" in done.err
    assert_short(done)


def test_an_agent_that_was_never_enrolled_says_so(newcomer: Newcomer) -> None:
    command = [program("outstation-agent"), "--config", str(newcomer.config())]
    for name in ("run", "status", "verify-log", "clean"):
        done = said([*command, name])
        assert done.code == exits.NOT_SIGNED_IN, name
        assert done.err.startswith("Error: This machine is not enrolled. Get a secret from"), name
        assert_short(done)
    asked = json.loads(said([*command, "status", "--json"]).out)
    assert asked["error"]["code"] == "not_enrolled"
    assert "outstation-agent enrol" in asked["error"]["hint"]
    assert not newcomer.state.exists()


def test_every_wrong_secret_is_named_and_the_right_one_works_after_it(
    newcomer: Newcomer, tmp_path: Path
) -> None:
    site = newcomer.site
    good = site.setting.enrolment_secret
    pinned = SECRET_PATTERN.fullmatch(good)
    assert pinned is not None
    other_registry = good.replace(pinned["registry_key_id"], "0123456789abcdef")
    unknown = "nk_" + "0" * 52 + "_" + pinned["registry_key_id"]
    before = rows(site)

    assert_one_sentence(newcomer.enrols("not a secret"), "secret", "page")
    assert_one_sentence(newcomer.enrols(""), "secret")
    assert_one_sentence(newcomer.enrols(other_registry), "registry")
    assert_one_sentence(newcomer.enrols(unknown), "no enrolment secret of this registry")
    assert not newcomer.state.exists(), "a refused enrolment leaves nothing"
    revoked, good = good, newcomer.new_secret()
    assert_one_sentence(newcomer.enrols(revoked), "revoked", "Make a new one")
    expire(site)
    assert_one_sentence(newcomer.enrols(good), "expired", "Make a new one")
    silent = newcomer.config(f":{site.setting.registry_port}", ":9")
    done = newcomer.enrols(newcomer.new_secret(), silent)
    assert done.code != 0
    assert "http://127.0.0.1:9" in done.err
    assert_short(done)
    assert rows(site) == before

    good = newcomer.new_secret()
    assert newcomer.enrols(good).code == 0
    assert newcomer.enrols(good).code == 0, "the same machine may ask again"
    second = Newcomer(site, tmp_path / "second")
    second.folder.mkdir()
    assert_one_sentence(second.enrols(good), "used by another machine", "Make a new one")
    assert len(rows(site)) == len(before) + 1


def test_a_machine_without_docker_is_told_what_to_do_and_keeps_serving(
    newcomer: Newcomer,
) -> None:
    dead = f"unix://{newcomer.folder}/no-engine.sock"
    config = newcomer.config("[gateway]", f'[engine]\nurl = "{dead}"\n\n[gateway]')
    done = said([program("outstation-agent"), "--config", str(config), "doctor"])
    assert done.code != 0
    lines = done.out.splitlines()
    (at,) = [at for at, line in enumerate(lines) if "container engine" in line]
    assert lines[at] == (
        f"BAD container engine: there is no socket at {newcomer.folder}/no-engine.sock."
    )
    assert "systemctl enable --now docker" in lines[at + 1]
    assert "Traceback" not in done.out + done.err


def test_the_doctor_looks_at_registry_clock_and_versions_and_says_what_to_do(
    newcomer: Newcomer,
) -> None:
    site = newcomer.site
    silent = newcomer.config(f":{site.setting.registry_port}", ":9")
    bad = doctor(silent)
    good = doctor(newcomer.config())

    assert bad["registry"]["detail"] == "nothing listens at 127.0.0.1 port 9"
    assert "registry_url" in bad["registry"]["remedy"]
    assert good["registry"]["ok"]
    assert abs(good["clock"]["facts"]["skew_ms"]) < 5_000
    assert good["versions"]["facts"]["agent"] == __version__
    assert good["usage log"]["ok"]
    for line in (*bad.values(), *good.values()):
        assert line["ok"] or line["remedy"], line
    assert not newcomer.state.exists()


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"image": "busybox:latest"}, "image_unpinned", "image"),
        ({"image": "x; rm -rf /@sha256:" + "0" * 64}, "image_unpinned", "image"),
        ({"privileged": True}, "manifest_invalid", "privileged"),
        ({"ports": [80]}, "manifest_invalid", "ports"),
        ({"ports": "8080"}, "manifest_invalid", "ports"),
        ({"command": [1]}, "manifest_invalid", "command"),
        ({"environment": {"LD_PRELOAD": "/x.so"}}, "manifest_forbidden", "environment.LD_PRELOAD"),
        ({"scratch_mib": 0}, "manifest_invalid", "scratch_mib"),
    ],
)
def test_a_bad_manifest_is_refused_by_field_and_makes_nothing(
    site: Site, changes: dict[str, object], code: str, field: str
) -> None:
    before = site.count_made()
    body = site.body()
    body["manifest"] |= changes
    with site.api() as api:
        answer = api.post(
            "/api/v1/allocations", json=body, headers={"Idempotency-Key": "bad-manifest"}
        )
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    assert error["field"].startswith(field), error
    assert error["message"].startswith(field), error
    assert error["hint"]
    assert site.count_made() == before


def test_simulated_gpus_are_neither_enrolled_nor_sold_outside_demo_mode(
    newcomer: Newcomer,
) -> None:
    site = newcomer.site
    secret = newcomer.new_secret()
    before, made = rows(site), site.count_made()
    plain = site.setting.registry_toml.read_text()
    site.stop("registry")
    site.setting.registry_toml.write_text(plain.replace("demo = true", "demo = false"))
    try:
        site.start_registry()
        assert_one_sentence(newcomer.enrols(secret), "simulated", "real driver")
        answer = launch(site)
        assert answer.status_code == 409
        assert answer.json()["error"]["code"] == "simulated_not_sold"
        assert rows(site) == before
        assert site.count_made() == made
    finally:
        site.stop("registry")
        site.setting.registry_toml.write_text(plain)
        site.start_registry()


def doctor(config: Path) -> dict[str, dict[str, Any]]:
    """What `doctor --json` says, by what it looked at."""
    done = said([program("outstation-agent"), "--config", str(config), "doctor", "--json"])
    return {line["what"]: line for line in json.loads(done.out)["data"]}


def launch(site: Site) -> httpx.Response:
    with site.api() as api:
        key = {"Idempotency-Key": f"launch-{GPU_SKU}"}
        return api.post("/api/v1/allocations", json=site.body(), headers=key)


def rows(site: Site) -> list[tuple[str, str]]:
    """Nodes that hold trust, and the GPUs they brought."""
    nodes = "SELECT node_id, key_id FROM node WHERE key_id IS NOT NULL"
    return site.in_registry(f"{nodes} ORDER BY 1")


def expire(site: Site) -> None:
    """Let a week pass for the secrets that wait."""
    with (
        closing(sqlite3.connect(site.setting.folder / "registry.sqlite", timeout=10)) as disk,
        disk,
    ):
        disk.execute("UPDATE enrolment_secret SET expires_at_ms = 1")


def assert_one_sentence(done: Said, *words: str) -> None:
    assert done.code in REFUSED, done
    assert done.out == ""
    for word in words:
        assert word in done.err, done.err
    assert_short(done)


def assert_short(done: Said) -> None:
    """One line that begins with Error, ends in a remedy, and shows nobody's insides."""
    assert done.err.startswith("Error: "), done.err
    assert done.err.count("\n") == 1, done.err
    assert len(done.err) < SENTENCE_CHARACTERS_MAX
    assert "Traceback" not in done.err
