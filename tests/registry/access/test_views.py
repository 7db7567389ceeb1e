"""API keys are shown once, kept as hashes, and worth nothing once revoked."""

import html
import json
import re
import shlex

from sqlalchemy import text

from protocol.clock import DAY_MS
from protocol.key_set import secret_hash
from registry.access.queries import get_key_set_version, list_honoured_keys
from registry.audit.queries import list_events
from tests.registry.marketplace import MODEL, Marketplace
from tests.registry.rig import Browser, Rig


def test_a_key_is_shown_once_and_only_its_hash_is_kept(rig: Rig) -> None:
    browser = rig.member()

    page = browser.post("/access/api-keys", name="checkout", expires="90")
    secret = _secret_in(page.text)
    later = browser.get("/access/api-keys")

    assert page.status_code == 200
    assert secret not in later.text
    assert secret[:7] in later.text
    assert secret.encode() not in _everything(rig)
    with rig.database.reading() as db:
        (fact,) = list_honoured_keys(db)
        assert fact.hash == secret_hash(secret)
        assert fact.expires_at_ms == rig.clock() + 90 * DAY_MS


def test_the_same_form_twice_makes_one_key_and_shows_it_once(rig: Rig) -> None:
    browser = rig.member()
    form = {"name": "checkout", "expires": "never", "idempotency_key": "k" * 12}

    first = browser.post("/access/api-keys", **form)
    second = browser.post("/access/api-keys", **form)

    assert _secret_in(first.text)
    assert second.status_code == 200
    assert re.search(r"ok_[0-9a-z]{52}", second.text) is None
    with rig.database.reading() as db:
        assert len(list_honoured_keys(db)) == 1


def test_a_key_says_whose_it_is(rig: Rig) -> None:
    secret = _new_key(rig.member())

    answer = rig.browser().get("/api/v1/me", Authorization=f"Bearer {secret}")

    assert answer.status_code == 200
    assert answer.json is not None
    told = answer.json["data"]
    assert told["tenant"]["name"] == "Org of ana@umoja.example"
    assert told["project"]["name"] == "default"
    assert told["key_prefix"] == secret[:7]
    assert told["scopes"] == ["compute", "inference"]


def test_a_revoked_key_is_refused_at_once_and_the_set_moves_on(rig: Rig) -> None:
    browser = rig.member()
    secret = _new_key(browser)
    with rig.database.reading() as db:
        before = get_key_set_version(db)
        (fact,) = list_honoured_keys(db)

    answer = browser.post(f"/access/api-keys/{fact.key_id}/revoke")
    refused = rig.browser().get("/api/v1/me", Authorization=f"Bearer {secret}")

    assert answer.status_code == 303
    assert refused.status_code == 401
    with rig.database.reading() as db:
        assert get_key_set_version(db) > before
        assert list_honoured_keys(db) == []
        assert list_events(db)[0].action == "api_key.revoked"
    assert "Revoked" in browser.get("/access/api-keys").text


def test_the_page_names_the_gateways_that_serve_and_what_they_serve(market: Marketplace) -> None:
    ana = market.customer()
    market.serves(MODEL)
    market.answers_at("http://gpu01.site.example:8090")

    page = ana.browser.get("/access/api-keys").text

    assert "http://gpu01.site.example:8090/v1" in page
    assert "demo-nbo-1" in page
    assert MODEL in page
    assert "registry.example/api/v1" not in page


def test_a_new_key_comes_with_a_call_to_a_model_that_it_may_make(market: Marketplace) -> None:
    ana = market.customer()
    market.serves(MODEL)
    market.answers_at("http://gpu01.site.example:8090")

    page = html.unescape(ana.browser.post("/access/api-keys", name="x", expires="30").text)

    secret = _secret_in(page)
    assert f"OPENAI_API_KEY={secret}\n" in page
    assert "\nOPENAI_BASE_URL=http://gpu01.site.example:8090/v1\n" in page
    command = _command_in(page)
    assert command[:2] == ["curl", "http://gpu01.site.example:8090/v1/chat/completions"]
    assert f"Authorization: Bearer {secret}" in command
    assert json.loads(command[-1])["model"] == MODEL


def test_while_no_node_serves_the_page_says_so_and_names_no_address(market: Marketplace) -> None:
    ana = market.customer()

    page = html.unescape(ana.browser.post("/access/api-keys", name="x", expires="30").text)

    assert "No node serves a model now" in page
    assert "\nOPENAI_BASE_URL" not in page
    assert _command_in(page)[1].endswith("/api/v1/me")


def test_a_silent_node_is_not_named_as_a_place_to_call(market: Marketplace) -> None:
    ana = market.customer()
    market.serves(MODEL)
    market.answers_at("http://gpu01.site.example:8090")
    market.rig.clock.forward(DAY_MS // 24)

    assert "gpu01.site.example" not in ana.browser.get("/access/api-keys").text


def test_a_key_ends_by_itself(rig: Rig) -> None:
    secret = _new_key(rig.member(), expires="30")
    rig.clock.forward(30 * DAY_MS)

    answer = rig.browser().get("/api/v1/me", Authorization=f"Bearer {secret}")

    assert answer.status_code == 401
    with rig.database.reading() as db:
        assert list_honoured_keys(db, now_ms=rig.clock()) == []


def test_what_is_no_key_is_refused_alike(rig: Rig) -> None:
    good = _new_key(rig.member())
    for header in (
        "",
        "Bearer ",
        "Bearer ok_",
        f"Basic {good}",
        f"Bearer {good[:-1]}",
        f"Bearer {good}x",
        f"Bearer {good.upper()}",
        f"bearer: {good}",
        "Bearer " + "9" * 5000,
        "Bearer ' OR 1=1 --",
    ):
        answer = rig.browser().get("/api/v1/me", Authorization=header)

        assert answer.status_code == 401, header
        assert answer.json is not None
        assert answer.json["error"]["code"] == "invalid_api_key"


def test_the_key_of_another_organization_does_not_exist(rig: Rig) -> None:
    _new_key(rig.member())
    stranger = rig.member("ben@umoja.example")
    with rig.database.reading() as db:
        (fact,) = list_honoured_keys(db)

    answer = stranger.post(f"/access/api-keys/{fact.key_id}/revoke")

    assert answer.status_code == 404
    assert "till seven" not in stranger.get("/access/api-keys").text
    with rig.database.reading() as db:
        assert len(list_honoured_keys(db)) == 1


def test_a_wrong_name_or_expiry_is_refused_beside_its_field(rig: Rig) -> None:
    browser = rig.member()

    nameless = browser.post("/access/api-keys", name=" ", expires="90")
    endless = browser.post("/access/api-keys", name="checkout", expires="36500")

    assert nameless.status_code == endless.status_code == 422
    assert "The name is needed." in nameless.text
    assert "Choose how long the key is good for." in endless.text


def test_secrets_are_in_no_audit_event_and_no_kept_answer(rig: Rig) -> None:
    secret = _new_key(rig.member())

    with rig.database.reading() as db:
        audited = repr(list_events(db))
        kept = repr(db.rows(text("SELECT * FROM idempotent_answer")))

    assert secret not in audited
    assert secret not in kept


def _new_key(browser: Browser, *, expires: str = "never") -> str:
    return _secret_in(browser.post("/access/api-keys", name="till seven", expires=expires).text)


def _secret_in(page: str) -> str:
    found = re.search(r"ok_[0-9a-z]{52}", page)
    assert found is not None, page
    return found.group(0)


def _everything(rig: Rig) -> bytes:
    with rig.database.reading() as db:
        tables = ("api_key", "audit_event", "idempotent_answer", "session")
        return b"".join(repr(db.rows(text(f"SELECT * FROM {name}"))).encode() for name in tables)


def _command_in(page: str) -> list[str]:
    found = re.search(r'id="secret-command">(.*?)</code>', page)
    assert found is not None
    return shlex.split(found.group(1))
