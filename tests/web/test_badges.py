"""Every state has a badge of its own."""

from protocol.lifecycle import State
from web.badges import TONES, allocation_badge


def test_every_state_of_an_allocation_has_a_word_and_a_tone() -> None:
    badges = [allocation_badge(state) for state in State]

    assert len({badge.word for badge in badges}) == len(badges)
    assert all(
        badge.tone in TONES and badge.word != state
        for badge, state in zip(badges, State, strict=True)
    )


def test_an_unknown_state_is_shown_as_it_is() -> None:
    assert allocation_badge("from_a_newer_node").word == "from_a_newer_node"
