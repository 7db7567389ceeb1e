"""The API keys a node may accept: a versioned list, signed by the registry, checked alone.

A key's secret is never here: only its SHA-256, which the gateway compares with what a client sent.
"""

import hashlib
import re
from typing import Annotated

import msgspec

from protocol.ids import ALPHABET
from protocol.observed import Label, Moment

PURPOSE = "key-set"
KEYS_MAX = 10_000
KEY_PREFIX = "ok_"
KEY_CHARACTERS = 52
SHOWN_CHARACTERS = 7
KEY_PATTERN = re.compile(rf"ok_[{ALPHABET}]{{{KEY_CHARACTERS}}}", re.ASCII)


class ApiKeyFact(msgspec.Struct, frozen=True):
    """One API key as a node knows it.

    models  names it may call; empty for every model
    """

    key_id: Label
    hash: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}\Z")]
    tenant_id: Label
    project_id: Label
    models: Annotated[tuple[Label, ...], msgspec.Meta(max_length=64)] = ()
    requests_per_minute: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] = 600
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 64
    expires_at_ms: Moment | None = None


class KeySet(msgspec.Struct, frozen=True):
    """Every key admissible on one node.

    stale_at_ms  after this moment, by the registry's clock, the node refuses all of them
    """

    node_id: Label
    version: Moment
    issued_at_ms: Moment
    stale_at_ms: Moment
    keys: Annotated[tuple[ApiKeyFact, ...], msgspec.Meta(max_length=KEYS_MAX)]


def secret_hash(secret: str) -> str:
    """Return what is stored of a secret: SHA-256 in hex."""
    return hashlib.sha256(secret.encode()).hexdigest()


def shown_prefix(secret: str) -> str:
    """Return the part of a secret that may be shown: `ok_7f3a`."""
    return secret[:SHOWN_CHARACTERS]
