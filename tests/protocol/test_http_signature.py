"""A signed call is believed for what it covers, from whom it comes, once and soon."""

from collections.abc import Callable

import pytest

from protocol.http_signature import (
    AGE_MS_MAX,
    SignedBy,
    read_signed_answer,
    read_signed_request,
    signed_answer_headers,
    signed_request_headers,
)
from protocol.refusal import SignatureRefused
from protocol.signing import SigningKey, key_id, new_signing_key, public_bytes

NODE = new_signing_key(bytes(range(32)))
OTHER = new_signing_key(bytes(32))
NODE_ID = key_id(public_bytes(NODE))
URL = "https://cloud.example/node/v1/sync"
BODY = b'{"sequence":1}'
NOW_MS = 1_800_000_000_000
NONCE = "0123456789abcdef"
Headers = dict[str, str]


def test_a_signed_request_says_who_when_and_which() -> None:
    assert _read(_headers()) == SignedBy(key_id=NODE_ID, created_at_ms=NOW_MS, nonce=NONCE)


def test_the_case_of_header_names_does_not_matter_and_others_are_ignored() -> None:
    headers = {name.upper(): value for name, value in _headers().items()}

    assert _read(headers | {"Date": "yesterday", "X": "1"}).key_id == NODE_ID


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("GET", URL, BODY),
        ("POST", URL + "?a=1", BODY),
        ("POST", "https://cloud.example/node/v1/enrol", BODY),
        ("POST", "https://evil.example/node/v1/sync", BODY),
        ("POST", "http://cloud.example/node/v1/sync", BODY),
        ("POST", URL, BODY + b" "),
        ("POST", URL, b""),
    ],
)
def test_another_method_place_or_body_is_refused(method: str, url: str, body: bytes) -> None:
    with pytest.raises(SignatureRefused, match="signature_wrong"):
        _read(_headers(), method=method, url=url, body=body)


@pytest.mark.parametrize("name", ["Signature", "Signature-Input", "Content-Digest"])
def test_a_request_without_one_of_its_headers_is_refused(name: str) -> None:
    headers = {key: value for key, value in _headers().items() if key.lower() != name.lower()}

    with pytest.raises(SignatureRefused, match="signature_wrong"):
        _read(headers)


SPOILS: dict[str, Callable[[str], str]] = {
    "empty": lambda _value: "",
    "garbage": lambda _value: "\x00(((",
    "twice": lambda value: f"{value}, {value}",
    "cut": lambda value: value[: len(value) // 2],
    "other": lambda value: value.replace("outstation", "other"),
}


@pytest.mark.parametrize("name", ["Signature", "Signature-Input", "Content-Digest"])
@pytest.mark.parametrize("spoil", SPOILS)
def test_a_spoilt_header_is_refused_and_never_breaks_anything(name: str, spoil: str) -> None:
    headers = {
        key: SPOILS[spoil](value) if key.lower() == name.lower() else value
        for key, value in _headers().items()
    }
    if headers == _headers():
        assert (name, spoil) == ("Content-Digest", "other")
        return

    with pytest.raises(SignatureRefused):
        _read(headers)


def test_a_key_that_is_not_known_is_refused_by_name() -> None:
    with pytest.raises(SignatureRefused) as refused:
        _read(_headers(key=OTHER))

    assert refused.value.code == "unknown_key"


def test_a_signature_by_another_key_in_a_node_s_name_is_refused() -> None:
    headers = _headers(key=OTHER)
    wanted = {
        name: value.replace(key_id(public_bytes(OTHER)), NODE_ID) for name, value in headers.items()
    }

    with pytest.raises(SignatureRefused, match="signature_wrong"):
        _read(wanted)


@pytest.mark.parametrize("off_ms", [AGE_MS_MAX + 1_000, -AGE_MS_MAX - 1_000, 10**10])
def test_a_stale_or_future_signature_is_refused(off_ms: int) -> None:
    with pytest.raises(SignatureRefused) as refused:
        _read(_headers(), now_ms=NOW_MS + off_ms)

    assert refused.value.code == "signature_stale"
    assert "clock" in refused.value.hint


@pytest.mark.parametrize("off_ms", [AGE_MS_MAX, -AGE_MS_MAX])
def test_a_signature_at_the_edge_of_its_age_is_believed(off_ms: int) -> None:
    assert _read(_headers(), now_ms=NOW_MS + off_ms).nonce == NONCE


@pytest.mark.parametrize("nonce", ["", "short", "x" * 65])
def test_a_nonce_of_another_length_is_refused(nonce: str) -> None:
    with pytest.raises(SignatureRefused, match="signature_incomplete"):
        _read(_headers(nonce=nonce))


@pytest.mark.parametrize(
    "part", ['"@method" ', '"@authority" ', '"@target-uri" ', ' "content-digest"']
)
def test_a_signature_that_does_not_cover_enough_is_refused(part: str) -> None:
    headers = _headers()
    name = next(key for key in headers if key.lower() == "signature-input")

    with pytest.raises(SignatureRefused):
        _read(headers | {name: headers[name].replace(part, "")})


@pytest.mark.parametrize("parameter", [f";created={NOW_MS // 1000}", f';nonce="{NONCE}"'])
def test_a_signature_without_moment_or_nonce_is_refused(parameter: str) -> None:
    headers = _headers()
    name = next(key for key in headers if key.lower() == "signature-input")
    cut = headers[name].replace(parameter, "")
    assert cut != headers[name]

    with pytest.raises(SignatureRefused, match=r"signature_incomplete|signature_wrong"):
        _read(headers | {name: cut})


def test_an_answer_belongs_to_its_request() -> None:
    headers = _answer()

    assert _read_answer(headers).key_id == NODE_ID
    with pytest.raises(SignatureRefused, match="signature_replayed"):
        _read_answer(headers, nonce="fedcba9876543210")


@pytest.mark.parametrize(("status", "body"), [(500, BODY), (200, b"other")])
def test_an_answer_of_another_status_or_body_is_refused(status: int, body: bytes) -> None:
    with pytest.raises(SignatureRefused, match="signature_wrong"):
        _read_answer(_answer(), status=status, body=body)


def test_a_stale_answer_is_refused_unless_the_reader_s_clock_is_not_trusted_yet() -> None:
    headers = _answer()

    with pytest.raises(SignatureRefused, match="signature_stale"):
        _read_answer(headers, now_ms=NOW_MS + 10**9)
    assert _read_answer(headers, now_ms=None).created_at_ms == NOW_MS


def test_a_request_s_signature_does_not_serve_as_an_answer_s() -> None:
    with pytest.raises(SignatureRefused, match="signature_wrong"):
        _read_answer(_headers())


def _headers(*, key: SigningKey = NODE, nonce: str = NONCE) -> Headers:
    return signed_request_headers(
        method="POST", url=URL, body=BODY, key=key, now_ms=NOW_MS, nonce=nonce
    )


def _answer() -> Headers:
    return signed_answer_headers(status=200, body=BODY, key=NODE, now_ms=NOW_MS, nonce=NONCE)


def _public_key_of(name: str) -> bytes | None:
    return public_bytes(NODE) if name == NODE_ID else None


def _read(
    headers: Headers,
    *,
    method: str = "POST",
    url: str = URL,
    body: bytes = BODY,
    now_ms: int = NOW_MS,
) -> SignedBy:
    return read_signed_request(
        method=method,
        url=url,
        headers=headers,
        body=body,
        public_key_of=_public_key_of,
        now_ms=now_ms,
    )


def _read_answer(
    headers: Headers,
    *,
    status: int = 200,
    body: bytes = BODY,
    now_ms: int | None = NOW_MS,
    nonce: str = NONCE,
) -> SignedBy:
    return read_signed_answer(
        status=status,
        headers=headers,
        body=body,
        public_key_of=_public_key_of,
        now_ms=now_ms,
        nonce=nonce,
    )
