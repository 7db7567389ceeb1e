"""What a container is to be: image, command, environment, ports, probe.  A closed schema.

Whatever is not named here cannot be asked for: privileges, host namespaces, devices, mounts of the
host, restart loops.  A refusal names the field.
"""

import re
from typing import Annotated, Literal

import msgspec

from protocol.refusal import Refusal
from protocol.settings import setting_fault
from protocol.wire import decode

ENVIRONMENT_MAX = 64
PORTS_MAX = 8
ARGUMENTS_MAX = 64

IMAGE_PATTERN = re.compile(
    r"(?P<name>[a-z0-9](?:[a-z0-9._:-]*[a-z0-9])?(?:/[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?){0,7})"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"@(?P<digest>sha256:[0-9a-f]{64})",
    re.ASCII,
)
IMAGE_HINT = (
    "Write name@sha256:…. `docker image inspect NAME --format '{{.RepoDigests}} {{.Id}}'` prints "
    "both; an image that was built or loaded on the node, not pulled, goes by NAME@ and its id."
)
ENVIRONMENT_NAME_PATTERN = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}", re.ASCII)
ENVIRONMENT_RESERVED = re.compile(
    r"(?:LD_|NVIDIA_|DOCKER_|OUTSTATION_|CUDA_VISIBLE_DEVICES\Z)", re.ASCII | re.IGNORECASE
)
NAME_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,46}[a-z0-9])?", re.ASCII)

AbsolutePath = Annotated[
    str,
    msgspec.Meta(
        max_length=256,
        pattern=r"^/[!-~]*\Z",
        description="an absolute path without spaces, at most 256 characters",
    ),
]
Argument = Annotated[str, msgspec.Meta(max_length=4096)]
PortNumber = Annotated[int, msgspec.Meta(ge=1024, le=65535)]


class Probe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the node learns that the work is ready: a TCP connect, or a GET that answers 2xx."""

    kind: Literal["tcp", "http"]
    port: PortNumber
    path: AbsolutePath = "/"
    timeout_s: Annotated[int, msgspec.Meta(ge=1, le=3600)] = 300
    """How long readiness may take before the start is given up."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One container as data.

    image    by digest: `name@sha256:…`
    kind     `service` stays; `task` runs to completion
    serves   `openai` if port 1 of `ports` answers the OpenAI API
    """

    image: Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
    kind: Literal["service", "task"] = "service"
    command: Annotated[tuple[Argument, ...], msgspec.Meta(max_length=ARGUMENTS_MAX)] = ()
    environment: Annotated[dict[str, Argument], msgspec.Meta(max_length=ENVIRONMENT_MAX)] = {}
    ports: Annotated[tuple[PortNumber, ...], msgspec.Meta(max_length=PORTS_MAX)] = ()
    working_directory: AbsolutePath | None = None
    probe: Probe | None = None
    read_only_root: bool = True
    scratch_mib: Annotated[int, msgspec.Meta(ge=1, le=65_536)] = 64
    serves: Literal["openai"] | None = None


class Image(msgspec.Struct, frozen=True):
    """The parts of an image reference."""

    name: str
    tag: str | None
    digest: str


def read_manifest(raw: object) -> Manifest:
    """Return the manifest in plain data (as JSON, TOML or YAML gave it); refuse by field."""
    try:
        manifest = msgspec.convert(raw, Manifest)
    except msgspec.ValidationError as error:
        fault = setting_fault(error, Manifest, noun="a field of a manifest")
        raise _refused("manifest_invalid", fault.field or "manifest", fault.why) from None
    return checked(manifest)


def read_manifest_json(payload: bytes) -> Manifest:
    """Return the manifest in JSON bytes; refuse by field."""
    return read_manifest(decode(payload, dict))


def checked(manifest: Manifest) -> Manifest:
    """Return the manifest if it keeps the rules that types cannot say; else refuse by field."""
    read_image(manifest.image)
    for name, value in manifest.environment.items():
        if ENVIRONMENT_NAME_PATTERN.fullmatch(name) is None:
            raise _refused("manifest_invalid", f"environment.{name[:64]}", "not a variable name")
        if ENVIRONMENT_RESERVED.match(name):
            raise _refused(
                "manifest_forbidden",
                f"environment.{name}",
                "names beginning LD_, NVIDIA_, DOCKER_, OUTSTATION_ and CUDA_VISIBLE_DEVICES are "
                "set by the node alone",
            )
        if "\x00" in value:
            raise _refused("manifest_invalid", f"environment.{name}", "has a zero byte")
    if any("\x00" in argument for argument in manifest.command):
        raise _refused("manifest_invalid", "command", "has a zero byte")
    if len(set(manifest.ports)) != len(manifest.ports):
        raise _refused("manifest_invalid", "ports", "names a port twice")
    if manifest.probe is not None and manifest.probe.port not in manifest.ports:
        raise _refused("manifest_invalid", "probe.port", "is not one of the ports")
    if manifest.serves is not None and not manifest.ports:
        raise _refused("manifest_invalid", "serves", "needs a port to be served on")
    return manifest


def read_image(reference: str) -> Image:
    """Return the parts of an image reference; refuse one without a digest."""
    match = IMAGE_PATTERN.fullmatch(reference)
    if match is None:
        raise Refusal(
            code="image_unpinned",
            status=422,
            message="image: must name an image by digest, as name@sha256:<64 hex digits>.",
            hint=IMAGE_HINT,
            field="image",
        )
    return Image(name=match["name"], tag=match["tag"], digest=match["digest"])


def read_name(name: str) -> str:
    """Return the name of an allocation or app; refuse one that is no DNS label."""
    if NAME_PATTERN.fullmatch(name) is None:
        raise Refusal(
            code="name_invalid",
            status=422,
            message="name: use 1 to 48 of a-z, 0-9 and -, not beginning or ending with -.",
            hint="For example train-sw-llm.",
            field="name",
        )
    return name


def _refused(code: str, field: str, why: str) -> Refusal:
    return Refusal(
        code=code,
        status=422,
        message=f"{field}: {why}.",
        hint="Correct this field of the manifest.",
        field=field,
    )
