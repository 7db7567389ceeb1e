"""demo-echo's answers: the same every time, each token countable."""

import base64

from hypothesis import given
from hypothesis import strategies as st

from agent.demo_echo.echo import PREAMBLE, echo, embedding, packed, tokens_of


@given(st.text())
def test_tokens_joined_are_the_text(text: str) -> None:
    assert "".join(tokens_of(text)) == text


@given(text=st.text(), limit=st.integers(1, 50))
def test_an_echo_is_what_was_said_cut_at_the_limit(text: str, limit: int) -> None:
    answer = echo(text, tokens_max=limit)

    assert len(answer.tokens) <= limit
    assert (PREAMBLE + text).startswith("".join(answer.tokens))
    cut = len(tokens_of(PREAMBLE + text)) > limit
    assert answer.finish_reason == ("length" if cut else "stop")


@given(st.text(), st.integers(1, 100))
def test_an_embedding_depends_on_the_text_alone(text: str, dimensions: int) -> None:
    vector = embedding(text, dimensions)

    assert vector == embedding(text, dimensions)
    assert len(vector) == dimensions
    assert all(-1 <= figure <= 1 for figure in vector)
    assert len(base64.b64decode(packed(vector))) == 4 * dimensions
