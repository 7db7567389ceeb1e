"""A `site.toml` into values: a `[site]` and the `[[nodes]]` that stand there."""

import re
import tomllib
from typing import Annotated

import msgspec

from protocol.refusal import Refusal
from registry.sites.countries import COUNTRIES
from registry.sites.site import CONNECTIVITIES, KINDS, POWER_KW_MAX, SiteFacts

DEFINITION_BYTES_MAX = 65_536
NODES_MAX = 64

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=63)]


class NodeDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A machine as its owner describes it."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$")]
    accelerator: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    count: Annotated[int, msgspec.Meta(ge=0, le=16)]
    external_id: Annotated[str, msgspec.Meta(max_length=80)] = ""
    power_w: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 0
    latency_ms: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0


class SiteDefinition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place and its machines."""

    name: Name
    city: Name
    country: Name
    kind: Name
    connectivity: Name
    power_kw: Annotated[int, msgspec.Meta(ge=1, le=POWER_KW_MAX)]
    nodes: Annotated[tuple[NodeDefinition, ...], msgspec.Meta(max_length=NODES_MAX)] = ()

    @property
    def facts(self) -> SiteFacts:
        """The site without its nodes."""
        return SiteFacts(
            self.name, self.city, self.country, self.kind, self.connectivity, self.power_kw
        )


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    site: dict[str, object]
    nodes: list[object] = []


def read_site_definition(raw: bytes) -> SiteDefinition:
    """Return what a site.toml says; refuse by field."""
    if len(raw) > DEFINITION_BYTES_MAX:
        raise _refused("file", f"has more than {DEFINITION_BYTES_MAX} bytes")
    try:
        file = msgspec.convert(tomllib.loads(raw.decode()), _File)
        found = msgspec.convert(file.site | {"nodes": file.nodes}, SiteDefinition)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused("file", f"is not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise _refused(_field(str(error)), str(error)) from None
    if found.country not in COUNTRIES:
        raise _refused("country", f"{found.country!r} is no two-letter code of ISO 3166-1")
    for field, value, known in (
        ("kind", found.kind, KINDS),
        ("connectivity", found.connectivity, CONNECTIVITIES),
    ):
        if value not in known:
            raise _refused(field, f"{value!r} is none of {', '.join(known)}")
    names = [node.name for node in found.nodes]
    if len(set(names)) != len(names):
        raise _refused("nodes", "two nodes have the same name")
    return found


def _field(message: str) -> str:
    path = re.search(r"`\$\.?([^`]*)`", message)
    unknown = re.search(r"field `([^`]*)`", message)
    if unknown is not None:
        return unknown.group(1)
    return path.group(1) if path and path.group(1) else "file"


def _refused(field: str, why: str) -> Refusal:
    return Refusal(
        code="site_invalid",
        status=422,
        message=f"{field}: {why}.",
        hint="Correct this field of the site definition.",
        field=field,
    )
