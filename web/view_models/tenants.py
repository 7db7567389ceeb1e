"""Pages of organizations."""

from dataclasses import dataclass, field

from web.view_models.parts import Form


@dataclass(frozen=True, slots=True)
class NewOrganizationPage:
    """GET, POST /onboarding.  fields: name, use_case, intent (use, host, both)"""

    email: str
    idempotency_key: str
    form: Form = field(default_factory=Form)
