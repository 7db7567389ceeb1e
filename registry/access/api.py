"""JSON about the key that asks."""

from flask import Blueprint
from flask.typing import ResponseReturnValue

from registry.access import queries
from registry.server.envelope import answered
from registry.server.session import actor, db, with_api_key
from registry.tenants.queries import get_project, get_tenant

api = Blueprint("access_api", __name__)


@api.get("/api/v1/me")
@with_api_key
def show_me() -> ResponseReturnValue:
    """Return who the key acts for, and what it may do."""
    who = actor()
    assert who.tenant_id is not None
    assert who.project_id is not None
    with db().reading():
        key = queries.get_key(db(), who.subject, tenant_id=who.tenant_id)
        tenant = get_tenant(db(), who.tenant_id)
        project = get_project(db(), who.project_id)
    return answered(
        {
            "subject": who.subject,
            "tenant": {"id": tenant.tenant_id, "name": tenant.name},
            "project": {"id": project.project_id, "name": project.name},
            "key_prefix": key.prefix,
            "key_name": key.name,
            "scopes": key.scopes,
            "expires_at_ms": key.expires_at_ms,
        }
    )
