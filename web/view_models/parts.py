"""Pieces that several pages share."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field, in words that say how to put it right."""

    field: str
    message: str


@dataclass(frozen=True, slots=True)
class Form:
    """What a person typed, kept on the page, and what is wrong with it."""

    values: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[FieldError, ...] = ()

    def value(self, name: str) -> str:
        """Return what the field holds, or nothing."""
        return self.values.get(name, "")

    def error(self, name: str) -> str:
        """Return what is wrong with the field, or nothing."""
        return next((error.message for error in self.errors if error.field == name), "")


@dataclass(frozen=True, slots=True)
class Choice:
    """One option of a select or of radio buttons."""

    value: str
    label: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of a list of checks.  tone: ok warn bad info stale neutral"""

    tone: str
    text: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One line of a list of facts.

    kind  how the value is shown: text, code, money, time (at_ms), duration (ms), count, bytes
    """

    label: str
    value: str | int
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that happened: when, who (a person, a node, the registry), what."""

    at_ms: int
    actor: str
    text: str


@dataclass(frozen=True, slots=True)
class AttentionItem:
    """Something a person should look at, most urgent first.

    tone  bad warn stale info;  word  what the badge says: Critical, Degraded, Held
    """

    tone: str
    word: str
    title: str
    detail: str
    href: str
    since_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class PathStep:
    """One step of a state path.  status: done current future failed skipped"""

    label: str
    status: str
    at_ms: int | None = None
    fact: str = ""


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart; None is a gap.  style: filled line dashed"""

    label: str
    values: tuple[int | None, ...]
    style: str = "line"


@dataclass(frozen=True, slots=True)
class Chart:
    """Figures over time; at most four series.

    unit     what the values are: micros, count, percent, watts, celsius
    summary  the chart in one sentence, for those who do not see it
    """

    chart_id: str
    title: str
    summary: str
    unit: str
    times_ms: tuple[int, ...]
    series: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class NewSecret:
    """A secret that is shown this once; only its hash and prefix are kept.

    file_name  what Download names the file;  file_text  what it holds
    command    a line that uses the secret, ready to paste
    """

    title: str
    value: str
    prefix: str
    file_name: str
    file_text: str
    command: str
    command_label: str


@dataclass(frozen=True, slots=True)
class Paging:
    """Where the neighbouring pages are (paged by key); None where there is none."""

    next_url: str | None = None
    first_url: str | None = None


@dataclass(frozen=True, slots=True)
class GpuRow:
    """One GPU as last observed; `simulated` is said wherever it is shown.

    holder, holder_href  the workload that holds it, or nothing
    """

    index: int
    name: str
    uuid: str
    simulated: bool
    memory_total_mib: int
    memory_used_mib: int | None = None
    utilization_percent: int | None = None
    temperature_c: int | None = None
    power_w: int | None = None
    holder: str = ""
    holder_href: str = ""
