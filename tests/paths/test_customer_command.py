"""The `outstation` command against a running site: each command, its JSON, its exit code."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from protocol import exits
from sites.demo.processes import program
from tests.paths.console import Said, said
from tests.paths.site import FOREVER, GPU_SKU, MODEL, Site

pytestmark = pytest.mark.docker


@dataclass(frozen=True)
class Terminal:
    """A customer's terminal with a home of its own."""

    home: Path

    def types(self, *arguments: str, typed: str = "") -> Said:
        environment = {"XDG_CONFIG_HOME": str(self.home), "OUTSTATION_URL": ""}
        return said([program("outstation"), *arguments], typed=typed, environment=environment)

    def asks(self, command: str, *arguments: str, typed: str = "") -> Any:
        """What a command that succeeds says with --json."""
        done = self.types(command, "--json", *arguments, typed=typed)
        assert done.code == 0, done
        answer = json.loads(done.out)
        assert answer["ok"] is True
        return answer["data"]

    def refused(self, command: str, *arguments: str) -> tuple[int, str]:
        """Exit code and error code of a command that is refused."""
        done = self.types(command, "--json", *arguments)
        answer = json.loads(done.out)
        assert answer["ok"] is False
        assert answer["error"]["message"]
        return done.code, answer["error"]["code"]


@pytest.fixture
def terminal(site: Site, tmp_path: Path) -> Iterator[Terminal]:
    """A terminal that is signed in."""
    terminal = Terminal(tmp_path)
    url = site.setting.registry_url
    me = terminal.asks("login", "--url", url, typed=f"{site.customer().key}\n")
    assert me["tenant"]["name"] == "rich organization"
    assert (tmp_path / "outstation" / "session.json").stat().st_mode & 0o777 == 0o600
    yield terminal
    terminal.types("logout")


def test_a_workload_from_launch_to_verified_bill(
    site: Site, terminal: Terminal, tmp_path: Path
) -> None:
    launch = ("--name", "by-command", "--sku", GPU_SKU, "--image", site.image)
    made = terminal.asks("launch", "--wait", *launch, "--", *FOREVER)
    assert made["state"] == "active"
    allocation_id = made["id"]
    assert [one["id"] for one in terminal.asks("ls")] == [allocation_id]
    assert [event["state"] for event in terminal.asks("show", allocation_id)["events"]][-1] == (
        "active"
    )
    assert "active" in terminal.types("show", allocation_id).out
    site.wait("usage", lambda: site.show(allocation_id)["spent_micros"] > 0)

    assert terminal.asks("release", allocation_id, "--wait")["state"] == "released"
    site.wait_until_billed()
    saved = tmp_path / "statement.json"
    spent = site.show(allocation_id)["spent_micros"]
    assert terminal.asks("statement", allocation_id, "--out", str(saved))["lines"] > 0
    assert terminal.asks("verify", str(saved))["total_micros"] == spent
    month = time.strftime("%Y-%m", time.gmtime())
    assert terminal.asks("statement", month, "--out", str(saved))["total_micros"] >= spent

    saved.write_text(tampered(saved.read_text()))
    assert terminal.refused("verify", str(saved)) == (exits.VERIFICATION, "verification_failed")
    plain = terminal.types("verify", str(saved))
    assert plain.code == exits.VERIFICATION
    assert plain.err.startswith("Error: ")
    assert terminal.refused("statement", "2001-01") == (exits.NOT_FOUND, "not_found")


def tampered(statement: str) -> str:
    """The same file with a tenth of the charge in its first line."""
    read = json.loads(statement)
    read["lines"][0]["charged_micros"] //= 10
    read["total_micros"] = sum(line["charged_micros"] for line in read["lines"])
    return json.dumps(read)


def test_who_and_what_and_how_much(site: Site, terminal: Terminal) -> None:
    assert terminal.asks("whoami")["project"]["id"] == site.setting.project_id
    assert [one["id"] for one in terminal.asks("models")] == [MODEL]
    balance = terminal.asks("balance")
    assert balance["state"] == "funded"
    assert 0 < balance["wallet_micros"] <= 2_500_000_000
    (shape,) = [one for one in terminal.asks("gpus") if one["id"] == GPU_SKU]
    assert shape["hourly_micros"] > 0
    assert GPU_SKU in terminal.types("gpus").out
    for command in ("whoami", "models", "balance", "ls"):
        assert terminal.types(command).code == 0


def test_every_no_has_its_exit_code(site: Site, terminal: Terminal, tmp_path: Path) -> None:
    shape = ("--sku", GPU_SKU, "--image", site.image)
    absent = "a_" + "0" * 29
    assert terminal.refused("show", absent) == (exits.NOT_FOUND, "not_found")
    code, _ = terminal.refused("launch", *shape, "--name", "Not A Name")
    assert code == exits.USAGE
    code, _ = terminal.refused("launch", *shape, "--name", "nowhere", "--country", "SE")
    assert code == exits.NO_CAPACITY
    assert terminal.refused("launch", "--image", site.image) == (exits.USAGE, "usage")
    assert terminal.refused("show", "--no-such-option", absent) == (exits.USAGE, "usage")
    elsewhere = f"elsewhere.example/pytorch@sha256:{'0' * 64}"
    unseen = ("--sku", GPU_SKU, "--image", elsewhere)
    assert terminal.refused("launch", *unseen, "--wait") == (exits.OTHER, "launch_failed")

    poor = Terminal(tmp_path / "poor")
    poor.asks("login", "--url", site.setting.registry_url, typed=site.customer("poor").key)
    assert poor.refused("launch", *shape, "--name", "too-dear") == (
        exits.INSUFFICIENT_BALANCE,
        "insufficient_balance",
    )
    nobody = Terminal(tmp_path / "nobody")
    assert nobody.refused("whoami") == (exits.NOT_SIGNED_IN, "not_signed_in")
    wrong = nobody.types("login", "--url", site.setting.registry_url, typed="ok_wrong\n")
    assert wrong.code == exits.NOT_SIGNED_IN
    silent = nobody.types("login", "--url", "http://127.0.0.1:9", typed=site.customer().key)
    assert silent.code == exits.UNREACHABLE
    assert nobody.types("whoami").code == exits.NOT_SIGNED_IN
