"""Publishing an app: a manifest under a name and a version, never changed afterwards."""

from protocol.manifest import Manifest, checked, read_name
from protocol.refusal import Refusal
from registry.apps import queries
from registry.apps.queries import App
from registry.audit.operations import record
from registry.store.database import Db
from registry.tenants.roles import Actor, require

VERSION_CHARACTERS_MAX = 32
NAME_CHARACTERS_MAX = 64


def publish(
    db: Db,
    slug: str,
    version: str,
    name: str,
    manifest: Manifest,
    *,
    actor: Actor,
    now_ms: int,
) -> App:
    """Add a version of an app; one that exists is refused: what was checked must not change."""
    require(actor, "app.change")
    made = App(
        slug=read_name(slug),
        version=version[:VERSION_CHARACTERS_MAX],
        name=name[:NAME_CHARACTERS_MAX],
        publisher=actor.email,
        manifest=checked(manifest),
        created_at_ms=now_ms,
    )
    if not queries.insert_app(db, made):
        raise Refusal(
            code="app_version_taken",
            status=409,
            message=f"version: {slug} {version} is published already.",
            hint="Publish it under the next version.",
            field="version",
        )
    record(
        db,
        actor=actor,
        action="app.publish",
        object_id=f"{slug}@{version}",
        tenant_id=None,
        detail={"image": manifest.image},
        now_ms=now_ms,
    )
    return made
