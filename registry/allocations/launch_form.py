"""A launch as asked for: the fields, read and checked, each refusal naming its field."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from protocol.manifest import (
    ENVIRONMENT_MAX,
    Manifest,
    checked,
    read_image,
    read_manifest,
    read_name,
)
from protocol.refusal import Refusal

COUNTRY_PATTERN = re.compile(r"[A-Z]{2}", re.ASCII)
COUNT_MAX = 16
CHARACTERS_MAX = {
    "image": 512,
    "command": 16_384,
    "environment": 65_536,
    "name": 256,
    "place": 128,
    "sku": 128,
    "gpu_count": 16,
}
"""What is longer is refused before anybody reads it: a shell line of 500 KB takes seconds."""

COUNT_PATTERN = re.compile(r"[0-9]{1,2}", re.ASCII)
NAME_CHARACTERS_MAX = 40
NAME_KEY_CHARACTERS = 4
SERVICE: Final = "service"
TASK: Final = "task"


@dataclass(frozen=True, slots=True)
class LaunchForm:
    """A launch, well-formed but not yet allowed, affordable or placed.

    count             how many of the SKU's shape, all on one node
    country, site_id  at most one of them: where the work must stay
    """

    name: str
    sku_id: str
    manifest: Manifest
    count: int = 1
    country: str | None = None
    site_id: str | None = None


class LaunchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON body of `POST /api/v1/allocations`; without a name the image gives one."""

    sku: str
    manifest: dict[str, object]
    name: str = ""
    count: int = 1
    country: str | None = None
    site: str | None = None


def read_launch_body(body: LaunchBody, *, key: str) -> LaunchForm:
    """Return the launch a program asked for.

    key  the request's key: makes up a name where none was sent
    """
    if body.country is not None and body.site is not None:
        raise _refused("country", "name a country or a site, not both")
    if body.country is not None and COUNTRY_PATTERN.fullmatch(body.country) is None:
        raise _refused("country", "must be a two-letter code such as KE")
    manifest = read_manifest(body.manifest)
    return LaunchForm(
        name=read_name(body.name or chosen_name(manifest.image, key)),
        sku_id=body.sku,
        manifest=manifest,
        count=_count(str(body.count)),
        country=body.country,
        site_id=body.site,
    )


def read_launch_fields(fields: Mapping[str, str]) -> LaunchForm:
    """Return the launch a person asked for with the page's fields.

    place        empty, `country:KE` or `site:s_…`
    command      as typed in a shell, or empty for the image's own
    environment  NAME=value lines
    kind         service, which is what is meant where it is left out, or task
    """
    for field, characters_max in CHARACTERS_MAX.items():
        if len(fields.get(field, "")) > characters_max:
            raise _refused(field, f"may have at most {characters_max} characters")
    image = fields.get("image", "").strip()
    if not image:
        raise _refused("image", "name the image or choose an app")
    read_image(image)
    manifest = Manifest(
        image=image,
        command=_command(fields.get("command", "")),
        environment=_environment(fields.get("environment", "")),
        kind=_kind(fields.get("kind", SERVICE)),
    )
    country, site_id = _place(fields.get("place", ""))
    sku_id = fields.get("sku", "")
    if not sku_id:
        raise _refused("sku", "choose a shape")
    return LaunchForm(
        name=read_name(fields.get("name", "").strip()),
        sku_id=sku_id,
        manifest=checked(manifest),
        count=_count(fields.get("gpu_count", "1")),
        country=country,
        site_id=site_id,
    )


def chosen_name(image: str, key: str) -> str:
    """Return a name for a workload that was given none: its image's, and some of its key."""
    last = image.strip().partition("@")[0].rpartition("/")[2].partition(":")[0].lower()
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in last)
    tail = "".join(letter for letter in key.lower() if letter.isascii() and letter.isalnum())
    head = plain.strip("-")[:NAME_CHARACTERS_MAX].strip("-") or "workload"
    return f"{head}-{tail[-NAME_KEY_CHARACTERS:] or '0'}"


def _command(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise _refused("command", f"cannot be read ({error}); close every quote") from None


def _environment(text: str) -> dict[str, str]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > ENVIRONMENT_MAX:
        raise _refused("environment", f"has more than {ENVIRONMENT_MAX} lines")
    environment: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        name, equals, value = line.partition("=")
        if not equals:
            raise _refused("environment", f"line {number} is not NAME=value")
        if name in environment:
            raise _refused("environment", f"line {number} sets {name[:64]} again")
        environment[name] = value
    return environment


def _kind(text: str) -> Literal["service", "task"]:
    if text == TASK:
        return TASK
    if text == SERVICE:
        return SERVICE
    raise _refused("kind", "choose whether it stays or runs to completion")


def _count(text: str) -> int:
    if COUNT_PATTERN.fullmatch(text) is None or not 1 <= int(text) <= COUNT_MAX:
        raise _refused("gpu_count", f"choose 1 to {COUNT_MAX}")
    return int(text)


def _place(text: str) -> tuple[str | None, str | None]:
    kind, _, value = text.partition(":")
    if not text:
        return None, None
    if kind == "country" and COUNTRY_PATTERN.fullmatch(value):
        return value, None
    if kind == "site" and value:
        return None, value
    raise _refused("place", "choose a country or a site from the list")


def _refused(field: str, why: str) -> Refusal:
    return Refusal(
        code="launch_invalid",
        status=422,
        message=f"{field}: {why}.",
        hint="Correct this field and send the launch again; nothing was created.",
        field=field,
    )
