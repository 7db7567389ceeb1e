"""Pages of organizations: creating one, and switching between them."""

from flask import Blueprint, redirect, render_template, request
from flask.typing import ResponseReturnValue

from registry.server.forms import read_choice, refilled, safe_next
from registry.server.idempotency import Kept, once
from registry.server.session import (
    actor,
    db,
    new_id,
    now_ms,
    session_token,
    signed_in,
    signed_in_anywhere,
)
from registry.tenants import operations
from registry.tenants.roles import not_found
from web.view_models.parts import Form
from web.view_models.tenants import NewOrganizationPage

USE_CASE_CHARACTERS_MAX = 200
NEXT_OF_INTENT = {"use": "/", "host": "/sites/new", "both": "/sites/new"}

PAGE_OF_STEP = {"site": "/sites/new", "node": "/nodes/new", "done": "/"}

pages = Blueprint("tenants", __name__)


def _organization_page(*, form: Form) -> str:
    page = NewOrganizationPage(
        email=actor().email,
        idempotency_key=form.value("idempotency_key") or new_id("request"),
        form=form,
    )
    return render_template("registry/tenants/new_organization.html", page=page)


@pages.get("/onboarding")
@signed_in_anywhere
def show_new_organization() -> ResponseReturnValue:
    """Return the form that creates an organization."""
    return _organization_page(form=Form(values={"intent": "use"}))


@pages.get("/onboarding/<step>")
@signed_in_anywhere
def show_step(step: str) -> ResponseReturnValue:
    """Lead on to the page of a step of the first run, for good."""
    if step not in PAGE_OF_STEP:
        raise not_found("This step")
    return redirect(PAGE_OF_STEP[step], code=308)


@pages.post("/onboarding")
@signed_in_anywhere
@refilled(_organization_page)
def create_organization() -> ResponseReturnValue:
    """Create the organization and work in it from now on; sent twice, one is created."""
    intent = read_choice("intent", operations.INTENTS, label="I want to")
    with db().unit():
        kept = once(lambda: _create(intent))
        tenant_id, _, project_id = kept.body.partition("/")
        operations.switch(
            db(),
            token=session_token(),
            tenant_id=tenant_id,
            project_id=project_id,
            actor=actor(),
        )
    return redirect(NEXT_OF_INTENT[intent], code=303)


@pages.post("/switch")
@signed_in
def switch() -> ResponseReturnValue:
    """Work in another organization or project."""
    tenant_id, _, project_id = request.form.get("space", "").partition("/")
    with db().unit():
        operations.switch(
            db(),
            token=session_token(),
            tenant_id=tenant_id,
            project_id=project_id,
            actor=actor(),
        )
    return redirect(safe_next(request.form.get("next", "/")), code=303)


def _create(intent: str) -> Kept:
    made = operations.create_organization(
        db(),
        request.form.get("name", ""),
        use_case=request.form.get("use_case", "").strip()[:USE_CASE_CHARACTERS_MAX],
        intent=intent,
        actor=actor(),
        now_ms=now_ms(),
        new_id=new_id,
    )
    return Kept(303, f"{made.tenant_id}/{made.project_id}")
