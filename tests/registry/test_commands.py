"""The operator's commands, typed again: what exists stays, what is new is added."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from registry.cli import registry

SITE = """\
[site]
name = "Edge room"
city = "Nairobi"
country = "KE"
kind = "edge_room"
connectivity = "fibre"
power_kw = {power_kw}
"""
NODE = """
[[nodes]]
name = "{name}"
accelerator = "Simulated H100 80GB"
count = 2
"""
REGISTRY = """\
demo = true
base_url = "http://127.0.0.1:18080"

[mail]
sender = "demo@demo.example"
outbox = "outbox"
"""


class Terminal:
    """Somebody who types `outstation-registry …  --json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "registry.toml").write_text(REGISTRY)
        self.says("migrate")

    def says(self, *arguments: str) -> Any:
        config = str(self.folder / "registry.toml")
        typed = ["--config", config, *arguments, "--json"]
        done = CliRunner().invoke(registry, typed, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return json.loads(done.output.splitlines()[-1])["data"]

    def ends(self, *arguments: str) -> tuple[int, str]:
        """The exit code of what is typed without `--json`, and what it says."""
        typed = ["--config", str(self.folder / "registry.toml"), *arguments]
        done = CliRunner().invoke(registry, typed, catch_exceptions=False)
        return done.exit_code, done.output

    def adds(self, *names: str, tenant_id: str, power_kw: int = 20) -> Any:
        file = self.folder / "site.toml"
        nodes = (NODE.format(name=name) for name in names)
        file.write_text(SITE.format(power_kw=power_kw) + "".join(nodes))
        return self.says("site", "add", str(file), "--organization", tenant_id)


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    return Terminal(tmp_path)


def test_a_site_file_loaded_again_adds_only_what_is_new(terminal: Terminal) -> None:
    owner = terminal.says("organization", "add", "Umoja", "--owner", "ana@umoja.example")
    first = terminal.adds("gpu01", tenant_id=owner["tenant_id"])

    again = terminal.adds("gpu01", "gpu02", tenant_id=owner["tenant_id"], power_kw=30)

    assert (first["created"], again["created"]) == (True, False)
    assert again["site_id"] == first["site_id"]
    old, new = again["nodes"]
    assert old["node_id"] == first["nodes"][0]["node_id"]
    assert (old["created"], old["secret"]) == (False, None)
    assert new["created"]
    assert new["secret"].startswith("nk_")
    assert again["differs"] == ["power_kw"]
    assert {one["name"] for one in terminal.says("node", "ls")} == {"gpu01", "gpu02"}


def test_organizations_are_listed_with_the_ids_that_other_commands_take(
    terminal: Terminal,
) -> None:
    owner = terminal.says("organization", "add", "Umoja", "--owner", "ana@umoja.example")
    terminal.adds("gpu01", tenant_id=owner["tenant_id"])

    (found,) = terminal.says("organization", "ls")

    assert (found["tenant_id"], found["name"], found["sites"]) == (owner["tenant_id"], "Umoja", 1)
    assert [one["project_id"] for one in found["projects"]] == [owner["project_id"]]


def test_a_rebuild_names_what_does_not_follow_and_ends_with_its_code(terminal: Terminal) -> None:
    assert terminal.says("ledger", "rebuild", "--verify")["problems"] == []
    assert terminal.ends("ledger", "rebuild")[0] == 2
    (file,) = terminal.folder.glob("**/registry.db")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            "INSERT INTO account (name, spendable, balance, held, credit_limit)"
            " VALUES ('A:bank', 0, 5, 0, 0)"
        )

    code, output = terminal.ends("ledger", "rebuild", "--verify")

    assert code == 11
    assert "account_wrong A:bank: Its row says 5, its postings 0." in output
