"""SQL of the tenants."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, insert, select

from protocol.refusal import Refusal
from registry.store.database import Db
from registry.store.tables.tenants import department, member_role, project, tenant


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organization that pays.  intent: use, host or both"""

    tenant_id: str
    name: str
    use_case: str
    intent: str
    created_at_ms: int


@dataclass(frozen=True, slots=True)
class Project:
    """A project of a tenant, in one of its departments."""

    project_id: str
    tenant_id: str
    department_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Workplace:
    """A tenant and project that a person may work in."""

    tenant_id: str
    project_id: str
    tenant_name: str
    project_name: str


def get_tenant(db: Db, tenant_id: str) -> Tenant:
    """Return a tenant."""
    row = db.row(select(tenant).where(tenant.c.tenant_id == tenant_id))
    if row is None:
        raise _absent("This organization")
    return Tenant(
        tenant_id=row.tenant_id,
        name=row.name,
        use_case=row.use_case,
        intent=row.intent,
        created_at_ms=row.created_at_ms,
    )


def list_tenants(db: Db) -> list[Tenant]:
    """Return every tenant, oldest first."""
    rows = db.rows(select(tenant).order_by(tenant.c.tenant_id))
    return [
        Tenant(row.tenant_id, row.name, row.use_case, row.intent, row.created_at_ms) for row in rows
    ]


def find_tenant_id(db: Db, name_key: str) -> str | None:
    """Return the tenant whose name looks like this one."""
    found: str | None = db.value(select(tenant.c.tenant_id).where(tenant.c.name_key == name_key))
    return found


def insert_tenant(db: Db, made: Tenant, *, name_key: str) -> None:
    """Add a tenant."""
    db.write(
        insert(tenant).values(
            tenant_id=made.tenant_id,
            name=made.name,
            name_key=name_key,
            use_case=made.use_case,
            intent=made.intent,
            created_at_ms=made.created_at_ms,
        )
    )


def insert_department(
    db: Db, department_id: str, *, tenant_id: str, name: str, now_ms: int
) -> None:
    """Add a department."""
    db.write(
        insert(department).values(
            department_id=department_id, tenant_id=tenant_id, name=name, created_at_ms=now_ms
        )
    )


def insert_project(db: Db, made: Project, *, now_ms: int) -> None:
    """Add a project."""
    db.write(
        insert(project).values(
            project_id=made.project_id,
            tenant_id=made.tenant_id,
            department_id=made.department_id,
            name=made.name,
            created_at_ms=now_ms,
        )
    )


def get_project(db: Db, project_id: str) -> Project:
    """Return a project."""
    row = db.row(select(project).where(project.c.project_id == project_id))
    if row is None:
        raise _absent("This project")
    return _project(row)


def list_projects(db: Db, tenant_id: str) -> list[Project]:
    """Return the projects of a tenant, oldest first."""
    statement = select(project).where(project.c.tenant_id == tenant_id)
    return [_project(row) for row in db.rows(statement.order_by(project.c.project_id))]


def list_workplaces(db: Db, person_id: str) -> list[Workplace]:
    """Return every tenant and project where the person has a role, oldest tenant first."""
    mine = select(member_role.c.tenant_id).where(member_role.c.person_id == person_id)
    rows = db.rows(
        select(
            tenant.c.tenant_id,
            project.c.project_id,
            tenant.c.name.label("tenant_name"),
            project.c.name.label("project_name"),
        )
        .join(project, project.c.tenant_id == tenant.c.tenant_id)
        .where(tenant.c.tenant_id.in_(mine))
        .order_by(tenant.c.tenant_id, project.c.project_id)
    )
    return [
        Workplace(row.tenant_id, row.project_id, row.tenant_name, row.project_name) for row in rows
    ]


def list_roles(db: Db, *, tenant_id: str, person_id: str) -> frozenset[str]:
    """Return the person's roles in the tenant."""
    rows = db.rows(
        select(member_role.c.role).where(
            member_role.c.tenant_id == tenant_id, member_role.c.person_id == person_id
        )
    )
    return frozenset(row.role for row in rows)


def insert_roles(
    db: Db, roles: Iterable[str], *, tenant_id: str, person_id: str, now_ms: int
) -> None:
    """Give the person roles in the tenant; those it has are kept."""
    for role in sorted(set(roles)):
        values = {"tenant_id": tenant_id, "person_id": person_id, "role": role, "since_ms": now_ms}
        db.insert_new(member_role, values)


def _project(row: Row[Any]) -> Project:
    return Project(
        project_id=row.project_id,
        tenant_id=row.tenant_id,
        department_id=row.department_id,
        name=row.name,
    )


def _absent(what: str) -> Refusal:
    return Refusal(
        code="not_found",
        status=404,
        message=f"{what} does not exist, or is not yours to see.",
        hint="Check the address or id; another organization than the present one may own it.",
    )
