"""Which images may run here: by the site's own list of registries, and by what they say."""

import re
from collections.abc import Sequence

from agent.allocations.runtime import ImageFacts
from protocol.manifest import Image
from protocol.refusal import Refusal

DEFAULT_REGISTRY = "docker.io"
DEFAULT_NAMESPACE = "library"
VOLUMES_MAX = 8

VOLUME_PATTERN = re.compile(r"(?:/[A-Za-z0-9_][A-Za-z0-9._-]*){1,16}", re.ASCII)
VOLUME_FORBIDDEN = re.compile(r"/(?:proc|sys|dev|etc|bin|sbin|lib|lib64|usr)(?:/|\Z)", re.ASCII)

ENVIRONMENT_FORBIDDEN = re.compile(
    r"(?:LD_(?!LIBRARY_PATH\Z)|OUTSTATION_|DOCKER_"
    r"|NVIDIA_(?:MIG_|IMEX|GDS|GDRCOPY|MOFED|NVSWITCH|FABRIC))",
    re.ASCII | re.IGNORECASE,
)
"""Variables with which an image would steer a GPU runtime's hook on the host, or the node itself.

Published CUDA images carry LD_LIBRARY_PATH, NVIDIA_VISIBLE_DEVICES and the like; those stay inside
the container or are overridden by the node.
"""


def qualified_name(name: str) -> str:
    """Return an image's name with the registry and namespace that the short forms leave out."""
    first, _, rest = name.partition("/")
    if rest and ("." in first or ":" in first or first == "localhost"):
        return name
    return (
        f"{DEFAULT_REGISTRY}/{name}" if rest else f"{DEFAULT_REGISTRY}/{DEFAULT_NAMESPACE}/{name}"
    )


def is_allowed(name: str, allowed_registries: Sequence[str]) -> bool:
    """Whether the site lets images of this name come here.

    An entry is a registry or the beginning of a path in it, `ghcr.io` or `ghcr.io/acme`; it counts
    by whole components.
    """
    full = f"{qualified_name(name)}/"
    return any(full.startswith(f"{entry.rstrip('/')}/") for entry in allowed_registries)


def is_this_image(image: Image, facts: ImageFacts, allowed_registries: Sequence[str]) -> bool:
    """Whether what lies here is what `image` names, and may be used for it.

    An image that a registry served answers to its name and digest, and only while the site allows
    that registry.  One that the operator imported by hand answers to its own id; a pulled image
    never does, or a tenant could use another's private image by its id.
    """
    if not facts.digests:
        return facts.image_id == image.digest
    wanted = f"{qualified_name(image.name)}@{image.digest}"
    return is_allowed(image.name, allowed_registries) and wanted in {
        f"{qualified_name(name)}@{digest}"
        for name, _, digest in (served.partition("@") for served in facts.digests)
    }


def checked_image(facts: ImageFacts) -> ImageFacts:
    """Return the facts of an image that may run; refuse one that asks for what none may have."""
    for entry in facts.environment:
        name = entry.partition("=")[0]
        if ENVIRONMENT_FORBIDDEN.match(name):
            raise _refused(
                f"The image sets {name[:64]}, which only the node may set.",
                "Build the image without this variable.",
            )
    if len(facts.volumes) > VOLUMES_MAX:
        raise _refused(
            f"The image declares {len(facts.volumes)} volumes; at most {VOLUMES_MAX} may be.",
            "Build the image with fewer VOLUME lines.",
        )
    for path in facts.volumes:
        if VOLUME_PATTERN.fullmatch(path) is None or VOLUME_FORBIDDEN.match(path):
            raise _refused(
                f"The image declares a volume at {path[:64]!r}.",
                "Build the image with its volumes under a path of its own, such as /data.",
            )
    return facts


def not_allowed(image: Image) -> Refusal:
    """Return the refusal of an image from a registry that the site does not allow."""
    return Refusal(
        code="image_not_allowed",
        status=403,
        message=f"This site does not allow images from {qualified_name(image.name)}.",
        hint="The site's operator can add it to engine.allowed_registries or import the image.",
        field="image",
    )


def _refused(message: str, hint: str) -> Refusal:
    return Refusal(code="image_forbidden", status=422, message=message, hint=hint, field="image")
