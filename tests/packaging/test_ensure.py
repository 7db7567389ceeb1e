"""packaging/ensure.sh says in one line what is missing, and installs only that.

The machine is made of small programs in a folder that is the whole PATH: what stands there is
what the machine has.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house.source import ROOT

ENSURE = ROOT / "packaging" / "ensure.sh"
BASH = str(shutil.which("bash"))
REAL_TOOLS = ("bash", "cat", "env", "mktemp", "readlink", "rm", "sleep", "sort", "tail", "tr")
WELL_EQUIPPED = {
    "python3": "exit 0",
    "node": "exit 0",
    "npm": "exit 0",
    "docker": "exit 0",
    "busybox": "exit 0",
    "ldd": "exit 1",
    "chromium": "exit 0",
    "gcc": "exit 0",
}


@dataclass(frozen=True, slots=True)
class Machine:
    """A folder of programs, and what apt-get was told on it."""

    programs: Path

    def lacks(self, *names: str) -> None:
        for name in names:
            (self.programs / name).unlink()

    def has(self, **programs: str) -> None:
        for name, script in programs.items():
            path = self.programs / name.replace("_", "-")
            path.write_text(f"#!{BASH}\n{script}\n")
            path.chmod(0o755)

    def ensure(self, what: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BASH, ENSURE, what],
            env={"PATH": str(self.programs), "DOCKERD_LOG": str(self.programs / "dockerd.log")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def installed(self) -> str:
        """The last call of apt-get, or nothing."""
        calls = self.programs / "apt-calls"
        return calls.read_text().splitlines()[-1] if calls.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine that has everything, with a user who is not root."""
    made = Machine(tmp_path)
    for name in REAL_TOOLS:
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    made.has(**WELL_EQUIPPED, id='[ "$1" = -u ] && echo 1000 || echo ada')
    return made


@pytest.mark.parametrize("what", ["build", "demo", "docker"])
def test_a_well_equipped_machine_hears_nothing(machine: Machine, what: str) -> None:
    done = machine.ensure(what)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_an_old_python_is_refused_with_the_way_out(machine: Machine) -> None:
    machine.has(python3="exit 1")

    done = machine.ensure("build")

    assert done.returncode == 1
    assert "Python 3.11 or newer" in one_line(done)
    assert "PYTHON=" in one_line(done)


@pytest.mark.parametrize("script", ["exit 1", None])
def test_an_old_or_missing_node_is_refused(machine: Machine, script: str | None) -> None:
    machine.lacks("node")
    if script is not None:
        machine.has(node=script)

    done = machine.ensure("build")

    assert done.returncode == 1
    assert "Node.js 20 or newer" in one_line(done)


def test_without_root_the_missing_packages_are_named(machine: Machine) -> None:
    machine.lacks("docker", "chromium")

    done = machine.ensure("test")

    assert done.returncode == 1
    assert "apt-get install chromium docker.io iptables" in one_line(done)


def test_root_installs_only_what_is_missing_in_one_call(machine: Machine) -> None:
    machine.lacks("chromium")
    machine.has(id="echo 0", apt_get=_noted("apt-calls"))

    done = machine.ensure("test")

    assert done.returncode == 0, done.stderr
    assert machine.installed().endswith("chromium")
    assert "docker" not in machine.installed()


def test_a_failed_installation_shows_what_apt_said(machine: Machine) -> None:
    machine.lacks("chromium")
    machine.has(
        id="echo 0", apt_get='[ "$1" = update ] || { echo "E: no such package"; exit 100; }'
    )

    done = machine.ensure("test")

    assert done.returncode == 1
    assert "E: no such package" in done.stderr
    assert done.stderr.splitlines()[-1] == "error: apt-get could not install: chromium"


def test_an_engine_out_of_a_users_reach_is_explained(machine: Machine) -> None:
    machine.has(docker="exit 1", dockerd="exit 0", iptables="exit 0")

    done = machine.ensure("demo")

    assert done.returncode == 1
    assert "systemctl start docker" in one_line(done)
    assert "usermod -aG docker ada" in one_line(done)


def test_an_unknown_word_is_answered_with_the_known_ones(machine: Machine) -> None:
    done = machine.ensure("tset")

    assert done.returncode == 1
    assert "build|demo|test|docker" in one_line(done)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """What was said, which must be one line."""
    (line,) = done.stderr.splitlines()
    return line


def _noted(name: str) -> str:
    return f'echo "$@" >> "${{PATH%%:*}}/{name}"'
