"""What is not named cannot be asked for, and what is refused is named."""

import pytest

from protocol.manifest import (
    Manifest,
    Probe,
    read_image,
    read_manifest,
    read_manifest_json,
    read_name,
)
from protocol.refusal import Refusal
from protocol.wire import encode

DIGEST = "sha256:" + "ab" * 32
IMAGE = f"registry.example:5000/team/app:1.2@{DIGEST}"
PLAIN = {"image": IMAGE, "ports": [8080]}


def test_a_manifest_is_read_back_as_it_was_written() -> None:
    manifest = Manifest(
        image=IMAGE,
        kind="task",
        command=("sh", "-c", "true"),
        environment={"A_1": "x"},
        ports=(8080, 9090),
        working_directory="/work",
        probe=Probe(kind="http", port=8080, path="/ready", timeout_s=5),
        read_only_root=False,
        scratch_mib=1,
        serves="openai",
    )

    assert read_manifest_json(encode(manifest)) == manifest


@pytest.mark.parametrize(
    "name",
    [
        "privileged", "cap_add", "network_mode", "pid_mode", "ipc_mode", "uts_mode",
        "userns_mode", "devices", "device_requests", "sysctls", "volumes", "mounts",
        "volumes_from", "binds", "restart", "security_opt", "runtime", "user", "extra_hosts",
    ],
)  # fmt: skip
def test_a_field_that_does_not_exist_is_refused_by_its_name(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_manifest(PLAIN | {name: True})

    assert (refused.value.code, refused.value.field) == ("manifest_invalid", name)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"image": "busybox"}, "image_unpinned", "image"),
        ({"image": "busybox:latest"}, "image_unpinned", "image"),
        ({"image": f"Busybox@{DIGEST}"}, "image_unpinned", "image"),
        ({"image": f"busybox@{DIGEST} "}, "image_unpinned", "image"),
        ({"image": f"busybox@{DIGEST}\n"}, "image_unpinned", "image"),
        ({"image": f"busybox@{DIGEST.upper()}"}, "image_unpinned", "image"),
        ({"image": f"/busybox@{DIGEST}"}, "image_unpinned", "image"),
        ({"image": f"../busybox@{DIGEST}"}, "image_unpinned", "image"),
        ({"image": f"http://h/busybox@{DIGEST}"}, "image_unpinned", "image"),
        ({"image": "x" * 513}, "manifest_invalid", "image"),
        ({"image": 5}, "manifest_invalid", "image"),
        ({"kind": "daemon"}, "manifest_invalid", "kind"),
        ({"ports": [80]}, "manifest_invalid", "ports[0]"),
        ({"ports": [8080, 70_000]}, "manifest_invalid", "ports[1]"),
        ({"ports": [8080, 8080]}, "manifest_invalid", "ports"),
        ({"ports": list(range(2000, 2009))}, "manifest_invalid", "ports"),
        ({"ports": ["8080"]}, "manifest_invalid", "ports[0]"),
        ({"command": "sh"}, "manifest_invalid", "command"),
        ({"command": ["x"] * 65}, "manifest_invalid", "command"),
        ({"command": ["a\x00b"]}, "manifest_invalid", "command"),
        ({"environment": {"A": "a\x00b"}}, "manifest_invalid", "environment.A"),
        ({"environment": {"1A": "x"}}, "manifest_invalid", "environment.1A"),
        ({"environment": {"A=B": "x"}}, "manifest_invalid", "environment.A=B"),
        ({"environment": {"": "x"}}, "manifest_invalid", "environment."),
        ({"environment": {f"A{at}": "" for at in range(65)}}, "manifest_invalid", "environment"),
        ({"working_directory": "work"}, "manifest_invalid", "working_directory"),
        ({"working_directory": "/a b"}, "manifest_invalid", "working_directory"),
        ({"probe": {"kind": "exec", "port": 8080}}, "manifest_invalid", "probe.kind"),
        ({"probe": {"kind": "tcp", "port": 9999}}, "manifest_invalid", "probe.port"),
        (
            {"probe": {"kind": "tcp", "port": 8080, "command": "x"}},
            "manifest_invalid",
            "probe.command",
        ),
        ({"scratch_mib": 0}, "manifest_invalid", "scratch_mib"),
        ({"serves": "grpc"}, "manifest_invalid", "serves"),
        ({"serves": "openai", "ports": []}, "manifest_invalid", "serves"),
    ],
)
def test_a_wrong_value_is_refused_with_its_field(
    change: dict[str, object], code: str, field: str
) -> None:
    with pytest.raises(Refusal) as refused:
        read_manifest(PLAIN | change)

    assert (refused.value.code, refused.value.status) == (code, 422)
    assert refused.value.field == field
    assert refused.value.hint


@pytest.mark.parametrize(
    "name",
    [
        "LD_PRELOAD",
        "ld_preload",
        "NVIDIA_VISIBLE_DEVICES",
        "CUDA_VISIBLE_DEVICES",
        "DOCKER_HOST",
        "OUTSTATION_X",
    ],
)
def test_variables_that_are_the_node_s_alone_are_refused(name: str) -> None:
    with pytest.raises(Refusal) as refused:
        read_manifest(PLAIN | {"environment": {name: "all"}})

    assert (refused.value.code, refused.value.field) == (
        "manifest_forbidden",
        f"environment.{name}",
    )


@pytest.mark.parametrize("raw", [None, [], "image", 5, {}])
def test_what_is_no_manifest_is_refused(raw: object) -> None:
    with pytest.raises(Refusal, match="manifest_invalid"):
        read_manifest(raw)


@pytest.mark.parametrize(
    ("reference", "name", "tag"),
    [
        (IMAGE, "registry.example:5000/team/app", "1.2"),
        (f"busybox@{DIGEST}", "busybox", None),
        (f"a/b/c@{DIGEST}", "a/b/c", None),
    ],
)
def test_an_image_is_taken_apart(reference: str, name: str, tag: str | None) -> None:
    image = read_image(reference)

    assert (image.name, image.tag, image.digest) == (name, tag, DIGEST)


@pytest.mark.parametrize("name", ["a", "train-sw-llm", "0", "x" * 48])
def test_a_name_is_a_dns_label(name: str) -> None:
    assert read_name(name) == name


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a_b", "a.b", "x" * 49, "a\n", "é", "a b"])
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(Refusal, match="name_invalid"):
        read_name(name)
