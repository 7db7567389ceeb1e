"""Who sees which entry."""

import pytest

from web.navigation import navigation, page_tabs

MEMBER = {"member"}
OPERATOR = {"owner", "site_operator"}


def test_a_member_sees_no_operating_page() -> None:
    assert labels(MEMBER) == ["Home", "Workloads", "Billing", "Keys"]


def test_an_operator_sees_nodes_and_sites_under_a_heading() -> None:
    groups = navigation(OPERATOR, "/")

    assert [group.label for group in groups if group.label] == ["Operate"]
    assert labels(OPERATOR)[-2:] == ["Nodes", "Sites"]


def test_nobody_without_a_role_sees_anything() -> None:
    assert navigation(set(), "/") == ()


@pytest.mark.parametrize(
    ("path", "label"),
    [
        ("/", "Home"),
        ("/workloads", "Workloads"),
        ("/workloads/a_1", "Workloads"),
        ("/billing/receipts/x/1", "Billing"),
        ("/nodes/keys", "Nodes"),
        ("/nodesearch", ""),
        ("/launch", ""),
    ],
)
def test_exactly_the_entry_of_the_page_is_current(path: str, label: str) -> None:
    entries = [entry for group in navigation(OPERATOR, path) for entry in group.entries]

    assert [entry.label for entry in entries if entry.current] == ([label] if label else [])


def test_tabs_mark_the_one_that_is_open() -> None:
    assert [(tab.href, tab.current) for tab in page_tabs("/billing/ledger")] == [
        ("/billing", False),
        ("/billing/statements", False),
        ("/billing/ledger", True),
        ("/billing/payments", False),
    ]
    assert page_tabs("/workloads") == ()


def labels(roles: set[str]) -> list[str]:
    return [entry.label for group in navigation(roles, "/") for entry in group.entries]
