"""Prometheus' text format, version 0.0.4: families of samples with labels."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LABEL_CHARACTERS_MAX = 128


@dataclass(frozen=True, slots=True)
class Point:
    """One value.

    thousandths  the value times 1,000, so that watts of a card in mW stay exact
    """

    thousandths: int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """All values of one name."""

    name: str
    kind: Literal["counter", "gauge"]
    about: str
    points: tuple[Point, ...]


def family(
    name: str,
    kind: Literal["counter", "gauge"],
    about: str,
    values: Iterable[tuple[int | None, Mapping[str, str]]],
) -> Family:
    """Return a family of whole numbers; what is not known (None) is left out, never told as 0."""
    points = tuple(Point(value * 1_000, labels) for value, labels in values if value is not None)
    return Family(name, kind, about, points)


def exposition(families: Iterable[Family]) -> str:
    """Return the text of these families; one without values is left out."""
    lines: list[str] = []
    for told in families:
        if not told.points:
            continue
        lines += [f"# HELP {told.name} {told.about}", f"# TYPE {told.name} {told.kind}"]
        lines += [
            f"{told.name}{_labels(point.labels)} {_decimal(point.thousandths)}"
            for point in told.points
        ]
    return "\n".join([*lines, ""])


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_quoted(value)}"' for name, value in labels.items()) + "}"


def _quoted(value: str) -> str:
    cut = value[:LABEL_CHARACTERS_MAX]
    return cut.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _decimal(thousandths: int) -> str:
    whole, rest = divmod(abs(thousandths), 1_000)
    sign = "-" if thousandths < 0 else ""
    return f"{sign}{whole}.{rest:03d}" if rest else f"{sign}{whole}"
