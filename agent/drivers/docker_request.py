"""A container as the Docker Engine API spells it: what is asked, and what differs afterwards.

No call is made here.  `body` adds the baseline that is the same for every container to what its
spec says; `differences` then reads the engine's own description of what it made, in which every
setting that was not asked for must be empty.  An engine that knows a setting we do not, and has it
on, is not trusted with a start.
"""

import calendar
import re
from collections.abc import Mapping, Sequence
from typing import Any

from agent.allocations.notices import MOUNT_PATH
from agent.allocations.runtime import ContainerSpec, EngineFault, ImageFacts

LABEL_ALLOCATION = "outstation.allocation"
LABEL_NODE = "outstation.node"
LABEL_TENANT = "outstation.tenant"
LABEL_SPEC = "outstation.spec"
LABEL_GENERATION = "outstation.generation"
LABEL_ACCELERATORS = "outstation.accelerators"

OOM_SCORE = 500
MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READONLY_PATHS = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)
NO_SEARCH_DOMAIN = "."
"""Else the engine would copy the search domains of the host."""

TIME_PATTERN = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)

Json = dict[str, Any]
"""An object of the Engine API, which has no types."""


def body(spec: ContainerSpec, *, cgroup_parent: str, seccomp: str) -> Json:
    """Return the body of POST /containers/create.

    seccomp  the profile itself, as JSON text
    """
    asked: Json = {
        "Image": spec.image_id,
        "User": f"{spec.uid}:{spec.gid}",
        "Env": [f"{name}={value}" for name, value in spec.environment],
        "Labels": labels(spec),
        "Healthcheck": {"Test": ["NONE"]},
        "AttachStdin": False,
        "OpenStdin": False,
        "Tty": False,
        "StopSignal": "SIGTERM",
        "HostConfig": _host_config(spec, cgroup_parent=cgroup_parent, seccomp=seccomp),
    }
    if spec.command:
        asked["Cmd"] = list(spec.command)
    if spec.working_directory is not None:
        asked["WorkingDir"] = spec.working_directory
    if spec.network is not None:
        asked["NetworkingConfig"] = {"EndpointsConfig": {spec.network: {}}}
    return asked


def labels(spec: ContainerSpec) -> dict[str, str]:
    """Return the labels by which the container is found and known again."""
    return {
        LABEL_ALLOCATION: spec.allocation_id,
        LABEL_NODE: spec.node_id,
        LABEL_TENANT: spec.tenant_id,
        LABEL_SPEC: spec.spec_hash,
        LABEL_GENERATION: str(spec.generation),
        LABEL_ACCELERATORS: ",".join(spec.accelerators),
    }


def cgroup_parent(driver: str, tenant_id: str) -> str:
    """Return the tenant's control group, in the spelling of the engine's cgroup driver."""
    if driver == "systemd":
        return f"outstation-{tenant_id}.slice"
    return f"/outstation/{tenant_id}"


def network_body(spec: ContainerSpec) -> Json:
    """Return the arguments that make the container's own bridge."""
    assert spec.network is not None
    assert spec.interface is not None
    return {
        "name": spec.network,
        "driver": "bridge",
        "check_duplicate": True,
        "internal": False,
        "enable_ipv6": False,
        "attachable": False,
        "options": {
            "com.docker.network.bridge.name": spec.interface,
            "com.docker.network.bridge.enable_icc": "false",
        },
        "labels": {LABEL_ALLOCATION: spec.allocation_id, LABEL_NODE: spec.node_id},
    }


def differences(asked: Json, made: Json, image: ImageFacts) -> list[str]:
    """Return the settings in which a container is not what was asked for; none if it is.

    made  the engine's answer to GET /containers/{id}/json
    """
    found = _host_differences(asked["HostConfig"], made["HostConfig"])
    found += _config_differences(asked, made["Config"], image)
    if made.get("Image") != asked["Image"]:
        found.append("Image")
    if not _mounted(asked["HostConfig"].get("Mounts", []), made.get("Mounts") or []):
        found.append("Mounts")
    networks = set(made.get("NetworkSettings", {}).get("Networks") or {})
    if networks != {asked["HostConfig"]["NetworkMode"]}:
        found.append("NetworkSettings.Networks")
    return found


def engine_ms(text: str) -> int | None:
    """Return the epoch millisecond of an engine timestamp (RFC 3339, ns); None for year 1."""
    match = TIME_PATTERN.fullmatch(text)
    if match is None:
        raise EngineFault("engine_error", f"The engine gives {text[:40]!r} for a time.")
    year, month, day, hour, minute, second = (int(match[at]) for at in range(1, 7))
    if year == 1:
        return None
    seconds = calendar.timegm((year, month, day, hour, minute, second))
    if match[8]:
        offset_s = int(match[9]) * 3600 + int(match[10]) * 60
        seconds -= offset_s if match[8] == "+" else -offset_s
    return seconds * 1000 + int((match[7] or "").ljust(9, "0")) // 1_000_000


def _host_config(spec: ContainerSpec, *, cgroup_parent: str, seccomp: str) -> Json:
    config: Json = {
        "NetworkMode": spec.network or "none",
        "PublishAllPorts": False,
        "Privileged": False,
        "ReadonlyRootfs": spec.read_only_root,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true", f"seccomp={seccomp}"],
        "MaskedPaths": list(MASKED_PATHS),
        "ReadonlyPaths": list(READONLY_PATHS),
        "IpcMode": "private",
        "CgroupnsMode": "private",
        "CgroupParent": cgroup_parent,
        "Init": True,
        "AutoRemove": False,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "OomScoreAdj": OOM_SCORE,
        "Memory": spec.memory_bytes,
        "MemorySwap": spec.memory_bytes,
        "NanoCpus": spec.nano_cpus,
        "PidsLimit": spec.pids,
        "ShmSize": spec.shm_bytes,
        "Ulimits": [
            {"Name": limit.name, "Soft": limit.value, "Hard": limit.value} for limit in spec.ulimits
        ],
        "Tmpfs": {
            mount.path: (
                f"rw,nosuid,nodev,noexec,size={mount.size_mib}m,"
                f"uid={spec.uid},gid={spec.gid},mode=0700"
            )
            for mount in spec.tmpfs
        },
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": f"{spec.log_file_mib}m", "max-file": str(spec.log_files)},
        },
        "Dns": list(spec.resolvers),
        "DnsSearch": [NO_SEARCH_DOMAIN],
        "Runtime": spec.runtime,
    }
    if spec.notices:
        config["Mounts"] = [_notices(spec.notices)]
    if spec.devices:
        config["DeviceRequests"] = [_device_request(spec.devices)]
    return config


def _notices(folder: str) -> Json:
    """Mount what the node tells the workload: read-only, and nothing is mounted through it."""
    return {
        "Type": "bind",
        "Source": folder,
        "Target": MOUNT_PATH,
        "ReadOnly": True,
        "BindOptions": {"Propagation": "rprivate"},
    }


def _mounted(asked: Sequence[Json], made: Sequence[Json]) -> bool:
    """Whether exactly what was asked for is mounted, as the engine describes what it did."""
    wanted = [(one["Type"], one["Source"], one["Target"], False) for one in asked]
    found = [
        (one.get("Type"), one.get("Source"), one.get("Destination"), bool(one.get("RW")))
        for one in made
    ]
    return wanted == found


def _device_request(uuids: Sequence[str]) -> Json:
    """Ask for exactly these GPUs, and of the driver only what computing needs."""
    return {
        "Driver": "nvidia",
        "Count": 0,
        "DeviceIDs": list(uuids),
        "Capabilities": [["gpu", "compute", "utility"]],
        "Options": {},
    }


def _host_differences(asked: Mapping[str, Any], made: Mapping[str, Any]) -> list[str]:
    wrong = [f"HostConfig.{name}" for name in asked if not _same(asked[name], made.get(name))]
    extra = [f"HostConfig.{name}" for name in made if name not in asked and not _off(made[name])]
    return sorted(wrong) + sorted(extra)


def _config_differences(asked: Json, config: Mapping[str, Any], image: ImageFacts) -> list[str]:
    """Compare what is not the host's: what the image brings may stand where nothing was asked."""
    environment = dict(map(_variable, image.environment))
    environment.update(map(_variable, asked["Env"]))
    made_labels = config.get("Labels") or {}
    expected = {
        "User": asked["User"],
        "Cmd": asked.get("Cmd", list(image.command)) or None,
        "Entrypoint": list(image.entrypoint) or None,
        "WorkingDir": asked.get("WorkingDir", image.working_directory),
        "Healthcheck": asked["Healthcheck"],
        "StopSignal": asked["StopSignal"],
        "Tty": False,
        "OpenStdin": False,
        "AttachStdin": False,
    }
    found = [f"Config.{name}" for name in expected if not _same(expected[name], config.get(name))]
    if dict(map(_variable, config.get("Env") or [])) != environment:
        found.append("Config.Env")
    if any(made_labels.get(name) != value for name, value in asked["Labels"].items()):
        found.append("Config.Labels")
    if not set(config.get("Volumes") or {}) <= set(asked["HostConfig"]["Tmpfs"]):
        found.append("Config.Volumes")
    return found


def _variable(entry: str) -> tuple[str, str]:
    name, _, value = entry.partition("=")
    return name, value


def _same(asked: object, made: object) -> bool:
    if isinstance(asked, list) and isinstance(made, list):
        return len(asked) == len(made) and all(map(_same, asked, made))
    if isinstance(asked, dict) and isinstance(made, dict):
        return all(_same(value, made.get(name)) for name, value in asked.items()) and all(
            name in asked or _off(made[name]) for name in made
        )
    return asked == made or (_off(asked) and _off(made))


def _off(value: object) -> bool:
    """Whether a setting says nothing: absent, empty, zero or a list of such."""
    if isinstance(value, list):
        return all(_off(part) for part in value)
    if isinstance(value, dict):
        return all(_off(part) for part in value.values())
    return value in (None, "", 0, False)
