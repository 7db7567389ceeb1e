"""Notes as other tools write and read them, by the published examples."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.note import (
    NOTE_BYTES_MAX,
    TYPE_COSIGNATURE,
    cosigned_at_s,
    cosigned_line,
    is_note_signed,
    note_key_id,
    read_note,
    read_verifier_key,
    signed_line,
    strict_base64,
    verifier_key,
)
from protocol.refusal import LogRefused
from protocol.signing import new_signing_key, public_bytes

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

# The example of the signed-note specification and of Go's sumdb/note.
NAME = "PeterNeumann"
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
PUBLIC = base64.b64decode("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")[1:]
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngot"
    "pRZb6KE6RyyBwJnAM=\n"
)

# The checkpoint and cosignature line of the tlog-cosignature and tlog-witness specifications.
SOFA = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
SOFA_LINE = (
    "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhc"
    "yv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
WITNESS_LINE = (
    "— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX"
    "3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)
KEY = new_signing_key(SEED)
OTHER = new_signing_key(bytes(32))


def test_the_published_key_has_its_published_name() -> None:
    assert public_bytes(KEY) == PUBLIC
    assert verifier_key(NAME, PUBLIC) == VKEY


def test_the_published_text_gets_the_published_signature() -> None:
    assert signed_line(TEXT, name=NAME, key=KEY) == LINE


def test_the_published_note_verifies() -> None:
    note = read_note(f"{TEXT}\n{LINE}")

    assert note.text == TEXT
    assert is_note_signed(note, name=NAME, public_key=PUBLIC)


@pytest.mark.parametrize(
    "spoilt",
    [
        f"{TEXT}\n{LINE}".replace("cryptography", "Cryptography"),
        f"{TEXT}\n{LINE}".replace("SffcvIAQ", "SffcvIAR"),
        f"{TEXT}\n" + signed_line(TEXT, name=NAME, key=OTHER),
        f"{TEXT}\n" + signed_line(TEXT, name="Peter", key=KEY),
    ],
)
def test_a_note_of_another_text_signature_key_or_name_does_not_verify(spoilt: str) -> None:
    assert not is_note_signed(read_note(spoilt), name=NAME, public_key=PUBLIC)


def test_signatures_of_strangers_do_not_matter() -> None:
    stranger = signed_line(TEXT, name="stranger", key=OTHER)

    note = read_note(f"{TEXT}\n{stranger}{LINE}{WITNESS_LINE}")

    assert len(note.signatures) == 3
    assert is_note_signed(note, name=NAME, public_key=PUBLIC)


def test_a_second_wrong_signature_by_the_same_key_spoils_the_note() -> None:
    wrong = signed_line("other\n", name=NAME, key=KEY)

    assert not is_note_signed(read_note(f"{TEXT}\n{LINE}{wrong}"), name=NAME, public_key=PUBLIC)


def test_the_published_cosignature_says_when() -> None:
    note = read_note(f"{SOFA}\n{SOFA_LINE}{WITNESS_LINE}")

    _, witness = note.signatures
    assert note.text == SOFA
    assert witness.name == "witness.example.com/w1"
    assert witness.key_id.hex() == "8d66cf3f"
    assert int.from_bytes(witness.signature[:8], "big") == 1_679_315_147
    assert len(witness.signature) == 8 + 64


def test_a_cosignature_is_over_the_published_message() -> None:
    line = cosigned_line(SOFA, name="w", key=KEY, at_s=1_679_315_147)

    (signature,) = read_note(f"{SOFA}\n{line}").signatures
    message = f"cosignature/v1\ntime 1679315147\n{SOFA}".encode()
    assert signature.signature[8:] == KEY.sign(message)
    assert signature.key_id == note_key_id("w", PUBLIC, TYPE_COSIGNATURE)


def test_a_cosignature_tells_its_moment_to_who_knows_the_key() -> None:
    line = cosigned_line(SOFA, name="w", key=KEY, at_s=77)
    note = read_note(f"{SOFA}\n{SOFA_LINE}{line}")

    assert cosigned_at_s(note, name="w", public_key=PUBLIC) == 77
    assert cosigned_at_s(note, name="x", public_key=PUBLIC) is None
    assert cosigned_at_s(note, name="w", public_key=public_bytes(OTHER)) is None


def test_a_cosignature_of_another_moment_does_not_verify() -> None:
    line = cosigned_line(SOFA, name="w", key=KEY, at_s=77)
    name, raw = line.split(" ")[1], bytearray(base64.b64decode(line.split(" ")[2]))
    raw[11] += 1

    note = read_note(f"{SOFA}\n— {name} {base64.b64encode(raw).decode()}\n")

    assert cosigned_at_s(note, name="w", public_key=PUBLIC) is None


def test_a_plain_signature_is_no_cosignature() -> None:
    note = read_note(f"{SOFA}\n{signed_line(SOFA, name='w', key=KEY)}")

    assert cosigned_at_s(note, name="w", public_key=PUBLIC) is None


@pytest.mark.parametrize(
    "note",
    [
        "",
        TEXT,
        f"{TEXT}\n",
        f"{TEXT}{LINE}",
        f"{TEXT}\n{LINE}"[:-1],
        f"{TEXT}\n{LINE}\n",
        f"{TEXT}\nno line\n",
        f"{TEXT}\n- PeterNeumann x08go/ZJkuA=\n",
        f"{TEXT}\n— Peter+Neumann x08go/ZJkuA=\n",
        f"{TEXT}\n—  x08go/ZJkuA=\n",
        f"{TEXT}\n— PeterNeumann not base64\n",
        f"{TEXT}\n— PeterNeumann !!!!\n",
        f"{TEXT}\n— PeterNeumann x08g\n",
        f"tab\there\n\n{LINE}",
        f"return\r\n\n{LINE}",
        f"{TEXT}\n{LINE * 17}",
        "x" * NOTE_BYTES_MAX + f"\n\n{LINE}",
    ],
)
def test_what_is_no_note_is_refused(note: str) -> None:
    with pytest.raises(LogRefused) as refused:
        read_note(note)

    assert refused.value.code == "note_malformed"


@given(st.binary(min_size=1, max_size=64))
def test_base64_has_one_spelling(raw: bytes) -> None:
    text = base64.b64encode(raw).decode()

    assert strict_base64(text) == raw
    for other in ALPHABET:
        changed = text.rstrip("=")[:-1] + other + "=" * text.count("=")
        assert changed == text or strict_base64(changed) != raw


def test_a_verifier_key_is_read_back_and_one_that_contradicts_itself_is_refused() -> None:
    assert read_verifier_key(VKEY) == (NAME, 1, PUBLIC)
    for wrong in (VKEY[:-4], VKEY.replace("c74f", "c74e"), "", "a+b", VKEY.replace("TW", "TX")):
        with pytest.raises(LogRefused, match="verifier_key_malformed"):
            read_verifier_key(wrong)
