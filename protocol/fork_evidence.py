"""Evidence that a node signed two logs that cannot be one, in a file that verifies alone.

Two checkpoints of one origin, each signed by the node, of sizes `a <= b`.  A consistency proof ties
a root over the first `a` entries to the checkpoint of size `b`; it is not the root that the node
signed at size `a`.  So whatever log the one checkpoint is of, the other is of another.  Nothing of
what the entries say is in the file.
"""

import base64

import msgspec

from protocol.checkpoint import read_signed_checkpoint
from protocol.merkle import HASH_BYTES, is_consistent
from protocol.note import read_verifier_key, strict_base64
from protocol.refusal import LogRefused, Refusal
from protocol.wire import decode

KIND = "outstation/log-fork@v1"
EVIDENCE_BYTES_MAX = 32_768


class ForkEvidence(msgspec.Struct, frozen=True):
    """The file: one JSON object.

    node_key      C2SP verifier key of the node, named by the log's origin
    shorter       checkpoint of size `a`, a signed note
    longer        checkpoint of size `b`
    prefix_root   base64: the root over the first `a` entries of the longer log
    proof         base64 each: why that is a prefix of the longer (RFC 6962 section 2.1.2)
    """

    kind: str
    node_key: str
    shorter: str
    longer: str
    prefix_root: str
    proof: tuple[str, ...]


class Fork(msgspec.Struct, frozen=True):
    """What evidence proves: both sizes were signed by the node of this origin, for two logs."""

    origin: str
    node_key: str
    shorter_size: int
    longer_size: int


def evidence_text(
    *, node_key: str, shorter: str, longer: str, prefix_root: bytes, proof: list[bytes]
) -> str:
    """Return the file."""
    evidence = ForkEvidence(
        kind=KIND,
        node_key=node_key,
        shorter=shorter,
        longer=longer,
        prefix_root=base64.b64encode(prefix_root).decode(),
        proof=tuple(base64.b64encode(hash_).decode() for hash_ in proof),
    )
    return msgspec.json.format(msgspec.json.encode(evidence), indent=2).decode() + "\n"


def verify_evidence(text: str) -> Fork:
    """Return what the file proves, with nobody's help; refuse by name what proves nothing."""
    evidence = _read(text)
    origin, _, public_key = read_verifier_key(evidence.node_key)
    shorter, longer = (
        read_signed_checkpoint(note, origin=origin, public_key=public_key)
        for note in (evidence.shorter, evidence.longer)
    )
    prefix_root = strict_base64(evidence.prefix_root)
    proof = [strict_base64(hash_) for hash_ in evidence.proof]
    hashes = [hash_ for hash_ in proof if hash_ is not None and len(hash_) == HASH_BYTES]
    if prefix_root is None or len(hashes) != len(proof):
        raise LogRefused("evidence_malformed", "A hash of the evidence cannot be read.")
    if not is_consistent(shorter.size, prefix_root, longer.size, longer.root, hashes):
        raise LogRefused("evidence_unproven", "The root is not a prefix of the longer log.")
    if prefix_root == shorter.root:
        raise LogRefused("evidence_empty", "Both checkpoints are of one log: there is no fork.")
    return Fork(origin, evidence.node_key, shorter.size, longer.size)


def _read(text: str) -> ForkEvidence:
    if len(text) > EVIDENCE_BYTES_MAX:
        raise LogRefused("evidence_malformed", f"Evidence has at most {EVIDENCE_BYTES_MAX} bytes.")
    try:
        evidence = decode(text.encode("utf-8", "surrogatepass"), ForkEvidence)
    except Refusal as refusal:
        raise LogRefused("evidence_malformed", f"This is no evidence: {refusal.message}") from None
    if evidence.kind != KIND:
        raise LogRefused("evidence_malformed", f"This is no evidence of the kind {KIND}.")
    return evidence
