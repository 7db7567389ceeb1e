"""An organization is created once, and people work in theirs alone."""

from registry.audit.queries import list_events
from registry.tenants.operations import add_organization
from registry.tenants.queries import list_projects, list_roles, list_tenants
from tests.registry.rig import Rig

FORM = {"name": "Umoja Labs", "intent": "both", "use_case": "Swahili models"}


def test_creating_an_organization_makes_its_department_project_and_owner(rig: Rig) -> None:
    browser = rig.signed_in()

    answer = browser.post("/onboarding", **FORM)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/sites/new")
    with rig.database.reading() as db:
        (tenant,) = list_tenants(db)
        (project,) = list_projects(db, tenant.tenant_id)
        events = list_events(db, tenant_id=tenant.tenant_id)
        roles = list_roles(db, tenant_id=tenant.tenant_id, person_id=events[0].actor)
    assert (tenant.name, tenant.use_case) == ("Umoja Labs", "Swahili models")
    assert project.department_id.startswith("d_")
    assert roles == {"owner", "site_operator", "site_owner"}
    assert events[0].action == "tenant.created"


def test_who_only_uses_gpus_gets_no_site_roles(rig: Rig) -> None:
    browser = rig.member(intent="use")

    assert browser.get("/sites").status_code == 403
    assert browser.get("/access/api-keys").status_code == 200


def test_the_same_form_twice_creates_one_organization(rig: Rig) -> None:
    browser = rig.signed_in()

    answers = [browser.post("/onboarding", idempotency_key="k" * 12, **FORM) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [303, 303]
    with rig.database.reading() as db:
        assert len(list_tenants(db)) == 1


def test_a_name_that_looks_like_one_taken_is_refused_beside_its_field(rig: Rig) -> None:
    rig.signed_in().post("/onboarding", **FORM)

    answer = rig.signed_in("ben@umoja.example").post(
        "/onboarding", **(FORM | {"name": "umoja  LABS"})
    )

    assert answer.status_code == 422
    assert "An organization of this name exists." in answer.text
    assert 'value="umoja  LABS"' in answer.text


def test_an_unknown_intent_is_refused(rig: Rig) -> None:
    answer = rig.signed_in().post("/onboarding", **(FORM | {"intent": "own"}))

    assert answer.status_code == 422


def test_switching_works_among_ones_own_organizations_alone(rig: Rig) -> None:
    browser = rig.signed_in()
    browser.post("/onboarding", **FORM)
    browser.post("/onboarding", **(FORM | {"name": "Second"}))
    rig.member("ben@umoja.example")
    with rig.database.reading() as db:
        spaces = {
            tenant.name: f"{tenant.tenant_id}/{list_projects(db, tenant.tenant_id)[0].project_id}"
            for tenant in list_tenants(db)
        }

    switched = browser.post("/switch", space=spaces["Umoja Labs"], next="/sites")
    page = browser.get("/sites")
    foreign = browser.post("/switch", space=spaces["Org of ben@umoja.example"])

    assert (switched.status_code, switched.headers["Location"]) == (303, "/sites")
    assert "Umoja Labs / default" in page.text
    assert foreign.status_code == 404


def test_a_new_session_goes_on_where_the_last_one_worked(rig: Rig) -> None:
    browser = rig.signed_in()
    browser.post("/onboarding", **FORM)
    browser.post("/onboarding", **(FORM | {"name": "Second"}))

    again = rig.signed_in()

    assert "Second / default" in again.get("/sites").text


def test_a_name_is_shown_as_text_wherever_it_stands(rig: Rig) -> None:
    name = "<script>alert(1)</script>{{7*7}}"
    browser = rig.signed_in()

    browser.post("/onboarding", **(FORM | {"name": name}))
    page = browser.get("/access/api-keys").text

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{7*7}}" in page


def test_the_operator_can_create_an_organization_for_somebody(rig: Rig) -> None:
    with rig.database.unit() as db:
        project, _ = add_organization(
            db, "Given", "Eve@Umoja.example", intent="use", caller=rig.caller()
        )

    page = rig.signed_in("eve@umoja.example").get("/access/api-keys")

    assert "Given / default" in page.text
    assert project.tenant_id.startswith("t_")
