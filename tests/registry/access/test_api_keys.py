"""What an API key is, and when it may be used."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.key_set import KEY_PATTERN
from protocol.refusal import Refusal
from registry.access.api_keys import ApiKey, expiry, is_secret, new_secret, state_of

KEY = ApiKey(
    api_key_id="k_1",
    tenant_id="t_1",
    project_id="p_1",
    name="till",
    prefix="ok_0123",
    scopes=("inference",),
    models=(),
    created_by="u_1",
    created_at_ms=0,
    expires_at_ms=1_000,
    revoked_at_ms=None,
    changed_in_version=1,
)


@given(st.binary(min_size=32, max_size=32))
def test_a_secret_has_the_form_that_nodes_look_for(entropy: bytes) -> None:
    secret = new_secret(entropy)

    assert KEY_PATTERN.fullmatch(secret)
    assert is_secret(secret)


@pytest.mark.parametrize(("now_ms", "state"), [(0, "active"), (999, "active"), (1_000, "expired")])
def test_a_key_is_good_until_its_end(now_ms: int, state: str) -> None:
    assert state_of(KEY, now_ms=now_ms) == state


def test_a_revoked_key_is_revoked_and_one_without_end_stays() -> None:
    assert state_of(replace(KEY, revoked_at_ms=5), now_ms=0) == "revoked"
    assert state_of(replace(KEY, expires_at_ms=None), now_ms=10**15) == "active"


def test_scopes_become_roles() -> None:
    assert KEY.roles == {"api_inference"}
    assert replace(KEY, scopes=("compute", "inference")).roles == {"api_compute", "api_inference"}


def test_a_key_ends_when_the_form_says() -> None:
    assert expiry("30", now_ms=0) == 30 * 86_400_000
    assert expiry("never", now_ms=0) is None
    with pytest.raises(Refusal):
        expiry("31", now_ms=0)
