"""Evidence of a fork verifies alone, and proves nothing that is not one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.checkpoint import Checkpoint, signed_checkpoint
from protocol.fork_evidence import EVIDENCE_BYTES_MAX, evidence_text, verify_evidence
from protocol.merkle import EMPTY_FRONTIER, consistency_proof, leaf_hash, subtrees_of
from protocol.note import verifier_key
from protocol.refusal import LogRefused
from protocol.signing import SigningKey, new_signing_key, public_bytes

ORIGIN = "registry.example/log/n_1/0"
KEY, OTHER = new_signing_key(bytes(range(32))), new_signing_key(bytes(range(1, 33)))
TRUE = [b"entry %d" % at for at in range(40)]


def note(entries: list[bytes], *, key: SigningKey = KEY, origin: str = ORIGIN) -> str:
    root = EMPTY_FRONTIER.extended(entries).root()
    return signed_checkpoint(Checkpoint(origin, len(entries), root), key)


def evidence(shorter: list[bytes], longer: list[bytes]) -> str:
    subtree = subtrees_of([leaf_hash(entry) for entry in longer])
    return evidence_text(
        node_key=verifier_key(ORIGIN, public_bytes(KEY)),
        shorter=note(shorter),
        longer=note(longer),
        prefix_root=EMPTY_FRONTIER.extended(longer[: len(shorter)]).root(),
        proof=consistency_proof(len(shorter), len(longer), subtree),
    )


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_two_logs_of_one_node_are_proved_to_be_two(
    small: int, large: int, data: st.DataObject
) -> None:
    small, large = sorted((small, large))
    at = data.draw(st.integers(0, small - 1))
    forked = [*TRUE[:at], b"another", *TRUE[at + 1 : small]]

    fork = verify_evidence(evidence(forked, TRUE[:large]))

    assert (fork.origin, fork.shorter_size, fork.longer_size) == (ORIGIN, small, large)


@given(st.integers(1, 40), st.integers(1, 40))
def test_one_log_that_grew_is_no_fork(small: int, large: int) -> None:
    small, large = sorted((small, large))

    with pytest.raises(LogRefused, match="evidence_empty"):
        verify_evidence(evidence(TRUE[:small], TRUE[:large]))


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("checkpoint_signature", {"shorter": note([b"x"] * 5, key=OTHER)}),
        ("checkpoint_signature", {"node_key": verifier_key(ORIGIN, public_bytes(OTHER))}),
        ("checkpoint_origin", {"shorter": note([b"x"] * 5, origin="elsewhere")}),
        ("checkpoint_origin", {"node_key": verifier_key("elsewhere", public_bytes(KEY))}),
        ("verifier_key_malformed", {"node_key": "nobody"}),
        ("evidence_unproven", {"proof": []}),
        ("evidence_unproven", {"prefix_root": "A" * 43 + "="}),
        ("evidence_unproven", {"shorter": note([b"x"] * 6)}),
        ("evidence_malformed", {"proof": ["AAAA"]}),
        ("evidence_malformed", {"prefix_root": "?"}),
        ("evidence_malformed", {"kind": "something else"}),
        ("evidence_malformed", {"proof": 5}),
        ("note_malformed", {"longer": "no note"}),
    ],
)
def test_a_changed_file_proves_nothing(code: str, change: dict[str, object]) -> None:
    text = evidence([b"x"] * 5, TRUE)

    with pytest.raises(LogRefused) as refused:
        verify_evidence(json.dumps(json.loads(text) | change))

    assert refused.value.code == code


@pytest.mark.parametrize("text", ["", "[]", "{}", "\ud800", "x" * (EVIDENCE_BYTES_MAX + 1)])
def test_what_is_no_evidence_is_refused_by_name(text: str) -> None:
    with pytest.raises(LogRefused, match="evidence_malformed"):
        verify_evidence(text)
