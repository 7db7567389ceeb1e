"""What a container can do and reach, tried from inside it on a real engine."""

import asyncio
import fcntl
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import docker
import pytest

from agent.allocations.container_spec import PIDS_BARE
from agent.allocations.network_policy import EGRESS_CHAIN
from agent.drivers.docker_engine import DockerEngine
from agent.drivers.firewall import DOCKER_USER, Firewall
from sites.demo.rootfs import applets, busybox_path, image_archive, layer
from tests.services.containers import (
    container_when,
    facts_of,
    labelled_node,
    logs_of,
    output_of,
    remove_image,
    spec_for,
)
from tests.services.firewall import sharing_the_firewall

pytestmark = pytest.mark.docker

PROBE_SOURCE = Path(__file__).with_name("seccomp_probe.c")
PROBE_TAG = f"outstation/seccomp-probe:{os.getpid()}"
ALLOWED = {"AF_UNIX/0", "AF_INET/0", "AF_INET6/0", "AF_NETLINK/0"} | {
    "memfd_create",
    "epoll_create1",
    "getrandom",
}
TARGETS = ("169.254.169.254", "10.99.0.7", "192.168.99.7", "100.64.99.7", "198.18.99.7")
PUBLIC = "203.0.113.7"
NAMESPACE = "outst-test"
ROUTER = "10.98.0"
PORT = 7070
LISTENER = """
import socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])), backlog=64)
print("listening", flush=True)
while True:
    server.accept()[0].close()
"""


@pytest.fixture
def node_id(docker_ready: None) -> Iterator[str]:
    with labelled_node() as node_id:
        yield node_id


def test_inside_there_is_no_power_no_host_and_nothing_to_write(
    node_id: str, busybox_image: str
) -> None:
    script = """
        id -u; id -g; grep -E '^(Cap|NoNewPrivs|Seccomp:)' /proc/self/status
        touch /x 2>&1; touch /tmp/x && echo scratch; cp /bin/busybox /tmp/b && /tmp/b true 2>&1
        echo pids $(cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max)
        ls /var/run/docker.sock /run/docker.sock 2>&1
        echo 1 > /proc/sys/kernel/hostname 2>&1; mkdir /sys/fs/cgroup/x 2>&1
        cat /proc/1/cmdline | tr '\\0' ' '; echo; env; cat /proc/self/mountinfo
    """

    async def scenario() -> tuple[str, int]:
        engine = DockerEngine(node_id=node_id)
        spec = spec_for(node_id, await facts_of(engine, busybox_image), "sh", "-c", script)
        return await output_of(engine, spec), spec.uid

    said, uid = asyncio.run(scenario())

    lines = said.splitlines()
    assert lines[:2] == [str(uid), str(uid)]
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert f"{name}:\t{0:016x}" in lines
    assert "NoNewPrivs:\t1" in lines
    assert "Seccomp:\t2" in lines
    assert "touch: /x: Read-only file system" in lines
    assert "scratch" in lines
    assert "Permission denied" in said
    assert f"pids {PIDS_BARE}" in lines
    assert said.count("docker.sock: No such file or directory") == 2
    assert "NVIDIA_VISIBLE_DEVICES=void" in lines
    assert any(line.startswith("/sbin/docker-init") for line in lines)
    assert host_mounts(lines) == {
        "/sbin/docker-init",
        "/etc/resolv.conf",
        "/etc/hostname",
        "/etc/hosts",
    }


def test_system_calls_that_reach_for_the_host_are_denied(node_id: str, probe_image: str) -> None:
    async def scenario() -> str:
        engine = DockerEngine(node_id=node_id)
        return await output_of(
            engine, spec_for(node_id, await facts_of(engine, probe_image), "/bin/probe")
        )

    said = asyncio.run(scenario())

    results = [line.split() for line in said.splitlines()]
    assert len(results) >= 48
    assert {name for name, result in results if result == "open"} == ALLOWED
    odd = {name: result for name, result in results if result not in ("open", "denied")}
    assert odd == {"clone3": "absent"}


def test_a_fork_bomb_is_contained_and_can_be_killed(node_id: str, busybox_image: str) -> None:
    async def scenario() -> None:
        engine = DockerEngine(node_id=node_id)
        facts = await facts_of(engine, busybox_image)
        bomb = "sh -c 'while true; do sleep 600 & done' & exec sleep 600"
        spec = spec_for(node_id, facts, "sh", "-c", bomb)
        spec = replace(spec, memory_bytes=4 * spec.memory_bytes)
        container_id = await engine.create(spec)
        await engine.start(container_id, spec)
        await asyncio.sleep(1)

        await engine.kill(container_id)

        exited = await container_when(engine, lambda one: one.state == "exited")
        assert exited.exit_code == 137

    asyncio.run(scenario())


def test_nothing_of_the_site_can_be_reached_and_the_gateway_still_reaches_the_container(
    node_id: str, busybox_image: str
) -> None:
    with alone(), neighbours() as addresses, labelled_node() as other_id, guarded():
        unmatched = asyncio.run(reached(other_id, busybox_image, addresses, prefix="ot"))
        assert unmatched == (set(addresses), True, True), "targets must be there to be denied"

        matched = asyncio.run(reached(node_id, busybox_image, addresses, prefix="gp"))

    assert matched == ({PUBLIC}, False, True)


def test_rules_that_somebody_took_away_are_put_back() -> None:
    namespace = f"{NAMESPACE}-{os.getpid()}"
    inside = ("ip", "netns", "exec", namespace)

    def rules() -> list[str]:
        return run(*inside, "iptables", "-S").splitlines()

    async def scenario() -> None:
        firewall = Firewall(through=inside)
        assert await firewall.asserted() == "The engine's chain DOCKER-USER is not there."
        run(*inside, "iptables", "-N", "DOCKER-USER")
        assert await firewall.asserted() is None
        whole = rules()
        assert f"-A FORWARD -j {DOCKER_USER}" in whole
        run(*inside, "iptables", "-F", EGRESS_CHAIN)
        run(*inside, "iptables", "-D", "INPUT", "1")
        run(*inside, "iptables", "-I", "DOCKER-USER", "1", "-s", "203.0.113.9", "-j", "ACCEPT")

        assert await firewall.asserted() is None

        run(*inside, "iptables", "-D", "DOCKER-USER", "-s", "203.0.113.9", "-j", "ACCEPT")
        assert rules() == whole
        await firewall.removed()
        assert "OUTSTATION" not in "".join(rules())

    run("ip", "netns", "add", namespace)
    try:
        asyncio.run(scenario())
    finally:
        run("ip", "netns", "del", namespace)


def test_without_the_right_to_set_rules_the_guard_says_so(docker_ready: None) -> None:
    as_nobody = ("setpriv", "--reuid=65534", "--clear-groups", "--bounding-set=-all")

    fault = asyncio.run(Firewall(through=as_nobody).asserted())

    assert fault is not None
    assert "ermi" in fault or "root" in fault


def test_a_site_network_that_is_none_leaves_the_node_unguarded() -> None:
    fault = asyncio.run(Firewall(site_networks=("the lan",)).asserted())

    assert fault is not None
    assert "the lan" in fault


@pytest.fixture
def probe_image(docker_ready: None, tmp_path: Path) -> Iterator[str]:
    """An image with the probe program in it."""
    program = tmp_path / "probe"
    subprocess.run(["gcc", "-static", "-O1", "-o", program, PROBE_SOURCE], check=True)
    busybox = busybox_path()
    packed = io.BytesIO(layer(busybox.read_bytes(), applets(busybox)))
    with tarfile.open(fileobj=packed, mode="a") as tar:
        member = tarfile.TarInfo("bin/probe")
        member.mode, member.size = 0o755, program.stat().st_size
        tar.addfile(member, io.BytesIO(program.read_bytes()))
    client = docker.APIClient(version="auto")
    architecture = str(client.version()["Arch"])
    client.load_image(image_archive(packed.getvalue(), tag=PROBE_TAG, architecture=architecture))
    yield str(client.inspect_image(PROBE_TAG)["Id"])
    client.close()
    remove_image(PROBE_TAG)


@contextmanager
def guarded() -> Iterator[None]:
    """Have the rules in place; they stay if another node of this machine had put them there."""
    with sharing_the_firewall() as is_alone:
        found = EGRESS_CHAIN in run("iptables", "-S")
        assert asyncio.run(Firewall().asserted()) is None
        yield
        if not found and is_alone():
            asyncio.run(Firewall().removed())


async def reached(
    node_id: str, image_id: str, addresses: list[str], *, prefix: str
) -> tuple[set[str], bool, bool]:
    """Return which addresses a container reaches, whether its gateway, and whether we reach it.

    prefix  of its interface on the host: the rules go by it
    """
    engine = DockerEngine(node_id=node_id)
    script = (
        "nc -l -p 8080 -e true & gateway=$(ip route | awk '/default/ {print $3}');"
        f"for a in {' '.join(addresses)}; do nc -w 1 $a {PORT} </dev/null && echo reached $a; done;"
        f"nc -w 1 $gateway {PORT} </dev/null && echo gateway; echo done; sleep 60"
    )
    spec = spec_for(node_id, await facts_of(engine, image_id), "sh", "-c", script)
    spec = replace(spec, interface=f"{prefix}{str(spec.interface)[2:]}")
    container_id = await engine.create(spec)
    await engine.start(container_id, spec)
    container = await container_when(engine, lambda one: one.state == "running")
    answers = await asyncio.to_thread(connects, container.address, 8080)
    async with asyncio.timeout(60):
        while "done" not in (said := logs_of(container_id)):
            await asyncio.sleep(0.1)
    found = {line.removeprefix("reached ") for line in said.splitlines() if "reached" in line}
    return found, "gateway" in said.splitlines(), answers


def connects(address: str, port: int) -> bool:
    for _ in range(40):
        try:
            with socket.create_connection((address, port), timeout=1):
                return True
        except OSError:
            time.sleep(0.1)  # refused at once while nobody listens yet
    return False


@contextmanager
def alone() -> Iterator[None]:
    """Have the machine's network to ourselves: another run of these tests waits."""
    path = Path(tempfile.gettempdir()) / "outstation-test-network.lock"
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextmanager
def neighbours() -> Iterator[list[str]]:
    """Listen where a site's other machines and a cloud's metadata would, and on the host itself.

    The others live in a network namespace behind a router, so that packets to them are forwarded.
    """
    run("ip", "netns", "add", NAMESPACE)
    with ExitStack() as stack:
        stack.callback(run, "ip", "netns", "del", NAMESPACE)
        inside = ("ip", "-n", NAMESPACE)
        run("ip", "link", "add", NAMESPACE, "type", "veth", "peer", "eth0", "netns", NAMESPACE)
        run("ip", "addr", "add", f"{ROUTER}.1/30", "dev", NAMESPACE)
        run("ip", "link", "set", NAMESPACE, "up")
        run(*inside, "addr", "add", f"{ROUTER}.2/30", "dev", "eth0")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "route", "add", "default", "via", f"{ROUTER}.1")
        for target in (*TARGETS, PUBLIC):
            run(*inside, "addr", "add", f"{target}/32", "dev", "lo")
            run("ip", "route", "add", f"{target}/32", "via", f"{ROUTER}.2")
        stack.enter_context(listener("ip", "netns", "exec", NAMESPACE))
        stack.enter_context(listener())
        yield [*TARGETS, PUBLIC, *own_addresses()]


@contextmanager
def listener(*through: str) -> Iterator[None]:
    """Take connections at every address of the machine, or of the namespace it is run in."""
    command = (*through, sys.executable, "-c", LISTENER, str(PORT))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        try:
            assert server.stdout is not None
            assert server.stdout.readline() == b"listening\n"
            yield
        finally:
            server.kill()


def own_addresses() -> list[str]:
    listed = json.loads(run("ip", "-j", "-4", "addr"))
    names = ("lo", NAMESPACE, "gp")
    return [
        address["local"]
        for link in listed
        if not link["ifname"].startswith(names) and link["operstate"] == "UP"
        for address in link["addr_info"]
    ]


def host_mounts(lines: list[str]) -> set[str]:
    """Return where a file system of the host's disks is mounted."""
    found = set()
    for line in lines:
        fields = line.split()
        if " - " in line and fields[fields.index("-") + 2].startswith("/dev/"):
            found.add(fields[4])
    return found


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
