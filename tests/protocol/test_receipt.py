"""A receipt proves its entry alone, and nothing else can be made of it."""

import base64

import pytest

from protocol.checkpoint import Checkpoint, cosignature, signed_checkpoint
from protocol.merkle import inclusion_proof, leaf_hash, root_of, subtrees_of
from protocol.receipt import Receipt, VerifiedReceipt, read_receipt, receipt_text, verify_receipt
from protocol.refusal import LogRefused
from protocol.signing import SigningKey, new_signing_key, public_bytes
from protocol.usage import Heartbeat, entry_bytes

NODE = new_signing_key(bytes(range(32)))
REGISTRY = new_signing_key(bytes(32))
STRANGER = new_signing_key(bytes([7] * 32))
WITNESS = "cloud.example/witness"
ENTRIES = [entry_bytes(Heartbeat(at_ms=at, boottime_ms=at, skew_ms=0)) for at in range(21)]
HASHES = [leaf_hash(entry) for entry in ENTRIES]


@pytest.mark.parametrize("index", range(21))
def test_every_entry_is_proved(index: int) -> None:
    proved = _verify(_receipt(index))

    assert proved.record["t"] == index
    assert (proved.index, proved.checkpoint.size, proved.seen_at_s) == (index, 21, 1_700_000_000)


def test_a_receipt_has_the_form_of_a_tlog_proof() -> None:
    lines = _receipt(5).split("\n")

    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1] == f"extra {base64.b64encode(ENTRIES[5]).decode()}"
    assert lines[2] == "index 5"
    assert all(len(base64.b64decode(line)) == 32 for line in lines[3 : lines.index("")])
    assert lines[lines.index("") + 1] == "cloud.example/log/n_1/0"


def test_a_receipt_is_read_back_as_it_was_written() -> None:
    assert receipt_text(read_receipt(_receipt(3))) == _receipt(3)


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        ("inclusion_wrong", "index 5", "index 6"),
        ("inclusion_wrong", "index 5", "index 99"),
        (
            "inclusion_wrong",
            base64.b64encode(ENTRIES[5]).decode(),
            base64.b64encode(ENTRIES[6]).decode(),
        ),
        ("checkpoint_signature", "\n21\n", "\n20\n"),
        ("receipt_malformed", "tlog-proof@v1", "tlog-proof@v2"),
        ("receipt_malformed", "index 5", "index 05"),
        ("receipt_malformed", "index 5", "index -5"),
        ("receipt_malformed", "extra ", "extras "),
        ("receipt_malformed", "extra ", "extra !"),
        ("receipt_malformed", "index 5\n", "index 5\nAAAA\n"),
        (
            "receipt_malformed",
            "index 5\n",
            "index 5\n" + (base64.b64encode(bytes(32)).decode() + "\n") * 64,
        ),
    ],
)
def test_a_changed_receipt_is_refused_by_name(code: str, before: str, after: str) -> None:
    changed = _receipt(5).replace(before, after, 1)
    assert changed != _receipt(5)

    with pytest.raises(LogRefused) as refused:
        _verify(changed)

    assert refused.value.code == code


def test_whatever_character_is_changed_nothing_else_is_proved() -> None:
    receipt = _receipt(9)
    true = _verify(receipt)
    for at, character in enumerate(receipt):
        changed = receipt[:at] + ("A" if character != "A" else "B") + receipt[at + 1 :]
        try:
            proved = _verify(changed)
        except LogRefused:
            continue

        # The last character before a base64 padding has bits that mean nothing.
        assert receipt[at + 1] == "="
        assert proved == true


def test_an_empty_text_is_no_receipt() -> None:
    with pytest.raises(LogRefused, match="receipt_malformed"):
        read_receipt("")


def test_a_receipt_of_a_log_that_somebody_else_signed_is_refused() -> None:
    with pytest.raises(LogRefused, match="checkpoint_signature"):
        _verify(_receipt(1, node=STRANGER))


def test_a_receipt_without_the_registry_s_cosignature_is_refused() -> None:
    with pytest.raises(LogRefused, match="cosignature_missing"):
        _verify(_receipt(1, registry=STRANGER))


def _receipt(index: int, *, node: SigningKey = NODE, registry: SigningKey = REGISTRY) -> str:
    checkpoint = Checkpoint("cloud.example/log/n_1/0", len(ENTRIES), root_of(HASHES))
    line = cosignature(checkpoint, witness=WITNESS, key=registry, at_s=1_700_000_000)
    return receipt_text(
        Receipt(
            entry=ENTRIES[index],
            index=index,
            proof=tuple(inclusion_proof(index, len(ENTRIES), subtrees_of(HASHES))),
            checkpoint_note=signed_checkpoint(checkpoint, node) + line,
        )
    )


def _verify(receipt: str) -> VerifiedReceipt:
    return verify_receipt(
        receipt, node_key=public_bytes(NODE), witness=WITNESS, witness_key=public_bytes(REGISTRY)
    )
