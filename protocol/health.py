"""A finding: something is wrong, since when, and what to do about it."""

from typing import Annotated, Literal

import msgspec

from protocol.observed import NO_ZERO_BYTE, AtMs

Severity = Literal["info", "warning", "critical"]
Sentence = Annotated[str, msgspec.Meta(max_length=512, pattern=NO_ZERO_BYTE)]


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong.

    code     stable, snake case: `gpu_lost`, `disk_full`
    subject  what it is about: a GPU's UUID, a path, a container; empty for the node itself
    detail   what was seen, in words and figures
    remedy   what a person should do
    """

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9_]+\Z")]
    severity: Severity
    subject: Annotated[str, msgspec.Meta(max_length=128, pattern=NO_ZERO_BYTE)]
    since_ms: AtMs
    detail: Sentence
    remedy: Sentence
