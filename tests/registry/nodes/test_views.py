"""Pages of the nodes, and whose nodes they show."""

import re

import pytest

from registry.nodes.queries import list_nodes, note_facts
from tests.registry.rig import ADMIN, Browser, Rig

SITE = {
    "name": "nbo-telecom-1",
    "city": "Nairobi",
    "country": "KE",
    "kind": "telecom_room",
    "connectivity": "fibre",
    "power_kw": "20",
}
NODE = {
    "name": "gpu01",
    "external_id": "rack 1",
    "accelerator": "NVIDIA H100 80GB",
    "gpu_count": "2",
    "power_w": "1400",
    "latency_ms": "4",
}


def test_adding_a_site_leads_on_to_its_first_node(rig: Rig) -> None:
    browser = rig.member()

    answer = browser.post("/sites/new", **SITE)
    form = browser.get(answer.headers["Location"])

    assert answer.status_code == 303
    assert "nbo-telecom-1, Nairobi" in form.text
    assert "Nairobi, Kenya" in browser.get("/sites").text


def test_a_second_site_of_that_name_in_that_city_is_refused_beside_its_field(rig: Rig) -> None:
    browser = rig.member()
    browser.post("/sites/new", **SITE)

    answer = browser.post("/sites/new", **(SITE | {"name": "NBO-Telecom-1"}))

    assert answer.status_code == 422
    assert "You have a site of this name in Nairobi." in answer.text


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("country", "XX"),
        ("kind", "moon"),
        ("connectivity", ""),
        ("power_kw", "0"),
        ("power_kw", "-1"),
        ("power_kw", "1e9"),
        ("power_kw", "٣"),
        ("city", "\u202e"),
    ],
)
def test_a_wrong_field_of_a_site_is_refused(rig: Rig, field: str, value: str) -> None:
    answer = rig.member().post("/sites/new", **(SITE | {field: value}))

    assert answer.status_code == 422


def test_adding_a_node_shows_its_secret_once_and_then_its_prefix(rig: Rig) -> None:
    browser = rig.member()

    page = _add_node(browser)
    secret = _secret_in(page)
    listed = browser.get("/nodes/keys").text

    assert 'id="secret-command">sudo outstation-agent enrol<' in page
    assert "with https://registry.example in its agent.toml" in page
    assert secret not in listed
    assert secret[:7] in listed
    assert "Waiting for gpu01" in page


def test_the_same_form_twice_adds_one_node_and_shows_the_secret_once(rig: Rig) -> None:
    browser = rig.member()

    first = _add_node(browser, idempotency_key="k" * 12)
    second = _add_node(browser, idempotency_key="k" * 12, new_site=False)

    assert _secret_in(first)
    assert re.search(r"nk_[0-9a-z]{52}_", second) is None
    assert "The key was shown once." in second
    with rig.database.reading() as db:
        assert len(list_nodes(db)) == 1


def test_a_wrong_field_of_a_node_is_refused_and_the_rest_is_kept(rig: Rig) -> None:
    browser = rig.member()
    browser.post("/sites/new", **SITE)
    site = _site_in(browser)

    wrong_name = browser.post("/nodes/new", site=site, **(NODE | {"name": "GPU 01"}))
    no_gpus = browser.post("/nodes/new", site=site, **(NODE | {"gpu_count": "0"}))

    assert wrong_name.status_code == no_gpus.status_code == 422
    assert "Use 1 to 63 of a-z, 0-9 and -" in wrong_name.text
    assert 'value="rack 1"' in wrong_name.text
    assert "GPUs must be a whole number from 1 to 16." in no_gpus.text


def test_nodes_and_sites_of_another_organization_do_not_exist(rig: Rig) -> None:
    _add_node(rig.member())
    stranger = rig.member("ben@umoja.example")
    with rig.database.reading() as db:
        (node,) = list_nodes(db)

    answers = [
        stranger.get(f"/nodes/{node.node_id}"),
        stranger.get(f"/nodes/{node.node_id}?part=waiting"),
        stranger.post(f"/nodes/{node.node_id}/keys"),
        stranger.post("/nodes/new", site=node.site_id, **NODE),
        stranger.get("/nodes/n_nothing"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert len({_title(answer.text) for answer in answers[:3]}) == 1
    for page in ("/nodes", "/sites", "/nodes/keys", f"/nodes?site={node.site_id}"):
        assert "gpu01" not in stranger.get(page).text
        assert "nbo-telecom-1" not in _main(stranger.get(page).text)


def test_a_platform_admin_sees_every_node(rig: Rig) -> None:
    _add_node(rig.member())

    page = rig.member(ADMIN).get("/nodes")

    assert page.status_code == 200
    assert "gpu01" in page.text


def test_who_only_uses_gpus_may_neither_see_nor_add_nodes(rig: Rig) -> None:
    browser = rig.member(intent="use")

    assert browser.get("/nodes").status_code == 403
    assert browser.get("/nodes/new").status_code == 403
    assert browser.post("/sites/new", **SITE).status_code == 403


def test_the_list_refreshes_by_parts_and_says_when_nothing_changed(rig: Rig) -> None:
    browser = rig.member()
    _add_node(browser)

    first = browser.get("/nodes", HX_Request="true")
    rig.clock.forward(5_000)
    same = browser.get("/nodes", HX_Request="true", HX_PTag=first.headers["HX-PTag"])
    with rig.database.unit() as db:
        (node,) = list_nodes(db)
        note_facts(db, node.node_id, {"last_contact_at_ms": rig.clock()})
    changed = browser.get("/nodes", HX_Request="true", HX_PTag=first.headers["HX-PTag"])

    assert "<html" not in first.text
    assert (same.status_code, same.data) == (304, b"")
    assert changed.status_code == 200
    assert "Online" in changed.text


def test_the_filter_keeps_what_all_its_words_occur_in(rig: Rig) -> None:
    browser = rig.member()
    _add_node(browser)

    assert "gpu01" in browser.get("/nodes?filter=GPU01+nairobi").text
    assert "/nodes/n_" not in browser.get("/nodes?filter=gpu01+lagos").text
    assert browser.get("/nodes?filter=%27+OR+1%3D1+--").status_code == 200


def test_the_page_follows_a_machine_until_it_is_online(rig: Rig) -> None:
    browser = rig.member()
    _add_node(browser)
    with rig.database.unit() as db:
        (node,) = list_nodes(db)
    address = f"/nodes/{node.node_id}?part=waiting"

    waiting = browser.get(address, HX_Request="true")
    rig.clock.forward(61_000)
    quiet = browser.get(address, HX_Request="true")
    with rig.database.unit() as db:
        note_facts(db, node.node_id, {"last_contact_at_ms": rig.clock()})
    online = browser.get(address, HX_Request="true")

    assert "Waiting for gpu01" in waiting.text
    assert '<details id="quiet-help" open>' not in waiting.text
    assert '<details id="quiet-help" open>' in quiet.text
    assert "gpu01 is online" in online.text
    assert "The node has 0 GPUs; 2 were declared." in online.text


def test_the_page_of_a_node_shows_what_is_known_of_it(rig: Rig) -> None:
    browser = rig.member()
    _add_node(browser)
    with rig.database.reading() as db:
        (node,) = list_nodes(db)

    page = browser.get(f"/nodes/{node.node_id}")

    assert page.status_code == 200
    for words in ("gpu01", "Nairobi, Kenya", "2 × NVIDIA H100 80GB", "rack 1", "ana@umoja.example"):
        assert words in page.text


def _add_node(browser: Browser, *, new_site: bool = True, **fields: str) -> str:
    if new_site:
        browser.post("/sites/new", **SITE)
    page = browser.post("/nodes/new", site=_site_in(browser), **(NODE | fields))
    assert page.status_code == 200, page.text
    return page.text


def _site_in(browser: Browser) -> str:
    return "s_" + browser.get("/nodes/new").text.partition('value="s_')[2].partition('"')[0]


def _secret_in(page: str) -> str:
    found = re.search(r"nk_[0-9a-z]{52}_[0-9a-f]{16}", page)
    assert found is not None, page
    return found.group(0)


def _title(page: str) -> str:
    return page.partition("<h1>")[2].partition("</h1>")[0]


def _main(page: str) -> str:
    return page.partition("<main")[2]
