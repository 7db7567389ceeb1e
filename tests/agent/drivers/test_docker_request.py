"""What is asked of the engine, whatever a manifest says, and what counts as a difference."""

import copy
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.allocations.container_spec import (
    UID_FIRST,
    Holding,
    NodePolicy,
    container_spec,
    user_id,
)
from agent.allocations.runtime import ContainerSpec, ImageFacts
from agent.drivers import docker_request
from agent.drivers.docker_engine import SECCOMP_PATH
from protocol.manifest import Manifest, Probe
from protocol.refusal import Refusal
from tests.fakes.orders import IMAGE, numbered_id, order

SECCOMP = SECCOMP_PATH.read_text()
POLICY = NodePolicy(node_id=numbered_id("node", 1), writable_root=True)
FACTS = ImageFacts(image_id="sha256:" + "cd" * 32, architecture="amd64", environment=("PATH=/bin",))
FORBIDDEN = (
    "Binds",
    "Mounts",
    "VolumesFrom",
    "Devices",
    "DeviceCgroupRules",
    "CapAdd",
    "PortBindings",
    "ExtraHosts",
    "GroupAdd",
    "Links",
    "Sysctls",
    "PidMode",
    "UTSMode",
    "UsernsMode",
    "StorageOpt",
)

text = st.text(max_size=40)
manifests = st.builds(
    Manifest,
    image=st.just(IMAGE),
    kind=st.sampled_from(["service", "task"]),
    command=st.lists(text, max_size=4).map(tuple),
    environment=st.dictionaries(
        text | st.sampled_from(["LD_PRELOAD", "NVIDIA_VISIBLE_DEVICES", "HOME"]), text, max_size=4
    ),
    ports=st.lists(st.integers(1024, 65535), max_size=3).map(tuple),
    working_directory=st.none() | text,
    probe=st.none() | st.builds(Probe, kind=st.just("tcp"), port=st.integers(1024, 65535)),
    read_only_root=st.booleans(),
    scratch_mib=st.integers(1, 65_536),
)


@given(
    manifest=manifests,
    number=st.integers(0, 2**64),
    guarded=st.booleans(),
    simulated=st.lists(st.booleans(), max_size=3),
)
def test_nothing_a_manifest_says_weakens_the_container(
    manifest: Manifest, number: int, guarded: bool, simulated: list[bool]
) -> None:
    allocation_id = numbered_id("allocation", number)
    holdings = [Holding(f"GPU-{at}", is_one) for at, is_one in enumerate(simulated)]
    try:
        spec = container_spec(
            order(allocation_id, manifest),
            POLICY,
            generation=1,
            holdings=holdings,
            image=FACTS,
            is_egress_guarded=guarded,
        )
    except Refusal:
        return

    asked = asked_for(spec)
    host = asked["HostConfig"]

    assert not any(host.get(name) for name in FORBIDDEN)
    assert host["Privileged"] is False
    assert host["PublishAllPorts"] is False
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true", f"seccomp={SECCOMP}"]
    assert (host["IpcMode"], host["CgroupnsMode"]) == ("private", "private")
    assert host["Memory"] == host["MemorySwap"] > 0
    assert host["NanoCpus"] > 0
    assert 0 < host["PidsLimit"] <= 4096
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["ReadonlyRootfs"] is manifest.read_only_root
    assert host["NetworkMode"] == (f"outstation-{allocation_id}" if guarded else "none")
    assert "docker.sock" not in json.dumps({**asked, "Cmd": [], "Env": [], "WorkingDir": ""})
    assert all("nosuid,nodev,noexec" in options for options in host["Tmpfs"].values())
    uid, gid = (int(part) for part in asked["User"].split(":"))
    assert uid == gid == user_id(allocation_id) >= UID_FIRST
    real = [held.uuid for held in holdings if not held.simulated]
    requests = host.get("DeviceRequests", [])
    assert [uuid for request in requests for uuid in request["DeviceIDs"]] == real
    environment = dict(entry.partition("=")[::2] for entry in asked["Env"])
    assert environment["NVIDIA_VISIBLE_DEVICES"] == (",".join(real) or "void")
    assert not any(name.startswith(("LD_", "DOCKER_")) for name in environment)


def test_attack_107_a_root_without_a_limit_needs_the_site_to_allow_it() -> None:
    manifest = Manifest(image=IMAGE, read_only_root=False)
    closed = replace(POLICY, writable_root=NodePolicy(node_id="n").writable_root)

    assert not spec_of(numbered_id("allocation", 1), manifest=manifest).read_only_root
    with pytest.raises(Refusal) as refused:
        spec_of(numbered_id("allocation", 1), manifest=manifest, policy=closed)

    assert (refused.value.code, refused.value.field) == (
        "writable_root_not_allowed",
        "read_only_root",
    )


def test_each_allocation_has_a_user_a_bridge_and_a_name_of_its_own() -> None:
    specs = [spec_of(numbered_id("allocation", number)) for number in range(50)]

    assert len({spec.uid for spec in specs}) == 50
    assert len({spec.interface for spec in specs}) == 50
    assert len({spec.name for spec in specs}) == 50
    assert all(spec.interface and len(spec.interface) <= 15 for spec in specs)
    assert all(str(spec.interface).startswith("gp") for spec in specs)


def test_the_spec_hash_tells_any_difference_but_the_generation() -> None:
    one = spec_of(numbered_id("allocation", 1))
    later = spec_of(numbered_id("allocation", 1), generation=9)
    other = spec_of(numbered_id("allocation", 1), manifest=Manifest(image=IMAGE, command=("sh",)))

    assert one.spec_hash == later.spec_hash
    assert one.spec_hash != other.spec_hash


def test_without_a_guard_there_is_no_network_and_nothing_that_needs_one() -> None:
    served = Manifest(image=IMAGE, ports=(8080,))

    with pytest.raises(Refusal) as refused:
        spec_of(numbered_id("allocation", 1), manifest=served, guarded=False)

    assert refused.value.code == "egress_unprotected"
    assert spec_of(numbered_id("allocation", 1), guarded=False).network is None


@pytest.mark.parametrize(
    ("volumes", "environment"),
    [
        (("/etc",), ()),
        (("/proc/x",), ()),
        (("relative",), ()),
        (("/a/../../etc",), ()),
        (tuple(f"/v{at}" for at in range(9)), ()),
        ((), ("LD_PRELOAD=/evil.so",)),
        ((), ("ld_audit=x",)),
        ((), ("NVIDIA_MIG_CONFIG_DEVICES=all",)),
        ((), ("NVIDIA_IMEX_CHANNELS=0",)),
    ],
)
def test_an_image_that_asks_for_what_none_may_have_is_refused(
    volumes: tuple[str, ...], environment: tuple[str, ...]
) -> None:
    image = ImageFacts(
        image_id="sha256:1", architecture="amd64", volumes=volumes, environment=environment
    )

    with pytest.raises(Refusal) as refused:
        spec_of(numbered_id("allocation", 1), image=image)

    assert refused.value.code == "image_forbidden"


def test_volumes_of_an_image_lie_in_memory_and_not_on_the_host() -> None:
    image = ImageFacts(image_id="sha256:1", architecture="amd64", volumes=("/data", "/tmp"))

    spec = spec_of(numbered_id("allocation", 1), image=image)

    assert [mount.path for mount in spec.tmpfs] == ["/tmp", "/data"]


@pytest.mark.parametrize("allocation_id", ["../../etc", "a_short", "n_" + "0" * 29])
def test_an_id_that_is_none_never_reaches_a_path(allocation_id: str) -> None:
    with pytest.raises(Refusal) as refused:
        spec_of(allocation_id)

    assert refused.value.code == "identity_malformed"


def test_what_was_made_as_asked_has_no_difference() -> None:
    asked = asked_for(spec_of(numbered_id("allocation", 1)))

    assert docker_request.differences(asked, made_from(asked), FACTS) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Privileged", True),
        ("CapAdd", ["SYS_ADMIN"]),
        ("CapDrop", []),
        ("Binds", ["/:/host"]),
        ("Mounts", [{"Type": "bind"}]),
        ("PidMode", "host"),
        ("NetworkMode", "host"),
        ("IpcMode", "shareable"),
        ("UsernsMode", "host"),
        ("SecurityOpt", ["seccomp=unconfined"]),
        ("Memory", 0),
        ("PidsLimit", None),
        ("Devices", [{"PathOnHost": "/dev/kvm"}]),
        ("MaskedPaths", []),
        ("Runtime", "nvidia"),
        ("PortBindings", {"80/tcp": [{"HostPort": "80"}]}),
        ("SettingOfTheFuture", True),
        ("Tmpfs", {"/tmp": "rw"}),
        ("Ulimits", None),
    ],
)
def test_any_other_setting_of_the_host_is_a_difference(name: str, value: object) -> None:
    asked = asked_for(spec_of(numbered_id("allocation", 1)))
    made = made_from(asked)
    made["HostConfig"][name] = value

    assert f"HostConfig.{name}" in docker_request.differences(asked, made, FACTS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("User", ""),
        ("Env", ["NVIDIA_VISIBLE_DEVICES=all"]),
        ("Cmd", ["sh", "-c", "other"]),
        ("Entrypoint", ["/evil"]),
        ("Volumes", {"/host": {}}),
        ("Labels", {}),
        ("Tty", True),
    ],
)
def test_any_other_setting_of_the_container_is_a_difference(name: str, value: object) -> None:
    asked = asked_for(spec_of(numbered_id("allocation", 1)))
    made = made_from(asked)
    made["Config"][name] = value

    assert f"Config.{name}" in docker_request.differences(asked, made, FACTS)


def test_another_image_a_mount_or_a_second_network_is_a_difference() -> None:
    asked = asked_for(spec_of(numbered_id("allocation", 1)))
    made = made_from(asked)
    made["Image"] = "sha256:other"
    made["Mounts"] = [{"Type": "volume"}]
    made["NetworkSettings"]["Networks"]["bridge"] = {}

    found = docker_request.differences(asked, made, FACTS)

    assert found == ["Image", "Mounts", "NetworkSettings.Networks"]


def spec_of(
    allocation_id: str,
    *,
    manifest: Manifest | None = None,
    image: ImageFacts = FACTS,
    generation: int = 1,
    guarded: bool = True,
    policy: NodePolicy = POLICY,
) -> ContainerSpec:
    return container_spec(
        order(allocation_id, manifest),
        policy,
        generation=generation,
        holdings=[],
        image=image,
        is_egress_guarded=guarded,
    )


def asked_for(spec: ContainerSpec) -> docker_request.Json:
    parent = docker_request.cgroup_parent("cgroupfs", spec.tenant_id)
    return docker_request.body(spec, cgroup_parent=parent, seccomp=SECCOMP)


def made_from(asked: docker_request.Json) -> docker_request.Json:
    """What an engine that does as it is asked describes."""
    made = copy.deepcopy(asked)
    host = {**made.pop("HostConfig"), "Binds": None, "ConsoleSize": [0, 0], "Isolation": ""}
    config = {**made, "Env": [*made["Env"], "PATH=/bin"], "Cmd": made.get("Cmd")}
    networks = {host["NetworkMode"]: {"IPAddress": "172.20.0.2"}}
    return {
        "Image": asked["Image"],
        "HostConfig": host,
        "Config": config,
        "Mounts": [],
        "NetworkSettings": {"Networks": networks},
    }
