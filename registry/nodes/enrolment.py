"""Enrolment secrets, and what stands between one and a node's trust."""

import re
from dataclasses import dataclass

from protocol import PROTOCOL_VERSIONS_SUPPORTED
from protocol.clock import DAY_MS
from protocol.enrolment import SECRET_CHARACTERS, EnrolRequest, registry_key_id
from protocol.ids import base32
from protocol.refusal import Refusal

SECRET_BYTES = 32
SECRET_LIFE_MS = 7 * DAY_MS
NODE_NAME_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
GPUS_MAX = 16
POWER_W_MAX = 100_000
LATENCY_MS_MAX = 10_000
EXTERNAL_ID_CHARACTERS_MAX = 80
ACCELERATORS = (
    "NVIDIA H200 141GB",
    "NVIDIA H100 80GB",
    "NVIDIA A100 80GB",
    "NVIDIA L40S 48GB",
    "NVIDIA L4 24GB",
    "NVIDIA RTX 6000 Ada 48GB",
    "NVIDIA RTX 4090 24GB",
    "Other",
)


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A machine as its owner describes it, before it has been heard of."""

    name: str
    external_id: str
    accelerator: str
    gpu_count: int
    power_w: int
    latency_ms: int


@dataclass(frozen=True, slots=True)
class EnrolmentSecret:
    """An enrolment secret as it is kept: by hash and prefix.

    spent_by_key  the key id that trust was given to
    """

    secret_id: str
    node_id: str
    prefix: str
    created_by: str
    created_at_ms: int
    expires_at_ms: int
    revoked_at_ms: int | None
    spent_at_ms: int | None
    spent_by_key: str | None
    spent_from: str | None


def new_secret(entropy: bytes, *, key_id: str) -> str:
    """Return an enrolment secret that pins the registry key with this id."""
    assert len(entropy) == SECRET_BYTES
    return f"nk_{base32(int.from_bytes(entropy, 'big'), SECRET_CHARACTERS)}_{key_id}"


def state_of(secret: EnrolmentSecret, *, now_ms: int) -> str:
    """Return waiting, spent, revoked or expired."""
    if secret.revoked_at_ms is not None:
        return "revoked"
    if secret.spent_at_ms is not None:
        return "spent"
    return "expired" if secret.expires_at_ms <= now_ms else "waiting"


def read_node_name(text: str) -> str:
    """Return the name of a node; refuse one that is no DNS label."""
    name = text.strip()
    if NODE_NAME_PATTERN.fullmatch(name) is None:
        raise Refusal(
            code="name_invalid",
            status=422,
            message="Use 1 to 63 of a-z, 0-9 and -, not beginning or ending with -.",
            hint="For example nbo-telecom-1-gpu01.",
            field="name",
        )
    return name


def check_request(request: EnrolRequest, *, key_id: str, demo: bool) -> None:
    """Refuse what no secret can make good: another registry's secret, simulated GPUs, age.

    key_id  of this registry's key
    """
    if registry_key_id(request.secret) != key_id:
        raise _refused(
            "secret_invalid",
            401,
            "This is no enrolment secret of this registry.",
            "Copy the whole secret from the node's page, and check the registry's address.",
        )
    if request.protocol not in PROTOCOL_VERSIONS_SUPPORTED:
        spoken = ", ".join(str(version) for version in PROTOCOL_VERSIONS_SUPPORTED)
        raise _refused(
            "protocol_unsupported",
            400,
            f"The agent speaks protocol {request.protocol}; this registry speaks {spoken}.",
            "Install the agent that belongs to this registry's release.",
        )
    if any(fact.simulated for fact in request.accelerators) and not demo:
        raise _refused(
            "simulated_accelerators",
            403,
            "The node reports simulated GPUs, and this registry takes real ones alone.",
            "Set accelerators to the real driver in agent.toml; simulated GPUs are for demos.",
        )


def why_not_usable(secret: EnrolmentSecret | None, *, key_id: str, now_ms: int) -> Refusal | None:
    """Return why the secret gives the key no trust, or None.  key_id: of the node's key"""
    if secret is None:
        return _refused(
            "secret_invalid",
            401,
            "This is no enrolment secret of this registry.",
            "Copy the whole secret from the node's page.",
        )
    state = state_of(secret, now_ms=now_ms)
    if state == "spent" and secret.spent_by_key != key_id:
        return _refused(
            "secret_spent",
            409,
            "This enrolment secret was used by another machine already.",
            "Make a new one on the node's page; if you did not use it, retire that machine.",
        )
    if state in ("revoked", "expired"):
        return _refused(
            f"secret_{state}",
            401,
            f"This enrolment secret is {state}.",
            "Make a new one on the node's page.",
        )
    return None


def taken_elsewhere(what: str) -> Refusal:
    """Return the refusal of a key or a GPU that another node brought first."""
    return _refused(
        "registered_elsewhere",
        409,
        f"{what} is registered with another node.",
        "Retire that node first; a GPU and a key belong to one node at a time.",
    )


def _refused(code: str, status: int, message: str, hint: str) -> Refusal:
    return Refusal(code=code, status=status, message=message, hint=hint)
