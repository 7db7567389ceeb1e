"""Making and revoking API keys, and finding who holds one."""

from collections.abc import Callable
from dataclasses import dataclass

from protocol.ids import NewId
from protocol.key_set import secret_hash, shown_prefix
from protocol.refusal import Refusal
from registry.access import queries
from registry.access.api_keys import (
    KEYS_PER_TENANT_MAX,
    SCOPES,
    SECRET_BYTES,
    ApiKey,
    is_secret,
    new_secret,
    state_of,
)
from registry.audit.operations import record
from registry.store.database import Db
from registry.tenants.naming import read_name
from registry.tenants.queries import get_project
from registry.tenants.roles import Actor, require


@dataclass(frozen=True, slots=True)
class NewKey:
    """What a new key may do.

    scopes  compute, inference or both
    models  names it may call; empty for every model
    """

    name: str
    expires_at_ms: int | None = None
    scopes: tuple[str, ...] = SCOPES
    models: tuple[str, ...] = ()


def create_key(
    db: Db,
    wanted: NewKey,
    *,
    project_id: str,
    actor: Actor,
    now_ms: int,
    new_id: NewId,
    entropy: Callable[[int], bytes],
) -> tuple[str, str]:
    """Create a key for a project; return its id and its secret, which is kept nowhere."""
    assert wanted.scopes
    assert set(wanted.scopes) <= set(SCOPES)
    project = get_project(db, project_id)
    require(actor, "api_key.create", tenant_id=project.tenant_id)
    if queries.count_keys(db, project.tenant_id) >= KEYS_PER_TENANT_MAX:
        raise Refusal(
            code="too_many_keys",
            status=409,
            message=f"An organization may have at most {KEYS_PER_TENANT_MAX} API keys.",
            hint="Use one of the present keys for more than one program.",
            field="name",
        )
    secret = new_secret(entropy(SECRET_BYTES))
    key = ApiKey(
        api_key_id=new_id("api_key"),
        tenant_id=project.tenant_id,
        project_id=project_id,
        name=read_name(wanted.name),
        prefix=shown_prefix(secret),
        scopes=wanted.scopes,
        models=wanted.models,
        created_by=actor.subject,
        created_at_ms=now_ms,
        expires_at_ms=wanted.expires_at_ms,
        revoked_at_ms=None,
        changed_in_version=queries.bump_key_set_version(db),
    )
    queries.insert_key(db, key, secret_hash=secret_hash(secret))
    record(
        db,
        actor=actor,
        action="api_key.created",
        object_id=key.api_key_id,
        tenant_id=key.tenant_id,
        detail={"prefix": key.prefix, "name": key.name, "scopes": " ".join(key.scopes)},
        now_ms=now_ms,
    )
    return key.api_key_id, secret


def revoke_key(db: Db, api_key_id: str, *, actor: Actor, now_ms: int) -> None:
    """Revoke a key for good; revoking it again changes nothing."""
    assert actor.tenant_id is not None
    key = queries.get_key(db, api_key_id, tenant_id=actor.tenant_id)
    is_own = key.created_by == actor.subject
    require(actor, "api_key.revoke" if is_own else "api_key.revoke_any", tenant_id=key.tenant_id)
    version = queries.bump_key_set_version(db)
    if not queries.move_key_to_revoked(db, api_key_id, now_ms=now_ms, version=version):
        return
    record(
        db,
        actor=actor,
        action="api_key.revoked",
        object_id=api_key_id,
        tenant_id=key.tenant_id,
        detail={"prefix": key.prefix},
        now_ms=now_ms,
    )


def find_active_key(db: Db, secret: str, *, now_ms: int) -> ApiKey | None:
    """Return the key that this secret is of, if it may be used now."""
    if not is_secret(secret):
        return None
    key = queries.find_key_by_hash(db, secret_hash(secret))
    return key if key is not None and state_of(key, now_ms=now_ms) == "active" else None
