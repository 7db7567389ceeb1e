"""The filter that is typed above the list."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.lifecycle import State
from registry.allocations.filter import read_filter


def test_terms_say_where_they_look() -> None:
    found = read_filter("  State:ACTIVE site:Nbo name:train chat ")

    assert found.states == {State.ACTIVE}
    assert found.sites == ("nbo",)
    assert found.names == ("train", "chat")
    assert found.text == "state:active site:nbo name:train chat"


def test_a_state_may_be_begun_and_must_match_every_term() -> None:
    assert read_filter("state:rel").states == {
        State.RELEASING,
        State.RELEASED,
        State.RELEASE_FAILED,
    }
    assert read_filter("state:rel state:releasing").states == {State.RELEASING}
    assert read_filter("state:nonsense").states == frozenset()


def test_a_term_without_a_value_looks_for_nothing() -> None:
    assert read_filter("state: site: name:").states is None
    assert read_filter("state: site: name:").names == ()


@given(st.text(max_size=400))
def test_whatever_is_typed_is_read_within_bounds_and_reads_the_same_again(typed: str) -> None:
    found = read_filter(typed)

    assert len(found.names) + len(found.sites) <= 10
    assert read_filter(found.text).names == found.names
