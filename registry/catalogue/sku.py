"""SKUs and prices as an operator writes them down, in TOML: read, bounded, named when wrong."""

import tomllib
from typing import Annotated, Literal

import msgspec

from protocol.clock import HOUR_MS
from protocol.price import Count, Short
from protocol.refusal import Refusal
from protocol.usage import GPU_MS, METERS, TOKENS_IN, TOKENS_OUT

FILE_BYTES_MAX = 1024 * 1024
SKUS_MAX = 1000
Positive = Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]


class PriceLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`micros` millionths of the currency for `per` units of `meter`."""

    meter: Short
    micros: Count
    per: Positive


class SkuLine(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"sku_class": "class"}
):
    """One SKU: a shape of a machine, or a model."""

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9./_-]{0,63}$")]
    sku_class: Literal["gpu", "model"]
    name: Short
    price: Annotated[tuple[PriceLine, ...], msgspec.Meta(min_length=1, max_length=16)]
    accelerator_model: Annotated[str, msgspec.Meta(max_length=64)] = ""
    accelerator_count: Annotated[int, msgspec.Meta(ge=0, le=16)] = 0
    accelerator_memory_mib: Count = 0
    cpu_milli: Count = 0
    memory_mib: Count = 0
    disk_mib: Count = 0
    power_w: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    simulated: bool = False


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A catalogue file."""

    sku: Annotated[tuple[SkuLine, ...], msgspec.Meta(min_length=1, max_length=SKUS_MAX)]


def read_catalogue(raw: bytes) -> Catalogue:
    """Return what a catalogue file says; refuse by field."""
    if len(raw) > FILE_BYTES_MAX:
        raise _refused("catalogue", "is over 1 MiB")
    try:
        catalogue = msgspec.convert(tomllib.loads(raw.decode()), Catalogue)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _refused("catalogue", f"is not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise _refused("catalogue", str(error)) from None
    ids = [line.id for line in catalogue.sku]
    for line in catalogue.sku:
        if ids.count(line.id) > 1:
            raise _refused(line.id, "stands twice in the file")
        _check(line)
    return catalogue


def effective_hour(now_ms: int) -> int:
    """Return from when a price that is set now holds: the hour edge at or before this moment.

    Only the first price of a SKU's meter may begin in the running hour: nothing was sold by it yet.
    """
    return now_ms - now_ms % HOUR_MS


def _check(line: SkuLine) -> None:
    meters = [price.meter for price in line.price]
    unknown = next((meter for meter in meters if meter not in METERS), None)
    if unknown is not None:
        raise _refused(f"{line.id}.price", f"no meter is called {unknown!r}")
    if len(set(meters)) != len(meters):
        raise _refused(f"{line.id}.price", "prices a meter twice")
    if line.sku_class == "gpu":
        shape = (line.accelerator_count, line.cpu_milli, line.memory_mib, line.disk_mib)
        if not line.accelerator_model or 0 in shape:
            raise _refused(
                line.id,
                "a SKU of class gpu needs accelerator_model, accelerator_count, cpu_milli, "
                "memory_mib and disk_mib",
            )
        if GPU_MS not in meters:
            raise _refused(f"{line.id}.price", f"a SKU of class gpu needs a price for {GPU_MS}")
    elif not {TOKENS_IN, TOKENS_OUT} <= set(meters):
        raise _refused(
            f"{line.id}.price", f"a model needs a price for {TOKENS_IN} and {TOKENS_OUT}"
        )


def _refused(field: str, why: str) -> Refusal:
    return Refusal(
        code="catalogue_invalid",
        status=422,
        message=f"{field}: {why}.",
        hint="Correct the file and load it again; nothing was changed.",
        field=field,
    )
