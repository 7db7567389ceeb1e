"""A checkpoint says how far which log is, and only its node can say so."""

import base64

import pytest

from protocol.checkpoint import (
    Checkpoint,
    cosignature,
    log_origin,
    read_checkpoint,
    read_signed_checkpoint,
    signed_checkpoint,
    witness_name,
)
from protocol.note import cosigned_at_s, read_note, signed_line
from protocol.refusal import LogRefused
from protocol.signing import new_signing_key, public_bytes

KEY = new_signing_key(bytes(range(32)))
OTHER = new_signing_key(bytes(32))
ORIGIN = log_origin("cloud.example", "n_1", 2)
CHECKPOINT = Checkpoint(origin=ORIGIN, size=20_852_163, root=bytes(range(32)))
ROOT = base64.b64encode(bytes(range(32))).decode()


def test_names_are_built_from_the_domain() -> None:
    assert ORIGIN == "cloud.example/log/n_1/2"
    assert witness_name("cloud.example") == "cloud.example/witness"


def test_the_text_has_three_lines() -> None:
    assert CHECKPOINT.text() == f"cloud.example/log/n_1/2\n20852163\n{ROOT}\n"


def test_a_signed_checkpoint_is_read_back() -> None:
    note = signed_checkpoint(CHECKPOINT, KEY)

    assert _read(note) == CHECKPOINT


def test_the_registry_s_line_is_added_under_it() -> None:
    note = signed_checkpoint(CHECKPOINT, KEY)
    line = cosignature(CHECKPOINT, witness="cloud.example/witness", key=OTHER, at_s=99)

    assert _read(note + line) == CHECKPOINT
    seen = cosigned_at_s(
        read_note(note + line), name="cloud.example/witness", public_key=public_bytes(OTHER)
    )
    assert seen == 99


def test_another_node_s_signature_is_refused() -> None:
    with pytest.raises(LogRefused, match="checkpoint_signature"):
        _read(signed_checkpoint(CHECKPOINT, OTHER))


def test_another_log_s_checkpoint_is_refused() -> None:
    other = Checkpoint(origin=log_origin("cloud.example", "n_1", 3), size=1, root=bytes(32))

    with pytest.raises(LogRefused, match="checkpoint_origin"):
        _read(signed_checkpoint(other, KEY))


@pytest.mark.parametrize(
    "text",
    [
        f"{ORIGIN}\n5\n",
        f"\n5\n{ROOT}\n",
        f"{ORIGIN}\n05\n{ROOT}\n",
        f"{ORIGIN}\n-5\n{ROOT}\n",
        f"{ORIGIN}\n5 \n{ROOT}\n",
        f"{ORIGIN}\n٣\n{ROOT}\n",
        f"{ORIGIN}\n{'9' * 20}\n{ROOT}\n",
        f"{ORIGIN}\n5\n{ROOT[:-4]}\n",
        f"{ORIGIN}\n5\n{ROOT[:-2]}9=\n",
        f"{ORIGIN}\n5\nnot base64!\n",
        f"{ORIGIN}\n5\n{ROOT}\nan extension\n",
    ],
)
def test_a_checkpoint_of_another_form_is_refused(text: str) -> None:
    note = f"{text}\n{signed_line(text, name=ORIGIN, key=KEY)}"

    with pytest.raises(LogRefused) as refused:
        read_checkpoint(note)

    assert refused.value.code == "checkpoint_malformed"


def _read(note: str) -> Checkpoint:
    return read_signed_checkpoint(note, origin=ORIGIN, public_key=public_bytes(KEY))
