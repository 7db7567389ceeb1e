"""SQL of access."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, insert, or_, select, update

from protocol.key_set import KEYS_MAX, ApiKeyFact
from protocol.refusal import Refusal
from registry.access.api_keys import ApiKey
from registry.store.database import Db
from registry.store.tables.access import api_key, key_set_version

SINGLE = 1


def get_key_set_version(db: Db) -> int:
    """Return the version of the key set; 0 before the first key."""
    return int(db.value(select(key_set_version.c.version)) or 0)


def bump_key_set_version(db: Db) -> int:
    """Return the next version of the key set, which is the present one from now on."""
    after = get_key_set_version(db) + 1
    values = {"key_set_version_id": SINGLE, "version": after}
    db.upsert(key_set_version, ["key_set_version_id"], values)
    return after


def list_honoured_keys(
    db: Db, *, tenant_id: str | None = None, now_ms: int = 0
) -> list[ApiKeyFact]:
    """Return the keys that a node may honour, by id.

    tenant_id  the only tenant it serves; None for a node on the market, which serves all
    now_ms     keys that ended before it are left out; a node refuses them by itself as well
    """
    wanted = select(api_key).where(
        api_key.c.revoked_at_ms.is_(None),
        or_(api_key.c.expires_at_ms.is_(None), api_key.c.expires_at_ms > now_ms),
        api_key.c.scopes.contains("inference"),
    )
    if tenant_id is not None:
        wanted = wanted.where(api_key.c.tenant_id == tenant_id)
    rows = db.rows(wanted.order_by(api_key.c.api_key_id).limit(KEYS_MAX))
    return [
        ApiKeyFact(
            key_id=row.api_key_id,
            hash=row.hash,
            tenant_id=row.tenant_id,
            project_id=row.project_id,
            models=tuple(json.loads(row.models)),
            requests_per_minute=row.requests_per_minute,
            concurrency=row.concurrency,
            expires_at_ms=row.expires_at_ms,
        )
        for row in rows
    ]


def find_key_by_hash(db: Db, secret_hash: str) -> ApiKey | None:
    """Return the key with this hash, whatever its state."""
    row = db.row(select(api_key).where(api_key.c.hash == secret_hash))
    return None if row is None else _key(row)


def get_key(db: Db, api_key_id: str, *, tenant_id: str) -> ApiKey:
    """Return a key of the tenant."""
    row = db.row(
        select(api_key).where(api_key.c.api_key_id == api_key_id, api_key.c.tenant_id == tenant_id)
    )
    if row is None:
        raise Refusal(
            code="not_found",
            status=404,
            message="This key does not exist, or is not yours to see.",
            hint="Look at the list of keys of your organization.",
        )
    return _key(row)


def list_keys(db: Db, tenant_id: str) -> list[ApiKey]:
    """Return the keys of a tenant, newest first."""
    statement = select(api_key).where(api_key.c.tenant_id == tenant_id)
    return [_key(row) for row in db.rows(statement.order_by(api_key.c.api_key_id.desc()))]


def list_key_owners(db: Db, ids: Sequence[str]) -> list[tuple[str, str, str, int | None]]:
    """Return (key, tenant, project, end) of those of the ids that are keys.

    The end is when the key was revoked or expires, whichever comes first; None for neither.
    """
    owners = []
    for row in db.rows(select(api_key).where(api_key.c.api_key_id.in_(list(ids)))):
        ends = [at_ms for at_ms in (row.revoked_at_ms, row.expires_at_ms) if at_ms is not None]
        owners.append((row.api_key_id, row.tenant_id, row.project_id, min(ends, default=None)))
    return owners


def count_keys(db: Db, tenant_id: str) -> int:
    """Return how many keys the tenant ever made."""
    statement = select(func.count()).where(api_key.c.tenant_id == tenant_id)
    return int(db.value(statement))


def insert_key(db: Db, key: ApiKey, *, secret_hash: str) -> None:
    """Add a key."""
    db.write(
        insert(api_key).values(
            api_key_id=key.api_key_id,
            tenant_id=key.tenant_id,
            project_id=key.project_id,
            name=key.name,
            prefix=key.prefix,
            hash=secret_hash,
            scopes=" ".join(key.scopes),
            models=json.dumps(key.models),
            requests_per_minute=key.requests_per_minute,
            concurrency=key.concurrency,
            created_by=key.created_by,
            created_at_ms=key.created_at_ms,
            expires_at_ms=key.expires_at_ms,
            changed_in_version=key.changed_in_version,
        )
    )


def move_key_to_revoked(db: Db, api_key_id: str, *, now_ms: int, version: int) -> bool:
    """Revoke a key; False if it was revoked before."""
    statement = (
        update(api_key)
        .where(api_key.c.api_key_id == api_key_id, api_key.c.revoked_at_ms.is_(None))
        .values(revoked_at_ms=now_ms, changed_in_version=version)
    )
    return db.write(statement) == 1


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        api_key_id=row.api_key_id,
        tenant_id=row.tenant_id,
        project_id=row.project_id,
        name=row.name,
        prefix=row.prefix,
        scopes=tuple(row.scopes.split()),
        models=tuple(json.loads(row.models)),
        created_by=row.created_by,
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
        revoked_at_ms=row.revoked_at_ms,
        changed_in_version=row.changed_in_version,
        requests_per_minute=row.requests_per_minute,
        concurrency=row.concurrency,
    )
