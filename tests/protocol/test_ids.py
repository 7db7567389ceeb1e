"""Ids sort by age, tell their kind, and secrets have one form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.clock import hour_of, next_hour
from protocol.enrolment import registry_key_id, shown_secret
from protocol.ids import PREFIXES, base32, born_at_ms, is_id, new_id
from protocol.key_set import KEY_PATTERN, secret_hash, shown_prefix

moments = st.integers(0, 2**48 - 1)
entropies = st.binary(min_size=12, max_size=12)


@given(kind=st.sampled_from(sorted(PREFIXES)), now_ms=moments, entropy=entropies)
def test_an_id_tells_its_kind_and_its_birth(kind: str, now_ms: int, entropy: bytes) -> None:
    made = new_id(kind, now_ms=now_ms, entropy=entropy)

    assert is_id(made, kind)
    assert not any(is_id(made, other) for other in PREFIXES if PREFIXES[other] != PREFIXES[kind])
    assert born_at_ms(made) == now_ms
    assert len(made) <= 64


@given(earlier=moments, later=moments, entropy=entropies, other=entropies)
def test_ids_sort_by_age(earlier: int, later: int, entropy: bytes, other: bytes) -> None:
    if earlier < later:
        older = new_id("node", now_ms=earlier, entropy=entropy)
        assert older < new_id("node", now_ms=later, entropy=other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a_",
        "a_short",
        "a_" + "i" * 29,
        "A_" + "0" * 29,
        "a_" + "0" * 30,
        "a_" + "0" * 29 + "\n",
    ],
)
def test_what_is_no_id_is_none(text: str) -> None:
    assert not is_id(text, "allocation")


def test_every_kind_has_a_prefix_of_its_own() -> None:
    assert len(set(PREFIXES.values())) == len(PREFIXES)


def test_an_enrolment_secret_pins_the_registry_s_key() -> None:
    secret = f"nk_{base32(12345, 52)}_{'ab' * 8}"

    assert registry_key_id(secret) == "ab" * 8
    assert shown_secret(secret) == "nk_0000"


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "nk_",
        "nk_" + "0" * 52,
        "nk_" + "0" * 51 + "_" + "a" * 16,
        "nk_" + "0" * 52 + "_" + "A" * 16,
        "ok_" + "0" * 52 + "_" + "a" * 16,
        "nk_" + "0" * 52 + "_" + "a" * 16 + "\n",
    ],
)
def test_what_is_no_enrolment_secret_pins_nothing(secret: str) -> None:
    assert registry_key_id(secret) is None


def test_an_api_key_is_known_by_its_hash_and_shown_by_its_beginning() -> None:
    key = "ok_" + "7f3a" + "0" * 48

    assert KEY_PATTERN.fullmatch(key)
    assert shown_prefix(key) == "ok_7f3a"
    assert len(secret_hash(key)) == 64
    assert not KEY_PATTERN.fullmatch(key + "\n")


@given(st.integers(0, 2**53))
def test_a_moment_lies_in_its_hour(at_ms: int) -> None:
    assert hour_of(at_ms) <= at_ms < next_hour(at_ms)
    assert hour_of(at_ms) % 3_600_000 == 0
