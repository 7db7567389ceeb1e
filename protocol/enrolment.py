"""How a machine becomes a node: an enrolment secret is spent once for trust in the node's own key.

The secret is `nk_<52 characters>_<16 hex digits>`: 256 random bits, then the key id of the
registry that issued it, so that the first answer can be checked before any trust exists.
"""

import re
from typing import Annotated

import msgspec

from protocol.ids import ALPHABET
from protocol.observed import AcceleratorFact, HostFacts, Label

SECRET_CHARACTERS = 52
SECRET_PATTERN = re.compile(
    rf"nk_[{ALPHABET}]{{{SECRET_CHARACTERS}}}_(?P<registry_key_id>[0-9a-f]{{16}})", re.ASCII
)
PublicKeyText = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]


class EnrolRequest(msgspec.Struct, frozen=True):
    """Sent signed (RFC 9421) by the very key it asks trust for.

    public_key   Ed25519, hex
    gateway_url  where clients reach this node's gateway
    """

    secret: Annotated[str, msgspec.Meta(max_length=128)]
    public_key: PublicKeyText
    agent_version: Label
    protocol: Annotated[int, msgspec.Meta(ge=1, le=1000)]
    boot_id: Label
    gateway_url: Annotated[str, msgspec.Meta(max_length=256, pattern=r"^https?://[!-~]+\Z")]
    host: HostFacts
    accelerators: Annotated[tuple[AcceleratorFact, ...], msgspec.Meta(max_length=16)]


class TrustKey(msgspec.Struct, frozen=True):
    """A key of the registry, current or next."""

    key_id: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{16}\Z")]
    public_key: PublicKeyText


class LostLog(msgspec.Struct, frozen=True):
    """How far the registry has the log that a node lost, and what time cannot be known any more.

    root                    base64
    from_at_ms, until_at_ms from its last cosignature to the new enrolment, by the registry's clock
    """

    origin: Annotated[str, msgspec.Meta(min_length=1, max_length=320)]
    size: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    root: Annotated[str, msgspec.Meta(min_length=44, max_length=44)]
    from_at_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    until_at_ms: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]


class EnrolAnswer(msgspec.Struct, frozen=True):
    """What the node keeps for good.

    registry_domain  heads the log's origin and the witness's name
    log_epoch        0, or one more than that of the log that was lost
    lost_log         that log; None in epoch 0
    """

    node_id: Label
    node_name: Label
    site_name: Annotated[str, msgspec.Meta(max_length=128)]
    registry_domain: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
    log_epoch: Annotated[int, msgspec.Meta(ge=0)]
    trust_keys: Annotated[tuple[TrustKey, ...], msgspec.Meta(min_length=1, max_length=4)]
    lost_log: LostLog | None = None


def registry_key_id(secret: str) -> str | None:
    """Return the key id that the secret pins, or None if it has not the form of a secret."""
    match = SECRET_PATTERN.fullmatch(secret)
    return match["registry_key_id"] if match else None


def shown_secret(secret: str) -> str:
    """Return the part of an enrolment secret that may be shown: `nk_7f3a`."""
    return secret[:7]
