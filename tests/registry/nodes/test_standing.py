"""A silent node is not heard from; it has not failed."""

import pytest

from registry.nodes.standing import SILENT_MS, standing

NOW = 1_000_000


@pytest.mark.parametrize(
    ("last_contact_at_ms", "severities", "stands"),
    [
        (None, (), "waiting"),
        (NOW, (), "online"),
        (NOW - SILENT_MS, ("info",), "online"),
        (NOW - SILENT_MS - 1, (), "offline"),
        (NOW, ("warning",), "degraded"),
        (NOW, ("info", "critical"), "degraded"),
        (NOW - SILENT_MS - 1, ("critical",), "offline"),
        (None, ("critical",), "waiting"),
    ],
)
def test_a_node_stands_as_it_was_last_heard(
    last_contact_at_ms: int | None, severities: tuple[str, ...], stands: str
) -> None:
    assert standing(last_contact_at_ms, severities, now_ms=NOW) == stands


def test_a_retired_node_is_retired_whatever_it_says() -> None:
    assert standing(NOW, (), now_ms=NOW, is_retired=True) == "retired"
