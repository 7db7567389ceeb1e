"""Nobody reaches what belongs to another organization, whatever the address and the role."""

import re

import pytest

from registry.nodes.queries import list_nodes, list_secrets
from registry.server.forms import PROGRAM_PATHS
from registry.tenants.queries import insert_roles, list_projects, list_tenants
from registry.tenants.roles import ROLES
from tests.registry.rig import BASE_URL, Browser, Rig

OWN_WORDS = ("anas-node-9", "anas-site-9", "till seven", "ana@umoja.example")


def test_no_address_with_a_foreign_id_answers_to_a_stranger(rig: Rig) -> None:
    ids = _ids_of_ana(rig)
    stranger = _stranger(rig)

    answers = {
        (method, address): stranger.client.open(
            address, method=method, base_url=BASE_URL, data=_form(rig, stranger)
        ).status_code
        for method, address in _addresses(rig, ids)
    }

    assert len(answers) >= 6
    assert set(answers.values()) <= {404, 405}, answers


def test_no_page_of_a_stranger_shows_what_is_not_theirs(rig: Rig) -> None:
    ids = _ids_of_ana(rig)
    stranger = _stranger(rig)

    for rule in rig.app.url_map.iter_rules():
        if "GET" not in (rule.methods or ()) or rule.arguments:
            continue
        text = stranger.get(rule.rule).text
        found = [word for word in (*OWN_WORDS, *ids) if word in text]
        assert not found, (rule.rule, found)


@pytest.mark.parametrize("header", ["HX-Request", "HX-Boosted", "HX-Target", "HX-Current-URL"])
def test_headers_of_htmx_open_nothing(rig: Rig, header: str) -> None:
    (node_id, *_) = _ids_of_ana(rig)

    answer = _stranger(rig).client.get(
        f"/nodes/{node_id}", base_url=BASE_URL, headers={header: "true", "HX-PTag": "x"}
    )

    assert answer.status_code == 404


def test_who_was_removed_sees_nothing_from_the_next_request_on(rig: Rig) -> None:
    browser = rig.member()
    before = browser.get("/access/api-keys").status_code
    with rig.database.unit() as db:
        db.connection.exec_driver_sql("DELETE FROM member_role")

    after = browser.get("/access/api-keys")

    assert before == 200
    assert after.headers["Location"] == "/onboarding"


def test_who_was_disabled_is_signed_out_at_once(rig: Rig) -> None:
    browser = rig.member()
    with rig.database.unit() as db:
        db.connection.exec_driver_sql("UPDATE person SET is_disabled = 1")

    assert browser.get("/access/api-keys").headers["Location"].startswith("/login")


def _ids_of_ana(rig: Rig) -> tuple[str, ...]:
    """Ids of things that belong to an organization: a node, its key, a site, an API key."""
    ana = rig.member()
    ana.post(
        "/sites/new",
        name="anas-site-9",
        city="Nairobi",
        country="KE",
        kind="telecom_room",
        connectivity="fibre",
        power_kw="20",
    )
    site_id = "s_" + ana.get("/nodes/new").text.partition('value="s_')[2].partition('"')[0]
    ana.post(
        "/nodes/new",
        site=site_id,
        name="anas-node-9",
        accelerator="NVIDIA H100 80GB",
        gpu_count="2",
    )
    page = ana.post("/access/api-keys", name="till seven", expires="never").text
    key_id = page.partition('id="key-')[2].partition('"')[0]
    with rig.database.reading() as db:
        (node,) = list_nodes(db)
        (secret,) = list_secrets(db, [node.node_id])
    return node.node_id, secret.secret_id, site_id, key_id


def _stranger(rig: Rig) -> Browser:
    """The owner of another organization, with every role there is."""
    browser = rig.member("ben@other.example")
    with rig.database.unit() as db:
        tenant = next(one for one in list_tenants(db) if "ben@other.example" in one.name)
        assert list_projects(db, tenant.tenant_id)
        person_id = db.connection.exec_driver_sql(
            "SELECT person_id FROM person WHERE email = 'ben@other.example'"
        ).scalar_one()
        insert_roles(db, ROLES, tenant_id=tenant.tenant_id, person_id=person_id, now_ms=rig.clock())
    return browser


def _addresses(rig: Rig, ids: tuple[str, ...]) -> list[tuple[str, str]]:
    """Every page and form with an id in its address, with each of the ids in it."""
    found = set()
    for rule in rig.app.url_map.iter_rules():
        if not rule.arguments or rule.rule.startswith((*PROGRAM_PATHS, "/static/")):
            continue
        for method in {"GET", "POST"} & (rule.methods or set()):
            for one in ids:
                found.add((method, re.sub(r"<[^>]+>", one, rule.rule)))
    return sorted(found)


def _form(rig: Rig, browser: Browser) -> dict[str, str]:
    return {"csrf_token": browser.token(), "idempotency_key": rig.new_id("request")}
