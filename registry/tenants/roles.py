"""May this actor do this here: one table, asked by every door.

Tenant roles hold in the actor's present tenant, site roles at the sites that tenant owns, and
`platform_admin` everywhere.  What lies outside one's scope is 404: it is not said to exist.
"""

from dataclasses import dataclass
from typing import Protocol

from protocol.refusal import Refusal

TENANT_ROLES = ("owner", "admin", "billing", "member", "viewer")
SITE_ROLES = ("site_operator", "site_owner")
ROLES = (*TENANT_ROLES, *SITE_ROLES)
API_ROLES = ("api_compute", "api_inference")
"""What an API key may do by its scopes."""

PLATFORM_ADMIN = "platform_admin"
CONSOLE = "console"

_READERS = frozenset({"owner", "admin", "billing", "member", "viewer", "api_compute"})
_WORKERS = frozenset({"owner", "admin", "member", "api_compute"})
_ADMINS = frozenset({"owner", "admin"})
_MONEY = frozenset({"owner", "admin", "billing"})
_HOSTS = frozenset({"site_operator", "site_owner"})
_NOBODY = frozenset[str]()

ALLOWED: dict[str, frozenset[str]] = {
    "tenant.view": _READERS | _HOSTS | {"api_inference"},
    "tenant.change": _ADMINS,
    "project.create": _ADMINS,
    "member.view": _ADMINS,
    "member.change": _ADMINS,
    "audit.view": _ADMINS,
    "api_key.view": frozenset({"owner", "admin", "billing", "member", "viewer"}),
    "api_key.create": frozenset({"owner", "admin", "member"}),
    "api_key.revoke": frozenset({"owner", "admin", "member"}),
    "api_key.revoke_any": _ADMINS,
    "allocation.view": _READERS | _HOSTS,
    "allocation.launch": _WORKERS,
    "allocation.release": _WORKERS,
    "model.list": _READERS | {"api_inference"},
    "sku.list": _READERS | _HOSTS | {"api_inference"},
    "billing.view": _READERS | _HOSTS | {"api_inference"},
    "billing.top_up": _MONEY,
    "receipt.view": _READERS | _HOSTS,
    "earnings.view": frozenset({"site_owner"}),
    "site.create": _HOSTS,
    "site.view": _HOSTS | {"api_compute"},
    "node.create": _HOSTS,
    "node.view": _HOSTS | {"api_compute"},
    "node.operate": _HOSTS,
    "catalogue.change": _NOBODY,
    "app.change": _NOBODY,
    "ledger.adjust": _NOBODY,
    "platform.view": _NOBODY,
    "site.govern": _NOBODY,
    "tenant.govern": _NOBODY,
}
"""Which roles may do what; `platform_admin` may do all of it."""


class Actor(Protocol):
    """Who asks, as rules and operations see it.

    person_id, api_key_id  exactly one of them is set; `subject` is that one
    tenant_id, project_id  where the actor works at present; None before onboarding
    roles                  tenant and site roles in that tenant, or what the API key may do
    site_ids               sites that tenant owns
    request_id, source     the request it asks with, and the address that came from: for the audit
    """

    @property
    def subject(self) -> str: ...
    @property
    def person_id(self) -> str | None: ...
    @property
    def api_key_id(self) -> str | None: ...
    @property
    def email(self) -> str: ...
    @property
    def tenant_id(self) -> str | None: ...
    @property
    def project_id(self) -> str | None: ...
    @property
    def roles(self) -> frozenset[str]: ...
    @property
    def site_ids(self) -> frozenset[str]: ...
    @property
    def is_platform_admin(self) -> bool: ...
    @property
    def request_id(self) -> str: ...
    @property
    def source(self) -> str: ...


@dataclass(frozen=True, slots=True)
class SignedIn:
    """An actor as it was found behind a session or an API key."""

    person_id: str | None
    api_key_id: str | None
    email: str
    tenant_id: str | None
    project_id: str | None
    roles: frozenset[str]
    site_ids: frozenset[str] = frozenset()
    is_platform_admin: bool = False
    request_id: str = ""
    source: str = ""

    @property
    def subject(self) -> str:
        """The id of the person or key that acts."""
        found = self.person_id or self.api_key_id
        assert found is not None
        return found


def console() -> SignedIn:
    """Return the actor of commands that an operator runs on the registry's own machine."""
    return SignedIn(
        person_id=CONSOLE,
        api_key_id=None,
        email="operator (console)",
        tenant_id=None,
        project_id=None,
        roles=frozenset(),
        is_platform_admin=True,
        source=CONSOLE,
    )


def may(
    actor: Actor, action: str, *, tenant_id: str | None = None, site_id: str | None = None
) -> bool:
    """Whether the actor may do this: to the tenant or site named, or in its own tenant."""
    if actor.is_platform_admin:
        return action in ALLOWED
    return bool(ALLOWED[action] & actor.roles) and is_in_scope(
        actor, tenant_id=tenant_id, site_id=site_id
    )


def require(
    actor: Actor, action: str, *, tenant_id: str | None = None, site_id: str | None = None
) -> None:
    """Refuse what the actor may not do: 404 outside its scope, 403 inside."""
    if not is_in_scope(actor, tenant_id=tenant_id, site_id=site_id):
        raise not_found()
    if not may(actor, action, tenant_id=tenant_id, site_id=site_id):
        raise Refusal(
            code="forbidden",
            status=403,
            message="Your role does not allow this.",
            hint="Ask an owner of your organization for a role that does.",
        )


def is_in_scope(actor: Actor, *, tenant_id: str | None = None, site_id: str | None = None) -> bool:
    """Whether the actor may know that the tenant and the site exist."""
    if actor.is_platform_admin:
        return True
    if actor.tenant_id is None:
        return False
    if tenant_id is not None and tenant_id != actor.tenant_id:
        return False
    return site_id is None or site_id in actor.site_ids


def not_found(what: str = "This object") -> Refusal:
    """Return the refusal of what is absent or not the actor's to know of; both read the same."""
    return Refusal(
        code="not_found",
        status=404,
        message=f"{what} does not exist, or is not yours to see.",
        hint="Check the address or id; another organization than the present one may own it.",
    )
