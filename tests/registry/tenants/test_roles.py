"""Who may do what, as a whole matrix, and what lies outside one's scope."""

from dataclasses import replace

import pytest

from protocol.refusal import Refusal
from registry.tenants.roles import (
    ALLOWED,
    API_ROLES,
    ROLES,
    SignedIn,
    console,
    is_in_scope,
    may,
    require,
)

MEMBER = SignedIn(
    person_id="u_1",
    api_key_id=None,
    email="ana@umoja.example",
    tenant_id="t_mine",
    project_id="p_mine",
    roles=frozenset({"member"}),
    site_ids=frozenset({"s_mine"}),
)
EVERY_ROLE = (*ROLES, *API_ROLES)

MATRIX = """
                    owner admin billing member viewer site_operator site_owner api_compute api_inference
tenant.view           x     x      x      x      x          x           x           x            x
tenant.change         x     x      .      .      .          .           .           .            .
project.create        x     x      .      .      .          .           .           .            .
member.view           x     x      .      .      .          .           .           .            .
member.change         x     x      .      .      .          .           .           .            .
audit.view            x     x      .      .      .          .           .           .            .
api_key.view          x     x      x      x      x          .           .           .            .
api_key.create        x     x      .      x      .          .           .           .            .
api_key.revoke        x     x      .      x      .          .           .           .            .
api_key.revoke_any    x     x      .      .      .          .           .           .            .
allocation.view       x     x      x      x      x          x           x           x            .
allocation.launch     x     x      .      x      .          .           .           x            .
allocation.release    x     x      .      x      .          .           .           x            .
model.list            x     x      x      x      x          .           .           x            x
sku.list              x     x      x      x      x          x           x           x            x
billing.view          x     x      x      x      x          x           x           x            x
billing.top_up        x     x      x      .      .          .           .           .            .
receipt.view          x     x      x      x      x          x           x           x            .
earnings.view         .     .      .      .      .          .           x           .            .
site.create           .     .      .      .      .          x           x           .            .
site.view             .     .      .      .      .          x           x           x            .
node.create           .     .      .      .      .          x           x           .            .
node.view             .     .      .      .      .          x           x           x            .
node.operate          .     .      .      .      .          x           x           .            .
catalogue.change      .     .      .      .      .          .           .           .            .
app.change            .     .      .      .      .          .           .           .            .
ledger.adjust         .     .      .      .      .          .           .           .            .
platform.view         .     .      .      .      .          .           .           .            .
tenant.govern         .     .      .      .      .          .           .           .            .
site.govern           .     .      .      .      .          .           .           .            .
"""  # noqa: E501  # a table is read as a table


def _cells() -> list[tuple[str, str, bool]]:
    head, *lines = MATRIX.strip("\n").splitlines()
    roles = head.split()
    return [
        (line.split()[0], role, mark == "x")
        for line in lines
        for role, mark in zip(roles, line.split()[1:], strict=True)
    ]


@pytest.mark.parametrize(("action", "role", "allowed"), _cells())
def test_a_role_may_do_what_the_matrix_says(action: str, role: str, allowed: bool) -> None:
    assert may(replace(MEMBER, roles=frozenset({role})), action) is allowed


def test_the_matrix_is_whole() -> None:
    assert {(action, role) for action, role, _ in _cells()} == {
        (action, role) for action in ALLOWED for role in EVERY_ROLE
    }


@pytest.mark.parametrize("action", ALLOWED)
def test_without_a_role_nothing_is_allowed_and_a_platform_admin_may_do_all(action: str) -> None:
    nobody = replace(MEMBER, roles=frozenset())

    assert not may(nobody, action)
    assert may(replace(nobody, is_platform_admin=True), action, tenant_id="t_other")
    assert may(console(), action, site_id="s_other")


@pytest.mark.parametrize("action", ALLOWED)
@pytest.mark.parametrize("role", EVERY_ROLE)
def test_nothing_is_allowed_in_another_tenant_or_at_its_sites(action: str, role: str) -> None:
    actor = replace(MEMBER, roles=frozenset({role}))

    assert not may(actor, action, tenant_id="t_other")
    assert not may(actor, action, tenant_id="t_mine", site_id="s_other")


def test_what_is_outside_the_scope_does_not_exist_and_inside_it_is_forbidden() -> None:
    viewer = replace(MEMBER, roles=frozenset({"viewer"}))

    with pytest.raises(Refusal) as outside:
        require(viewer, "allocation.launch", tenant_id="t_other")
    with pytest.raises(Refusal) as inside:
        require(viewer, "allocation.launch", tenant_id="t_mine")

    assert (outside.value.status, outside.value.code) == (404, "not_found")
    assert (inside.value.status, inside.value.code) == (403, "forbidden")
    assert "t_other" not in outside.value.message


def test_before_onboarding_nothing_is_in_scope() -> None:
    newcomer = replace(MEMBER, tenant_id=None, project_id=None, roles=frozenset())

    assert not is_in_scope(newcomer, tenant_id="t_mine")
    assert not is_in_scope(newcomer)
