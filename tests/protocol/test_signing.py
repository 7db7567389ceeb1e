"""Keys that would verify anything are refused, and a document serves one purpose only."""

import base64

import msgspec
import pytest

from protocol.refusal import Refusal, SignatureRefused
from protocol.signing import (
    Envelope,
    is_signed,
    key_id,
    new_signing_key,
    public_bytes,
    read_public_key,
    seal,
    unseal,
)

KEY = new_signing_key(bytes(range(32)))
OTHER = new_signing_key(bytes(32))
TRUSTED = {key_id(public_bytes(KEY)): public_bytes(KEY)}
SMALL_ORDER = [
    bytes.fromhex(key)
    for key in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000080",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    )
]


class Order(msgspec.Struct, frozen=True):
    """A document."""

    what: str


@pytest.mark.parametrize("public_key", SMALL_ORDER)
def test_a_key_of_small_order_is_refused_in_each_of_its_encodings(public_key: bytes) -> None:
    with pytest.raises(SignatureRefused, match="key_small_order"):
        read_public_key(public_key)


def test_the_identity_would_verify_any_message_were_it_not_refused() -> None:
    identity = SMALL_ORDER[2]
    forged = identity + bytes(32)

    with pytest.raises(SignatureRefused, match="key_small_order"):
        is_signed(identity, forged, b"any message")


@pytest.mark.parametrize("public_key", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_length_is_refused(public_key: bytes) -> None:
    with pytest.raises(SignatureRefused, match="key_unreadable"):
        read_public_key(public_key)


@pytest.mark.parametrize("above", [2, 5, 18])
def test_a_key_in_another_encoding_is_refused(above: int) -> None:
    encoded = (2**255 - 19 + above).to_bytes(32, "little")

    with pytest.raises(SignatureRefused, match="key_unreadable"):
        read_public_key(encoded)


def test_a_signature_is_its_holder_s_over_its_message_alone() -> None:
    signature = KEY.sign(b"message")

    assert is_signed(public_bytes(KEY), signature, b"message")
    assert not is_signed(public_bytes(KEY), signature, b"Message")
    assert not is_signed(public_bytes(OTHER), signature, b"message")
    assert not is_signed(public_bytes(KEY), signature[:-1], b"message")
    assert not is_signed(public_bytes(KEY), b"", b"message")


def test_a_document_is_opened_for_its_purpose() -> None:
    envelope = seal(Order("run"), purpose="desired", key=KEY)

    assert unseal(envelope, Order, purpose="desired", trusted=TRUSTED) == Order("run")


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("wrong_purpose", {"purpose": "key-set"}),
        ("unknown_key", {"key_id": "0" * 16}),
        ("signature_wrong", {"payload": '{"what":"stop"}'}),
        ("signature_wrong", {"payload": '{"what":"run"} '}),
        ("signature_wrong", {"signature": "!"}),
        ("signature_wrong", {"signature": ""}),
        ("signature_wrong", {"signature": base64.b64encode(bytes(64)).decode()}),
    ],
)
def test_a_changed_document_is_refused_by_name(code: str, change: dict[str, str]) -> None:
    sealed = seal(Order("run"), purpose="desired", key=KEY)
    envelope = msgspec.structs.replace(sealed, **change)

    with pytest.raises(SignatureRefused) as refused:
        unseal(envelope, Order, purpose="desired", trusted=TRUSTED)

    assert refused.value.code == code


def test_a_document_signed_for_one_purpose_cannot_be_passed_off_as_another() -> None:
    sealed = seal(Order("run"), purpose="desired", key=KEY)
    passed_off = msgspec.structs.replace(sealed, purpose="key-set")

    with pytest.raises(SignatureRefused, match="signature_wrong"):
        unseal(passed_off, Order, purpose="key-set", trusted=TRUSTED)


def test_a_signed_document_of_another_shape_is_refused() -> None:
    envelope: Envelope = seal({"which": 1}, purpose="desired", key=KEY)

    with pytest.raises(Refusal, match="malformed"):
        unseal(envelope, Order, purpose="desired", trusted=TRUSTED)
