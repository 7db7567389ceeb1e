"""Creating organizations, finding where a person works, switching between."""

from dataclasses import dataclass, replace

from protocol.ids import NewId
from protocol.refusal import Refusal
from registry.accounts.operations import Caller, ensure_person
from registry.accounts.queries import Session, note_space
from registry.accounts.sign_in import read_email, secret_hash
from registry.audit.operations import record
from registry.store.database import Db
from registry.tenants import queries
from registry.tenants.naming import name_key, read_name
from registry.tenants.queries import Project, Tenant
from registry.tenants.roles import SITE_ROLES, Actor, console, not_found

DEFAULT_DEPARTMENT = "default"
DEFAULT_PROJECT = "default"
INTENTS = ("use", "host", "both")
HOSTING = frozenset({"host", "both"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a session's person works, and as what; nowhere before onboarding."""

    tenant_id: str | None
    project_id: str | None
    roles: frozenset[str]


def create_organization(
    db: Db, name: str, *, use_case: str, intent: str, actor: Actor, now_ms: int, new_id: NewId
) -> Project:
    """Create a tenant with its default department and project, owned by who asks.

    Who wants to host gets the site roles with it.
    """
    assert intent in INTENTS
    assert actor.person_id is not None
    kept = read_name(name, label="The organization's name")
    if queries.find_tenant_id(db, name_key(kept)) is not None:
        raise Refusal(
            code="name_taken",
            status=409,
            message="An organization of this name exists.",
            hint="If it is yours, ask its owner to add you; else choose another name.",
            field="name",
        )
    tenant_id, department_id = new_id("tenant"), new_id("department")
    made = Tenant(tenant_id, kept, use_case, intent, now_ms)
    queries.insert_tenant(db, made, name_key=name_key(kept))
    queries.insert_department(
        db, department_id, tenant_id=tenant_id, name=DEFAULT_DEPARTMENT, now_ms=now_ms
    )
    first = Project(new_id("project"), tenant_id, department_id, DEFAULT_PROJECT)
    queries.insert_project(db, first, now_ms=now_ms)
    roles = {"owner", *(SITE_ROLES if intent in HOSTING else ())}
    queries.insert_roles(db, roles, tenant_id=tenant_id, person_id=actor.person_id, now_ms=now_ms)
    record(
        db,
        actor=actor,
        action="tenant.created",
        object_id=tenant_id,
        tenant_id=tenant_id,
        detail={"name": kept, "intent": intent},
        now_ms=now_ms,
    )
    return first


def add_organization(
    db: Db, name: str, owner_email: str, *, intent: str, caller: Caller
) -> tuple[Project, str]:
    """Create an organization for somebody else; return its first project and the owner's id."""
    owner = ensure_person(db, read_email(owner_email), caller=caller)
    actor = replace(console(), person_id=owner.person_id)
    made = create_organization(
        db,
        name,
        use_case="",
        intent=intent,
        actor=actor,
        now_ms=caller.now_ms,
        new_id=caller.new_id,
    )
    return made, owner.person_id


def place_of(db: Db, session: Session) -> Place:
    """Return where the session's person works: where they last did, or their oldest project."""
    workplaces = queries.list_workplaces(db, session.person_id)
    chosen = next(
        (one for one in workplaces if one.project_id == session.project_id),
        workplaces[0] if workplaces else None,
    )
    if chosen is None:
        return Place(None, None, frozenset())
    roles = queries.list_roles(db, tenant_id=chosen.tenant_id, person_id=session.person_id)
    return Place(chosen.tenant_id, chosen.project_id, roles)


def switch(db: Db, *, token: str, tenant_id: str, project_id: str, actor: Actor) -> None:
    """Let the session's person work in another project of theirs from now on."""
    assert actor.person_id is not None
    workplaces = queries.list_workplaces(db, actor.person_id)
    if not any((one.tenant_id, one.project_id) == (tenant_id, project_id) for one in workplaces):
        raise not_found("This project")
    note_space(db, secret_hash(token), tenant_id=tenant_id, project_id=project_id)
