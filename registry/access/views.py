"""The page of API keys."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from flask import Blueprint, current_app, redirect, render_template, request
from flask.typing import ResponseReturnValue

from registry.access import operations, queries
from registry.access.api_keys import ApiKey, expiry, state_of
from registry.access.endpoints import Endpoint, endpoint_rows, shown_key
from registry.access.operations import NewKey
from registry.accounts.queries import get_emails
from registry.server.forms import refilled
from registry.server.idempotency import Kept, once
from registry.server.page import shell
from registry.server.session import actor, db, entropy, new_id, now_ms, signed_in
from registry.server.settings import settings
from registry.store.database import Db
from registry.tenants.roles import may, require
from web.view_models.access import ApiKeyRow, ApiKeysPage
from web.view_models.parts import Form, NewSecret

EXTENSION = "outstation-access"

pages = Blueprint("access", __name__)


@dataclass(frozen=True, slots=True)
class KeySources:
    """What the page asks later rooms.

    held_versions  the version of the key set that each node holds that hears of a tenant's keys
    last_used      when each key of a tenant was last used, and what was spent with it, by key id
    endpoints      where a tenant's keys for these models (empty for all) can call at a moment
    """

    held_versions: Callable[[Db, str], list[int]]
    last_used: Callable[[Db, str], dict[str, tuple[int, int]]]
    endpoints: Callable[[Db, str, Iterable[str], int], tuple[Endpoint, ...]]


@pages.get("/access/api-keys")
@signed_in
def show_keys() -> ResponseReturnValue:
    """Return the keys of the organization and the form for a new one."""
    return _keys_page(form=Form())


def _refilled(*, form: Form) -> str:
    return _keys_page(form=form)


@pages.post("/access/api-keys")
@signed_in
@refilled(_refilled)
def create_key() -> ResponseReturnValue:
    """Create a key and show its secret, this once; sent twice, one is created."""
    wanted = NewKey(
        name=request.form.get("name", ""),
        expires_at_ms=expiry(request.form.get("expires", ""), now_ms=now_ms()),
    )
    made: list[tuple[str, str]] = []
    with db().unit():
        kept = once(lambda: _create(wanted, made))
    assert kept.is_replay or made
    return _keys_page(form=Form(), made=made[0] if made else None)


@pages.post("/access/api-keys/<key_id>/revoke")
@signed_in
def revoke_key(key_id: str) -> ResponseReturnValue:
    """Revoke a key; every node refuses it as soon as it has the new list."""
    with db().unit():
        operations.revoke_key(db(), key_id, actor=actor(), now_ms=now_ms())
    return redirect(f"/access/api-keys#key-{key_id}", code=303)


def _create(wanted: NewKey, made: list[tuple[str, str]]) -> Kept:
    # Only the id is kept for a second sending: a secret is shown once or never.
    project_id = actor().project_id
    assert project_id is not None
    made.append(
        operations.create_key(
            db(),
            wanted,
            project_id=project_id,
            actor=actor(),
            now_ms=now_ms(),
            new_id=new_id,
            entropy=entropy,
        )
    )
    return Kept(200, made[0][0])


def _keys_page(*, form: Form, made: tuple[str, str] | None = None) -> str:
    """Return the page.  made: id and secret of a key that was just created"""
    tenant_id = actor().tenant_id
    assert tenant_id is not None
    require(actor(), "api_key.view", tenant_id=tenant_id)
    sources = current_app.extensions[EXTENSION]
    assert isinstance(sources, KeySources)
    with db().reading():
        keys = queries.list_keys(db(), tenant_id)
        makers = get_emails(db(), (key.created_by for key in keys))
        held = sources.held_versions(db(), tenant_id)
        used = sources.last_used(db(), tenant_id)
        endpoints = sources.endpoints(db(), tenant_id, (), now_ms())
        secret = _secret(made, tenant_id, sources) if made else None
    page = ApiKeysPage(
        now_ms=now_ms(),
        rows=tuple(_row(key, makers, held, used.get(key.api_key_id)) for key in keys),
        idempotency_key=form.value("idempotency_key") or new_id("request"),
        endpoints=endpoint_rows(endpoints),
        form=form,
        secret=secret,
        can_create=may(actor(), "api_key.create"),
    )
    return render_template("registry/access/api_keys.html", page=page, shell=shell())


def _row(
    key: ApiKey, makers: dict[str, str], held: list[int], used: tuple[int, int] | None
) -> ApiKeyRow:
    last_used_at_ms, spent_micros = used or (None, 0)
    return ApiKeyRow(
        key_id=key.api_key_id,
        name=key.name,
        prefix=key.prefix,
        state=state_of(key, now_ms=now_ms()),
        created_at_ms=key.created_at_ms,
        created_by=makers.get(key.created_by, key.created_by),
        honoured_nodes=sum(version >= key.changed_in_version for version in held),
        total_nodes=len(held),
        expires_at_ms=key.expires_at_ms,
        last_used_at_ms=last_used_at_ms,
        spent_micros=spent_micros,
    )


def _secret(made: tuple[str, str], tenant_id: str, sources: KeySources) -> NewSecret:
    key_id, secret = made
    key = queries.get_key(db(), key_id, tenant_id=tenant_id)
    return shown_key(
        secret,
        prefix=key.prefix,
        endpoints=sources.endpoints(db(), tenant_id, key.models, now_ms()),
        registry=settings().base_url,
    )
