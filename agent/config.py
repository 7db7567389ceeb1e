"""agent.toml, read once into one frozen Config; an unknown key stops the start and is named."""

import ipaddress
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from protocol.refusal import Refusal
from protocol.settings import setting_fault

Seconds = Annotated[int, msgspec.Meta(ge=1, le=300)]
Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Url = Annotated[
    str,
    msgspec.Meta(
        max_length=256,
        pattern=r"^https?://[!-~]+\Z",
        description="an address that begins with http:// or https://, at most 256 characters",
    ),
]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]

FILE_BYTES_MAX = 65_536


class Gateway(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where customers reach this node.

    public_url        what the registry publishes; made from host and port when left out
    audit_token_file  the bearer with which the site and its auditors read entries of the usage log
    """

    host: str = "127.0.0.1"
    port: Port = 8090
    public_url: Url | None = None
    metrics_token_file: str | None = None
    audit_token_file: str | None = None


class Backend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OpenAI-compatible server that this node's operator runs."""

    name: Name
    url: Url
    models: tuple[Name, ...] = ()


class Accelerators(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where GPUs come from: NVML, or simulated ones that can be sold in demo mode alone.

    source  `auto` takes NVML where a driver is found; it simulates only if demo = true
    """

    source: Literal["auto", "nvml", "simulated", "none"] = "auto"
    nvml_library: str | None = None
    simulated_count: Annotated[int, msgspec.Meta(ge=1, le=16)] = 2
    simulated_model: Name = "Simulated GPU"
    simulated_memory_mib: Annotated[int, msgspec.Meta(ge=1)] = 81_920


class Engine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The container engine and the site's own policy for it, which the registry cannot widen.

    url                   None takes DOCKER_HOST or the usual socket
    allowed_registries    registries from which images may be fetched; none by default
    site_networks         address ranges at this site that tenants must never reach
    writable_root         whether tenants may ask for a root file system they can write; it has no
                          limit of its own, so that one of them could fill this machine's disk
    """

    url: str | None = None
    allowed_registries: tuple[Name, ...] = ()
    site_networks: tuple[Name, ...] = ()
    writable_root: bool = False


class Metering(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often usage is written down."""

    tick_s: Seconds = 60
    heartbeat_s: Seconds = 300


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set on a node."""

    registry_url: Url
    state_directory: Annotated[str, msgspec.Meta(min_length=1)] = "/var/lib/outstation"
    demo: bool = False
    gateway: Gateway = Gateway()
    accelerators: Accelerators = Accelerators()
    engine: Engine = Engine()
    metering: Metering = Metering()
    backends: Annotated[tuple[Backend, ...], msgspec.Meta(max_length=64)] = ()
    sync_interval_s: Seconds | None = None


def read_config(path: Path) -> Config:
    """Return the configuration in the file; refuse with its path, the field and the remedy."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _refused(
            path, f"cannot be read ({error.strerror})", "Name the file with --config."
        ) from None
    if len(raw) > FILE_BYTES_MAX:
        raise _refused(path, "is over 64 KiB", "Keep only settings in it.")
    try:
        plain = tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused(path, f"is not TOML: {error}", "Correct that line.") from None
    try:
        config = msgspec.convert(plain, Config)
    except msgspec.ValidationError as error:
        fault = setting_fault(error, Config)
        raise _refused(
            path, f"{fault.field} {fault.why}", "Correct or remove that field."
        ) from None
    _check_engine(path, config)
    names = [backend.name for backend in config.backends]
    if len(set(names)) != len(names):
        raise _refused(path, "backends: two have the same name", "Give each a name of its own.")
    if config.accelerators.source == "simulated" and not config.demo:
        raise _refused(
            path,
            'accelerators.source is "simulated" without demo = true',
            'Simulated GPUs cannot be sold outside demo mode: write "nvml", or set demo = true.',
        )
    return config


def gateway_url(config: Config, port: int) -> str:
    """Return the address clients are told, for the port that the gateway listens on."""
    return config.gateway.public_url or f"http://{config.gateway.host}:{port}"


def _check_engine(path: Path, config: Config) -> None:
    for network in config.engine.site_networks:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise _refused(
                path,
                f"engine.site_networks: {error}",
                "Write networks as 10.20.0.0/16, with no bit set beyond the prefix.",
            ) from None


def _refused(path: Path, why: str, remedy: str) -> Refusal:
    return Refusal(
        code="config_invalid", status=400, message=f"{path}: {why}.", hint=remedy, field="config"
    )
